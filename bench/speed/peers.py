"""CMSIS-NN's int8 layers in executed instructions, in the same emulator, shapes and counting as
ours: the speed to beat.

peers.c calls them as TFLite-Micro does. A figure counts only when the answer is the layer's, in
TFLite's integers.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from bench.bare.cores import HERE, TICKS
from bench.speed.cmsis_nn import CmsisNnError, Library
from bench.speed.layers import Layer

Array = npt.NDArray[np.int64]
INPUT_OFFSET, OUTPUT_OFFSET = 128, -5  # of peers.c
HEADER = np.dtype([("kind", "<u4"), ("repeats", "<u4"), ("shape", "<i4", 6)])
CONVOLUTION = 1
INSTRUCTIONS = (
    6_000_000  # counted per layer, at least: a tick is up to 40, so a call's mean is exact
)
PATIENCE_S = 300.0


class Peer(Protocol):
    """A call of CMSIS-NN with its contents: what it is called, the bytes of its answer, and whether
    the answer is right."""

    @property
    def shape(self) -> str: ...

    @property
    def answer_bytes(self) -> int: ...

    def to_bytes(self, repeats: int) -> bytes:
        """A case of the program that calls it."""
        ...

    def verify(self, raw: bytes) -> None:
        """CmsisNnError when this is not the answer."""
        ...


class Call:
    """One layer with random contents that neither overflow nor all saturate."""

    def __init__(self, layer: Layer, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.layer, inputs = layer, layer.kernel * layer.channels
        self.weights = rng.integers(-127, 127, (layer.out, inputs), endpoint=True)
        self.bias = rng.integers(-(2**14), 2**14, layer.out)
        self.multiplier = rng.integers(2**30, 2**31 - 1, layer.out)
        self.shift = np.full(layer.out, -int(np.ceil(np.log2(np.sqrt(inputs) * 100))))
        self.x = rng.integers(-128, 127, (layer.width, layer.channels), endpoint=True)

    @property
    def shape(self) -> str:
        return self.layer.shape

    @property
    def answer_bytes(self) -> int:
        return self.layer.windows * self.layer.out

    def to_bytes(self, repeats: int) -> bytes:
        """A case of peers.c."""
        layer, head = self.layer, np.zeros(1, HEADER)
        head["kind"], head["repeats"] = 0 if layer.dense else CONVOLUTION, repeats
        head["shape"] = (
            layer.width,
            layer.channels,
            layer.kernel,
            layer.stride,
            layer.out,
            layer.windows,
        )
        words = np.concatenate([self.bias, self.multiplier, self.shift]).astype("<i4")
        return (
            head.tobytes()
            + self.weights.astype(np.int8).tobytes()
            + words.tobytes()
            + self.x.astype(np.int8).tobytes()
        )

    def expected(self) -> Array:
        """(windows, out) in TFLite's integers."""
        layer = self.layer
        begins = layer.stride * np.arange(layer.windows)
        windows = np.stack([self.x[b : b + layer.kernel].reshape(-1) for b in begins])
        return requantize(
            (windows + INPUT_OFFSET) @ self.weights.T + self.bias, self.multiplier, -self.shift
        )

    def verify(self, raw: bytes) -> None:
        """To one step: CMSIS-NN may have been built with another rounding
        (CMSIS_NN_USE_SINGLE_ROUNDING)."""
        compare(self.shape, np.frombuffer(raw, np.int8), self.expected(), 1)


def compare(shape: str, found: npt.NDArray[np.integer], expected: Array, most: int) -> None:
    """CmsisNnError when an answer is further away than so many steps."""
    away = np.abs(found.astype(np.int64) - expected.reshape(-1))
    if away.max() > most:
        raise CmsisNnError(
            f"CMSIS-NN, {shape}: expected TFLite's integers, found"
            f" {np.count_nonzero(away > most)} others"
        )


def requantize(acc: Array, multiplier: Array, right: Array) -> Array:
    """TFLite's two roundings: the high half of 2·acc·multiplier, then a division by 2^right, halves
    away from zero."""
    high = (acc * multiplier + 2**30) >> 31
    remainder, half = high & ((1 << right) - 1), ((1 << right) - 1) >> 1
    rounded = (high >> right) + (remainder > half + (high < 0))
    return np.clip(rounded + OUTPUT_OFFSET, -128, 127)


def measure(library: Library, layers: tuple[Layer, ...]) -> dict[str, int]:
    """Shape -> executed instructions of one call. CmsisNnError when an answer is not the layer's,
    to one rounding."""
    return count(library, [Call(layer, seed) for seed, layer in enumerate(layers)], "peers.c")


def count(library: Library, calls: Sequence[Peer], program: str) -> dict[str, int]:
    """The same of any calls that a program beside this file makes."""
    with tempfile.TemporaryDirectory() as folder:
        elf = build(library, Path(folder), program)
        repeats = [
            _repeats(library, ticks) for ticks in _run(library, elf, calls, [1] * len(calls))
        ]
        ticks = _run(library, elf, calls, repeats)
    each = library.core.ticks_per_instruction
    return {
        call.shape: round(t / each / n) for call, t, n in zip(calls, ticks, repeats, strict=True)
    }


def build(library: Library, folder: Path, program: str) -> Path:
    """A program beside this file with this library."""
    elf, core = folder / "peers.elf", library.core
    own = [str(Path(__file__).parent / program), str(HERE / "port_qemu.c")]
    options = [
        "-std=c11",
        "-O2",
        "-Wl,--gc-sections",
        *core.link_flags,
        f"-I{HERE}",
        f"-isystem{library.include}",
    ]
    _execute(
        ["arm-none-eabi-gcc", *library.flags, *options, *own, str(library.archive), "-o", str(elf)],
        folder,
    )
    return elf


def _run(library: Library, elf: Path, calls: Sequence[Peer], repeats: list[int]) -> list[int]:
    """Ticks of all repeats of each call, whose answers are compared."""
    content = b"".join(call.to_bytes(count) for call, count in zip(calls, repeats, strict=True))
    (elf.parent / "cases.bin").write_bytes(content)
    _execute([*library.core.emulator, "-kernel", str(elf)], elf.parent)
    raw, at, ticks = (elf.parent / "results.bin").read_bytes(), 0, []
    for call in calls:
        ticks.append(int.from_bytes(raw[at : at + 4], "little"))
        call.verify(raw[at + 4 : at + 4 + call.answer_bytes])
        at += 4 + call.answer_bytes
    return ticks


def _repeats(library: Library, ticks: int) -> int:
    """Calls that fill the counter without wrapping it, from the ticks of one."""
    each = library.core.ticks_per_instruction
    once = max(ticks, 1) / each
    return int(min(max(INSTRUCTIONS // once, 1), 0.9 * TICKS / each // once))


def _execute(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE_S,
        )
    except FileNotFoundError:
        raise CmsisNnError(f"{command[0]} is not installed; run make tools") from None
    if done.returncode:
        raise CmsisNnError(
            f"{command[0]} ended with status {done.returncode}, over CMSIS-NN's"
            f" layers:\n{done.stderr[-2000:]}"
        )
