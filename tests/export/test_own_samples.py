"""What the examples know of a front end: its words become samples, and of two buffers that hardware
fills none is read twice, and none that was overwritten passes for whole."""

from __future__ import annotations

import ctypes
import functools
import re
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compress import graph as g
from compress.graph.samples import to_int16
from export.c import emit, examples
from tests import toy
from tests.export import loops
from tests.firmware.chip.facts import FACTS

WRAPPERS = """#include "own_samples.h"
void convert(int16_t *words, uint32_t count) { own_samples(words, count); }
void filled(two_buffers *self, uint32_t filling) { buffer_filled(self, filling); }
int waits(const two_buffers *self) { return buffer_waits(self); }
uint32_t next(const two_buffers *self) { return buffer_next(self); }
uint32_t done(two_buffers *self) { return buffer_done(self); }
"""
ALL = np.arange(-32768, 32768).astype(np.int16)
several = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


class TwoBuffers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("filled", "taken", "lost")]


@functools.cache
def graph() -> g.Graph:
    return loops.integer(loops.two_loops())


@functools.cache
def sources() -> Path:
    """The header of a network, and own_samples.h of its project."""
    toy.need("gcc")
    folder = Path(tempfile.mkdtemp(dir=toy.folder()))
    model = emit.build(graph())
    for name, content in {**emit.files(model), **examples.files(model, "posix")}.items():
        if name.endswith(".h") and name.startswith(("model/", "examples/")):
            (folder / Path(name).name).write_bytes(content)
    (folder / "wrappers.c").write_text(WRAPPERS)
    return folder


