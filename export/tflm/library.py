"""The user's TFLite-Micro: a checkout in which its own makefile has built the library for the
board's core with CMSIS-NN."""

from __future__ import annotations

from pathlib import Path

from compress.errors import TendonError, UsageError
from export.boards import Description

NAME = "libtensorflow-microlite.a"
INTERPRETER = "tensorflow/lite/micro/micro_interpreter.h"
DOWNLOADS = "/tensorflow/lite/micro/tools/make/downloads"  # of its makefile
INCLUDES = (
    "",
    f"{DOWNLOADS}/flatbuffers/include",
    f"{DOWNLOADS}/gemmlowp",
    f"{DOWNLOADS}/ruy",
)  # below the checkout
# -mcpu of a board -> TARGET_ARCH of TFLM's makefile, best first: an M7 executes what is compiled
# for an M4
CORES = {
    "cortex-m4": ("cortex-m4",),
    "cortex-m7": ("cortex-m7", "cortex-m4"),
}
PACKAGES = (
    "gcc-arm-none-eabi libnewlib-arm-none-eabi libstdc++-arm-none-eabi-newlib python3-pil"
    " python3-numpy wget unzip"
)


def cores(board: Description) -> tuple[str, ...]:
    """TARGET_ARCH of the libraries that suit a board; TendonError for one without."""
    cpu = next(
        (flag.removeprefix("-mcpu=") for flag in board.flags if flag.startswith("-mcpu=")), ""
    )
    if cpu not in CORES or "-mfloat-abi=soft" not in board.flags:
        raise UsageError(
            f"{board.name}: FORMAT=tflm is for boards with a Cortex-M4 or -M7 core, found"
            f" {cpu or 'none'}"
        )
    return CORES[cpu]


def path_of(core: str) -> str:
    """Where TFLM's makefile leaves the library, below the checkout."""
    return f"gen/cortex_m_generic_{core}_release_cmsis_nn_gcc/lib/{NAME}"


def how_to_build(board: Description) -> list[str]:
    """What to type, line by line."""
    return [
        f"apt-get install {PACKAGES}",
        "git clone https://github.com/tensorflow/tflite-micro && cd tflite-micro",
        (
            "make -j -f tensorflow/lite/micro/tools/make/Makefile TARGET=cortex_m_generic"
            f" TARGET_ARCH={cores(board)[0]} OPTIMIZED_KERNEL_DIR=cmsis_nn BUILD_TYPE=release"
            " KERNEL_OPTIMIZATION_LEVEL=-O3 THIRD_PARTY_KERNEL_OPTIMIZATION_LEVEL=-O3"
            " TARGET_TOOLCHAIN_ROOT=/usr/bin/ microlite"
        ),
        f"make firmware FORMAT=tflm BOARD={board.name} TFLM=path/of/tflite-micro     # in Tendon",
    ]


def find(tflm: Path | None, board: Description) -> Path:
    """The library in a checkout; TendonError says what is missing and how to build it."""
    steps = "\n".join(f"    {line}" for line in how_to_build(board))
    if tflm is None:
        raise UsageError(
            "FORMAT=tflm needs TFLM=path of a TFLite-Micro checkout and its library; found none."
            f" To build it:\n{steps}"
        )
    if not (tflm / INTERPRETER).is_file():
        raise TendonError(
            f"TFLM={tflm}: expected a TFLite-Micro checkout with {INTERPRETER}, found none. To get"
            f" one:\n{steps}"
        )
    for core in cores(board):
        if (tflm / path_of(core)).is_file():
            return tflm / path_of(core)
    raise TendonError(
        f"TFLM={tflm}: expected {path_of(cores(board)[0])}, found none. To build it:\n{steps}"
    )
