"""The toy model of tests/firmware/toy_model: its numpy twin, its firmware, and lines that do
harm."""

from __future__ import annotations

import atexit
import dataclasses
import functools
import os
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from cobs import cobs
from numpy.typing import NDArray

from export.boards import load_board
from export.c.project import build_project, write_project
from host.boards import ProcessBoard
from host.conversation import Timing
from host.lines import Line
from host.link import Link

SOURCE = Path(__file__).parent / "firmware" / "toy_model"
MODEL_HASH = re.search(r'MODEL_HASH "(\w+)"', (SOURCE / "model.h").read_text()).group(1)  # type: ignore[union-attr]
SANITIZE = "-fsanitize=address,undefined -fno-sanitize-recover=all -O1"
PATIENT = Timing(
    silence_s=120.0, boot_s=60.0
)  # a second of the emulator is a thousand million instructions
QUICK = Timing(answer_s=0.03, silence_s=20.0, boot_s=10.0)
PER_STEP, INPUTS, OUTPUTS = 96, 32, 99


def samples(steps: int, seed: int = 0) -> NDArray[np.int16]:
    """Random samples (steps · 96, 32)."""
    return (
        np.random.default_rng(seed)
        .integers(-32768, 32768, (steps * PER_STEP, INPUTS))
        .astype(np.int16)
    )


def run(content: NDArray[np.int16]) -> NDArray[np.int16]:
    """What the model answers from its zero state: (n, 32) -> (n / 96, 99)."""
    mix = np.frombuffer(table_bytes(), np.uint16).astype(np.uint64)
    past, o = np.zeros(412, np.uint64), np.arange(OUTPUTS)
    state: NDArray[np.uint64] = np.zeros(OUTPUTS, np.uint64)
    frames = []
    for step, x in enumerate(
        content.astype(np.uint16).astype(np.uint64).reshape(-1, PER_STEP, INPUTS)
    ):
        total = state.copy()
        for t in range(PER_STEP):
            total = (total * 1664525 + x[t, o % INPUTS] + mix[(t + o) % 128]) & 0xFFFFFFFF
        state = ((total + past[(step + o) % 412]) & 0xFFFFFFFF).astype(np.uint64)
        past[step % 412] = total.sum() & 0xFFFFFFFF
        frames.append((state >> 16).astype(np.uint16).view(np.int16))
    return np.array(frames)


def table_bytes() -> bytes:
    """The model's one constant table, as it lies in an image."""
    source = (SOURCE / "model.c").read_text()
    values = re.findall(r"-?\d+(?=,)", source[source.index("mix[128]") + 12 : source.index("};")])
    return np.array([int(v) for v in values], "<i2").tobytes()


def model_files() -> dict[str, bytes]:
    """As the exporter would give them to write_project()."""
    return {path.name: path.read_bytes() for path in SOURCE.glob("*.[ch]")}


def counted_alone(link: Link, steps: int) -> NDArray[np.int64]:
    """Instructions of steps computed while nothing is on the line, neither the next samples nor a
    question. Of others the interrupts of arriving bytes are counted too, and how many come depends
    on what else the host computes."""
    timing, link.timing = (
        link.timing,
        dataclasses.replace(link.timing, answer_s=link.timing.silence_s),
    )
    try:
        return np.concatenate(
            [link.stream(samples(1, seed)).cycles for seed in range(steps)]
        ).astype(np.int64)
    finally:
        link.timing = timing


def starve(board: ProcessBoard, seconds: float) -> None:
    """As on a host that gives an emulator, asleep over its line, no time for so long."""
    time.sleep(0.3)  # until it sleeps
    board.process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    board.process.send_signal(signal.SIGCONT)


@functools.cache
def folder() -> Path:
    """A project of the toy model for virtual-f405 and posix; removed at the end."""
    root = Path(tempfile.mkdtemp(prefix="tendon-toy-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    write_project(root / "project", "virtual-f405", model_files(), [], "toy model")
    return root


@functools.cache
def posix_image(flags: str = SANITIZE) -> Path:
    """The application as a process, under sanitizers unless told otherwise."""
    need("gcc", "make")
    return build_project(folder() / "project", "posix", Path(tempfile.mkdtemp(dir=folder())), flags)


@functools.cache
def image(board: str, flags: str = "") -> Path:
    """The application for a microcontroller."""
    need("arm-none-eabi-gcc", "make")
    project = Path(tempfile.mkdtemp(dir=folder())) / board
    write_project(project, board, model_files(), [], "toy model")
    return build_project(project, board, extra_flags=flags)


def f405_image() -> Path:
    """The application for the STM32F405."""
    return image("virtual-f405")


def need(*programs: str) -> None:
    """Skip with the reason where a tool is missing; in CI that is a failure."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing and os.environ.get("CI"):
        pytest.fail(f"{', '.join(missing)} is missing: run make tools")
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed (make tools)")


def need_emulator() -> None:
    """QEMU, the same for every emulated board."""
    emulator = load_board("virtual-f405").emulator
    assert emulator is not None
    need(emulator.command)


# --- lines that do harm ---------------------------------------------------------------------------

GOOD, LOSE, DAMAGE, DOUBLE, SWAP, CUT, NOISE = (
    "good",
    "lose",
    "damage",
    "double",
    "swap",
    "cut",
    "noise",
)
FAULTS = (LOSE, DAMAGE, DOUBLE, SWAP, CUT, NOISE)


class Tamper:
    """Does to the frames of one direction, one after the other, what a schedule says; afterwards
    lets everything pass."""

    def __init__(self, schedule: Sequence[tuple[str, int]]):
        self._schedule: Iterator[tuple[str, int]] = iter(schedule)
        self._held = b""
        self.done = 0

    def __call__(self, frame: bytes) -> bytes:
        fault, where = next(self._schedule, (GOOD, 0))
        self.done += fault != GOOD
        at = where % len(frame)
        if fault == SWAP:
            held, self._held = self._held, frame
            return held
        held, self._held = self._held, b""
        changed = {
            GOOD: frame,
            LOSE: b"",
            DAMAGE: frame[:at] + bytes([frame[at] ^ (1 + where % 255)]) + frame[at + 1 :],
            DOUBLE: frame + frame,
            CUT: frame[:at],
            NOISE: bytes((where * k) % 256 for k in range(1, 2 + where % 40)) + frame,
        }[fault]
        return changed + held


def kind_of(frame: bytes) -> int:
    """The type of an encoded frame, of whatever session."""
    return cobs.decode(frame.strip(b"\0"))[0]


class HarmfulLine:
    """A line in whose middle someone sits."""

    def __init__(self, inner: Line, outward: Tamper, inward: Tamper):
        self.name = f"harmful {inner.name}"
        self.inner, self.outward, self.inward = inner, outward, inward
        self._rest = b""

    def send(self, content: bytes) -> None:
        self.inner.send(self.outward(content))

    def receive(self, timeout_s: float) -> bytes:
        content = self._rest + self.inner.receive(timeout_s)
        end = content.rfind(b"\0") + 1
        self._rest = content[end:]
        return b"".join(
            self.inward(b"\0" + block + b"\0") for block in content[:end].split(b"\0") if block
        )

    def close(self) -> None:
        self.inner.close()