@functools.cache
def compiled(scale: float | None = None, zero: int = 0) -> ctypes.CDLL:
    """own_samples.h for a front end, as a library of this machine; where an integer overflows it
    ends."""
    out = Path(tempfile.mkdtemp(dir=sources())) / "own.so"
    front_end = [f"-DFRONT_END_ZERO={zero}"]
    front_end += [f"-DFRONT_END_SCALE={scale!r}"] if scale is not None else []
    warnings = ["-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
    traps = ["-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"]
    command = ["gcc", *warnings, *traps, "-shared", "-fPIC", *front_end, "wrappers.c", "-o", out]
    subprocess.run(command, cwd=sources(), check=True)
    return ctypes.CDLL(str(out))


# --- samples --------------------------------------------------------------------------------------


def converted(words: np.ndarray, scale: float | None = None, zero: int = 0) -> np.ndarray:
    """Of a front end's words as 16 bits."""
    found = words.astype(np.uint16).view(np.int16).copy()
    compiled(scale, zero).convert(found.ctypes.data_as(ctypes.c_void_p), len(found))
    return found


def test_the_words_of_the_network_stay_what_they_are() -> None:
    low, high = graph().input.lo, graph().input.hi
    np.testing.assert_array_equal(converted(ALL), ALL.clip(low, high))


@pytest.mark.parametrize("ratio", [1.0, 0.5, 0.37, 4.0, 1 / 4096, 0.0, 8192.0])
@pytest.mark.parametrize("zero", [0, 32768, 2048])
def test_every_word_of_a_front_end_becomes_the_nearest_sample(ratio: float, zero: int) -> None:
    check_all(ratio * step(), zero)


@several
@given(
    ratio=st.floats(2.0**-20, 8192.0),
    zero=st.sampled_from([0, 0, 1, 512, 2048, 32768, 65535]),
)
def test_so_does_that_of_any_front_end(ratio: float, zero: int) -> None:
    check_all(ratio * step(), zero)


def test_samples_of_a_signal_are_those_that_the_host_makes_of_it() -> None:
    """A converter of 16 bits without a sign, four times as fine as the network."""
    scale = step() / 4
    signal = np.random.default_rng(3).standard_normal((200, graph().input.features)) * 0.3
    words = np.round(signal / scale).clip(-32768, 32767) + 32768
    found = converted(words.reshape(-1), scale, 32768).reshape(signal.shape)
    expected = to_int16(graph(), (words - 32768) * scale)
    assert np.abs(found.astype(int) - expected).max() <= 1, "of halves the one below or above"
    assert (found == expected).mean() > 0.85


def step() -> float:
    """What one of a sample is worth, as the header has it."""
    return float(f"{graph().input.scale:.9g}")


def check_all(scale: float, zero: int) -> None:
    words = ALL.astype(np.int64) if zero == 0 else np.arange(65536)
    real = (words - zero) * scale / step()
    found = converted(words, scale, zero)
    held = real.clip(graph().input.lo, graph().input.hi)
    assert np.abs(found - held).max() <= 0.5 + 2.0**-15
    assert (np.diff(found.astype(int)) >= 0).all()


def test_the_registers_of_the_dma_are_where_the_maker_has_them() -> None:
    source = examples.SOURCES / "nucleo-f446re" / "own_samples_f446.c"
    values = {"GPIOA": FACTS["nucleo-f446re"]["GPIOA"]}
    defined = re.findall(r"#define (\w+) (.+?)(?: +/\*.*)?$", source.read_text(), re.MULTILINE)
    for name, expression in defined:
        plain = re.sub(r"\b(0x\w+?|\d+)u\b", r"\1", expression.replace("REGISTER", ""))
        values[name] = eval(plain, {}, dict(values))
    del values["GPIOA"]
    assert values == FACTS[source.name]


# --- two buffers ----------------------------------------------------------------------------------


class Hardware:
    """Fills buffer 0, 1, 0, … with numbers 0, 1, 2, …; what lies in a buffer is lost as soon as it
    is filled again. An interrupt that comes while another waits is lost."""

    def __init__(self) -> None:
        self.library, self.state = compiled(), TwoBuffers()
        self.fills, self.pending = 0, False

    def fill(self, told: bool) -> None:
        """`told`: the interrupt is served at once."""
        self.fills += 1
        self.pending = True
        if told:
            self.serve()

    def serve(self) -> None:
        if self.pending:
            self.library.filled(ctypes.byref(self.state), self.fills & 1)
        self.pending = False

    def whole(self, number: int) -> bool:
        """Whether this buffer is full, and not being filled again."""
        return self.fills - 2 < number < self.fills

    def waits(self) -> bool:
        return bool(self.library.waits(ctypes.byref(self.state)))

    def next(self) -> int:
        return int(self.library.next(ctypes.byref(self.state)))

    def done(self) -> int:
        return int(self.library.done(ctypes.byref(self.state)))


def test_a_program_that_keeps_up_loses_nothing() -> None:
    hardware = Hardware()
    for number in range(100):
        assert not hardware.waits()
        hardware.fill(told=True)
        assert hardware.waits() and hardware.next() == number & 1
        assert hardware.done() == 0
    assert hardware.state.lost == 0


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("during", [1, 2, 3, 10])
def test_a_step_that_takes_too_long_is_known_and_counted(during: int, told: bool) -> None:
    """`told`: by an interrupt for each buffer, or by one for the last two of them."""
    hardware = Hardware()
    hardware.fill(told=True)
    assert hardware.next() == 0
    for index in range(during):
        hardware.fill(told=told or index != during - 2)
    assert hardware.done() == during == hardware.state.lost
    assert hardware.waits() and hardware.next() == during & 1
    assert hardware.whole(during), "the newest"
    assert hardware.done() == 0 and not hardware.waits()


@several
@given(st.lists(st.sampled_from("ttttlss"), max_size=120))
def test_no_buffer_is_read_twice_nor_one_that_was_overwritten_passed_as_whole(events: str) -> None:
    """t: one is filled; l: one is, and its interrupt is lost to the next one's, which comes; s: the
    program begins a step, or ends the one that it is in."""
    hardware = Hardware()
    stepping, last, good = -1, -1, 0
    for event in events:
        if event == "t":
            hardware.fill(told=True)
        elif event == "l":
            hardware.fill(told=False)
            hardware.fill(told=True)
        elif stepping < 0 and hardware.waits():
            stepping = hardware.state.taken
            assert hardware.next() == stepping & 1 and stepping > last
        elif stepping >= 0:
            whole, last = hardware.whole(stepping), stepping
            assert (hardware.done() == 0) == whole
            good, stepping = good + whole, -1
    assert hardware.state.filled == hardware.fills
    assert hardware.state.taken == good + hardware.state.lost


def test_counts_pass_the_end_of_32_bits() -> None:
    hardware = Hardware()
    hardware.state.filled = hardware.state.taken = 2**32 - 2
    hardware.fills = 2**32 - 2
    for number in range(4):
        hardware.fill(told=True)
        assert hardware.waits() and hardware.next() == number & 1 and hardware.done() == 0
