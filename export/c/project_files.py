"""The files of a project that are written and not copied: Makefile, CMakeLists.txt, README.md.
Whole lines, no templates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from export.boards import Description, Loading, load_board
from export.c.placement import COLD, Where
from export.version import GENERATOR

SECTIONS = {
    "tables": ".tables",
    COLD: ".cold_tables",
}  # of the parts that may lie in another memory than the code

WARNINGS = "-std=c11 -Wall -Wextra -Werror -Wconversion -Wshadow"
COMMON = "-g -ffunction-sections -fdata-sections -fno-common"


def texts(
    board: Description, where: Where, title: str, files: list[str]
) -> dict[str, Iterable[str]]:
    """File name -> lines. `where`: part -> region; `files`: paths of everything else in the
    project, sorted."""
    boards = [board] if board.name == "posix" else [board, load_board("posix")]
    return {
        "Makefile": _makefile(boards, where, title),
        "CMakeLists.txt": _cmake(boards, title, files),
        "README.md": _readme(board, where, title, files),
        ".gitignore": ["build/", ".pio/"],
    }


def flags_seen(board: Description) -> str:
    """What HELLO says of the compiler: the core's flags, and that the kernels are built for
    speed."""
    return " ".join([*board.flags, "-O3 (kernels) -Os (the rest)"])


def link_flags(board: Description, root: str = "") -> str:
    """`root`: where the project lies, with its final slash; "" for the folder make runs in. -L is
    where INCLUDE looks."""
    script = f"-T {root}port/{board.name}/{board.linker_script}" if board.linker_script else ""
    return " ".join(
        filter(
            None,
            [*board.link_flags, *(f"-L{root}{folder}" for folder in board.port_folders), script],
        )
    )


# --- Makefile -------------------------------------------------------------------------------------


def _makefile(boards: list[Description], where: Where, title: str) -> Iterator[str]:
    yield f"# Tendon {GENERATOR}: {title}"
    yield "# make                builds for the board below: $(OUT)/firmware.elf, .bin and .map"
    if len(boards) > 1:
        yield (
            "# make BOARD=posix    builds a process that speaks the same protocol on its standard"
            " input and output"
        )
    yield f"BOARD ?= {boards[0].name}"
    yield "OUT ?= build/$(BOARD)"
    yield ""
    for board in boards:
        yield from board_lines(board, where)
    yield f"WARNINGS = {WARNINGS}"
    yield f"COMMON = {COMMON} -ffile-prefix-map=$(CURDIR)=. $(CORE) $(EXTRA)"
    yield "INCLUDES = -Imodel -Inn -Iapp -Iport $(PORT:%=-I%)"
    yield "# The kernels are built for speed, everything else for size."
    yield "FLAGS_SEEN = $(strip $(CORE) $(EXTRA) -O3 (kernels) -Os (the rest))"
    yield ""
    yield "SOURCES = $(sort $(wildcard model/*.c nn/*.c app/*.c $(PORT:%=%/*.c)))"
    yield "OBJECTS = $(SOURCES:%.c=$(OUT)/%.o)"
    yield ""
    yield "all: $(IMAGE)"
    yield ""
    yield "$(OUT)/nn/%.o: nn/%.c Makefile"
    yield "\t@mkdir -p $(@D)"
    yield "\t$(CC) $(WARNINGS) $(COMMON) -O3 $(INCLUDES) -MMD -c $< -o $@"
    yield ""
    yield "$(OUT)/%.o: %.c Makefile"
    yield "\t@mkdir -p $(@D)"
    yield (
        "\t$(CC) $(WARNINGS) $(COMMON) -Os $(INCLUDES) -DAPP_COMPILER_FLAGS='\"$(FLAGS_SEEN)\"'"
        " -MMD -c $< -o $@"
    )
    yield ""
    yield "$(OUT)/firmware.elf: $(OBJECTS) $(LINKER_SCRIPT)"
    yield (
        "\t$(CC) $(COMMON) $(LINK) -Wl,--gc-sections -Wl,--fatal-warnings"
        " -Wl,-Map,$(OUT)/firmware.map $(OBJECTS) -o $@"
    )
    yield ""
    yield from binary_lines(where)
    yield "$(OUT)/firmware: $(OBJECTS)"
    yield "\t$(CC) $(COMMON) $(OBJECTS) -o $@"
    yield ""
    yield "clean:"
    yield "\trm -rf $(OUT)"
    yield ""
    yield ".PHONY: all clean"
    yield "-include $(OBJECTS:.o=.d)"


def board_lines(board: Description, where: Where) -> Iterator[str]:
    """Compiler, flags, port and linker script of a board, when BOARD names it."""
    yield f"ifeq ($(BOARD),{board.name})"
    yield f"CC = {board.compiler}"
    yield f"CORE = {' '.join(board.flags)}".rstrip()
    yield f"PORT = {' '.join(board.port_folders)}"
    if board.prefix:
        yield f"OBJCOPY = {board.prefix}objcopy"
        yield f"LINK = {link_flags(board)}"
        yield "LINKER_SCRIPT = $(wildcard $(PORT:%=%/*.ld))"
        yield (
            "IMAGE ="
            f" {' '.join(f'$(OUT)/{name}' for name in ('firmware.elf', 'firmware.bin', *apart(where)))}"  # noqa: E501
        )
    else:
        yield "IMAGE = $(OUT)/firmware"
    yield "endif"
    yield ""


def binary_lines(where: Where) -> Iterator[str]:
    """How the bytes to load are cut from the image: one file, and one for tables that lie in
    another memory than the code."""
    files = apart(where)
    yield "$(OUT)/firmware.bin: $(OUT)/firmware.elf"
    yield (
        f"\t$(OBJCOPY) -O binary {''.join(f'-R {SECTIONS[part]} ' for part in files.values())}$< $@"
    )
    yield ""
    for name, part in files.items():
        yield f"$(OUT)/{name}: $(OUT)/firmware.elf"
        yield f"\t$(OBJCOPY) -O binary -j {SECTIONS[part]} $< $@"
        yield ""


def apart(where: Where) -> dict[str, str]:
    """File name -> part, of tables that lie in another memory than the code."""
    code = where.get("code")
    return {
        f"{section[1:]}.bin": part
        for part, section in SECTIONS.items()
        if where.get(part, code) != code
    }


# --- CMakeLists.txt -------------------------------------------------------------------------------


def _cmake(boards: list[Description], title: str, files: list[str]) -> Iterator[str]:
    yield f"# Tendon {GENERATOR}: {title}"
    yield "# cmake -B build-cmake && cmake --build build-cmake"
    yield "cmake_minimum_required(VERSION 3.20)"
    yield f'set(BOARD "{boards[0].name}" CACHE STRING "one of: {" ".join(b.name for b in boards)}")'
    for board in boards:
        if board.prefix:
            yield f'if(BOARD STREQUAL "{board.name}")'
            yield "  set(CMAKE_SYSTEM_NAME Generic)"
            yield "  set(CMAKE_SYSTEM_PROCESSOR arm)"
            yield f"  set(CMAKE_C_COMPILER {board.compiler})"
            yield "  set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)"
            yield f"  set(CORE {' '.join(board.flags)})"
            yield f"  set(LINK {link_flags(board, '${CMAKE_SOURCE_DIR}/')})"
            yield "  set(LINK ${LINK} -Wl,--gc-sections -Wl,--fatal-warnings -Wl,-Map,firmware.map)"
            yield "  set(SUFFIX .elf)"
            yield "endif()"
    yield "project(firmware C)"
    yield "set(CMAKE_C_STANDARD 11)"
    yield "set(CMAKE_C_EXTENSIONS OFF)"
    yield ""
    kernels = [f for f in files if f.startswith("nn/") and f.endswith(".c")]
    others = [f for f in files if f.endswith(".c") and f.startswith(("model/", "app/"))]
    yield "add_executable(firmware"
    yield from (f"  {name}" for name in kernels + others)
    yield ")"
    for board in boards:
        sources = [
            f for f in files if f.endswith(".c") and f.rpartition("/")[0] in board.port_folders
        ]
        yield f'if(BOARD STREQUAL "{board.name}")'
        yield f"  target_sources(firmware PRIVATE {' '.join(sources)})"
        yield f"  target_include_directories(firmware PRIVATE {' '.join(board.port_folders)})"
        yield "endif()"
    yield 'set_target_properties(firmware PROPERTIES SUFFIX "${SUFFIX}")'
    yield "target_include_directories(firmware PRIVATE model nn app port)"
    yield (
        f"target_compile_options(firmware PRIVATE {WARNINGS.replace('-std=c11 ', '')} {COMMON}"
        " ${CORE} -Os)"
    )
    if kernels:
        yield (
            f"set_source_files_properties({' '.join(kernels)} PROPERTIES COMPILE_OPTIONS -O3) #"
            " after -Os: the last one counts"
        )
    yield "target_link_options(firmware PRIVATE ${CORE} ${LINK})"
    yield 'string(REPLACE ";" " " FLAGS_SEEN "${CORE} -O3 (kernels) -Os (the rest)")'
    yield 'target_compile_definitions(firmware PRIVATE "APP_COMPILER_FLAGS=\\"${FLAGS_SEEN}\\"")'


# --- README.md ------------------------------------------------------------------------------------

FOLDERS = {
    "model": (
        "the network: `model.h` is its interface, `model.c` one kernel call per line, the tables"
        " its weights"
    ),
    "nn": "the kernels the network calls; `nn.h` is their manual",
    "app": "the application: the serial protocol around the network, portable C11",
    "port": "`port.h` is what a board gives to the application; one folder per board",
    "pio": "what PlatformIO needs to build this: compiler, flags, upload",
}


def _readme(board: Description, where: Where, title: str, files: list[str]) -> Iterator[str]:
    yield f"# {title}"
    yield ""
    yield (
        f"C for {board.title}, written by Tendon {GENERATOR}. Status of this port: {board.status}."
    )
    yield (
        "No malloc, no floating point, no dependency but a C compiler and newlib's memcpy and"
        " memset."
    )
    yield ""
    yield from _readme_build(board, where)
    if board.loading:
        yield from _readme_flash(board, where, board.loading)
    yield "## What is where"
    yield ""
    present = [folder for folder in FOLDERS if any(f.startswith(f"{folder}/") for f in files)]
    yield from (f"- `{folder}/` {FOLDERS[folder]}" for folder in present)
    yield (
        "- `SPEC.md` states the integers of every kernel, the model's interface and every byte of"
        " the serial line"
    )


def _readme_build(board: Description, where: Where) -> Iterator[str]:
    yield "## Build"
    yield ""
    if board.prefix:
        yield "    apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi make     # on Debian"
    yield "    make"
    yield ""
    image = f"build/{board.name}/{board.image}"
    yield (
        f"The image is `{image}`. CMake does the same: `cmake -B build-cmake && cmake --build"
        " build-cmake`."
    )
    if board.prefix:
        yield (
            f"So does PlatformIO: `pio run` writes `.pio/build/{board.name}/{board.image}`,"
            " off-line where there is an"
        )
        yield "`arm-none-eabi-gcc`; where there is none it fetches one."
        yield (
            "`make BOARD=posix` builds the application as a process on this machine, for tests"
            " without a board."
        )
    for name, memory in board.memory.items():
        held = ", ".join(memory.holds) or "nothing"
        yield f"{name.capitalize()}: {memory.size} bytes at 0x{memory.origin:08x}, for {held}."
    for name, part in apart(where).items():
        begin = board.memory[where[part]].origin
        yield (
            f"The network's {part} lie apart from the code: `{name}`, beside the image, belongs at"
            f" 0x{begin:08x}."
        )
    if board.emulator:
        yield ""
        yield "In QEMU, with the serial line on TCP port 5555:"
        yield ""
        arguments = " ".join(board.emulator.arguments)
        yield (
            f"    {board.emulator.command} {arguments} -kernel {image} -serial"
            " tcp::5555,server=on,wait=off"
        )
    yield ""


def _readme_flash(board: Description, where: Where, loading: Loading) -> Iterator[str]:
    yield "## Flash"
    yield ""
    yield (
        "Any of these, with an ST-LINK probe (on a Nucleo board its USB connector), from the folder"
        " of the image:"
    )
    yield ""
    scripts = " ".join(f"-f {script}" for script in loading.openocd)
    yield f"    openocd {scripts} -c 'program firmware.elf verify reset exit'"
    yield f"    st-flash --reset write firmware.bin 0x{loading.address:08x}"
    yield f"    STM32_Programmer_CLI -c port=SWD -w firmware.bin 0x{loading.address:08x} -v -rst"
    yield ""
    yield (
        "or `pio run -t upload` here. Without a probe, the chip's own boot loader takes the image"
        " from a serial port:"
    )
    yield f"{loading.boot_loader}; pin BOOT0 high, reset, then"
    yield ""
    yield f"    stm32flash -w firmware.bin -v -g 0x{loading.address:08x} /dev/ttyUSB0"
    yield ""
    for name, part in apart(where).items():
        yield (
            f"`{name}` belongs into another flash, at {board.memory[where[part]].origin:#010x}:"
            " OpenOCD fills that too, from"
        )
        yield (
            "the same file; STM32_Programmer_CLI with the board's external loader (-el), the others"
            " not at all."
        )
        yield ""
    yield f"The board then speaks the protocol of SPEC.md part 4 at {board.baud} baud, 8N1."
    yield ""
