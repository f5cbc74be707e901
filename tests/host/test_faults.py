"""What a board says of its reset and its fault, in words; lines are named by its own image."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import pytest

from host import faults
from host import protocol as p
from host.boards import open_process
from host.image import Image
from tests import toy

FAULT = p.Past(
    cause=faults.FAULT,
    stack=faults.INSIDE,
    flags=0,
    code_crc=1,
    exception=3,
    pc=0x08000200,
    lr=0x08000301,
    caller=0,
    sp=0x20000F00,
    cfsr=0x8200,
    hfsr=1 << 30,
    address=0x30000000,
    starts=1,
    faults=1,
)


def words(**changes: int) -> str:
    told = faults.tell(dataclasses.replace(FAULT, **changes))
    assert told is not None
    return told.text


@pytest.mark.parametrize("cause", faults.CAUSES)
def test_every_cause_has_words_of_its_own(cause: int) -> None:
    told = faults.tell(dataclasses.replace(p.NOTHING, cause=cause))
    if cause == faults.UNKNOWN:
        assert told is None
        return
    assert told is not None and told.text == f"the board {faults.CAUSES[cause][1]}"
    assert told.cause == faults.CAUSES[cause][0]
    assert len({text for _, text in faults.CAUSES.values()}) == len(faults.CAUSES)


def test_a_cause_of_a_later_version_is_unknown() -> None:
    told = faults.tell(dataclasses.replace(p.NOTHING, cause=99))
    assert told is not None and told.cause == "unknown"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "HardFault, precise data bus error at 0x30000000 (pc 0x08000200, lr 0x08000301"),
        ({"cfsr": 0x0400}, "HardFault, imprecise data bus error (of an instruction somewhat"),
        ({"cfsr": 0x0082, "exception": 4}, "MemManage fault, access to protected memory at 0x3"),
        ({"cfsr": 0x10000}, "HardFault, undefined instruction (pc"),
        ({"cfsr": 0x2000000}, "HardFault, division by zero (pc"),
        ({"cfsr": 0, "hfsr": 2}, "HardFault, vector table that cannot be read (pc"),
        ({"cfsr": 0, "exception": 16 + 37}, "interrupt 37, which has no handler (pc"),
        ({"cfsr": 0, "exception": 2}, "NMI (pc"),
        ({"cfsr": 0, "exception": 9}, "exception 9 (pc"),
        ({"stack": faults.OVERFLOWED}, "HardFault, the stack overflowed (lr"),
        ({"stack": faults.LOST}, "the stack pointer is nowhere near the stack, precise data"),
        ({"faults": 3}, "fault number 3 since its power came on"),
        (
            {"starts": 2, "cause": faults.PIN},
            "was reset by its pin: the button, or whoever pulls it; 2 starts ago there was a fault"
            ": HardFault",
        ),
        ({"exception": 2, "cause": faults.WATCHDOG}, "in time: it was at (pc 0x08000200, lr"),
    ],
)
def test_a_fault_is_said_in_words(changes: dict[str, int], said: str) -> None:
    assert said in words(**changes)


def test_without_the_board_s_own_image_no_line_is_named(tmp_path: Path) -> None:
    """Another image's symbols would name a wrong one."""
    toy.need("arm-none-eabi-gcc")
    image = toy.f405_image()
    known = Image(image)
    place = next(known.place(at) for at in range(0x08000000, 0x08002000, 2) if known.place(at).line)
    own = dataclasses.replace(FAULT, code_crc=known.code_crc, pc=place.address)
    told, other = faults.tell(own, image), faults.tell(dataclasses.replace(own, code_crc=2), image)
    assert told is not None and other is not None
    assert (told.function, told.file, told.line) == (place.function, place.file, place.line)
    assert f"in {place}" in told.text and "no line" not in told.text
    assert (other.function, other.file, other.line) == ("", "", 0)
    assert "firmware.elf here is not the board's image" in other.text
    assert "no image is at hand" in words()
    missing = faults.tell(own, tmp_path / "absent.elf")
    assert missing is not None and "absent.elf cannot be read" in missing.text


def test_an_image_names_function_and_line_of_an_address() -> None:
    toy.need("arm-none-eabi-gcc")
    image = Image(toy.f405_image())
    inside = next(a for a, _, name in image._functions if name == "crc32") + 8
    place = image.place(inside | 1)
    assert (place.function, place.file) == ("crc32", "app/crc32.c") and place.line > 10
    assert str(place) == f"crc32 (app/crc32.c:{place.line})"
    assert str(image.place(0x20000000)) == "0x20000000"


@pytest.mark.parametrize("board", ["virtual-f405", "virtual-m7"])
def test_lines_are_those_that_the_toolchain_names(board: str) -> None:
    """Of every function; and none of what the linker left out, whose lines begin at 0."""
    toy.need("arm-none-eabi-addr2line")
    path = toy.image(board)
    image = Image(path)
    begins = [address for address, _, _ in image._functions]
    said = subprocess.run(
        ["arm-none-eabi-addr2line", "-s", "-e", path, *map(hex, begins)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    named = [
        (image.place(at), line) for at, line in zip(begins, said, strict=True) if ":?" not in line
    ]
    assert len(named) > 40
    for place, line in named:
        assert f"{place.file.split('/')[-1]}:{place.line}" == line.split(" ")[0]
    assert [str(image.place(at)) for at in (0, 16, 64)] == [
        "0x00000000",
        "0x00000010",
        "0x00000040",
    ]


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.elf").write_bytes(b"no ELF")
    with pytest.raises(ValueError, match="no image that can be read"):
        Image(tmp_path / "x.elf")


def test_a_process_says_nothing_of_what_was_before() -> None:
    with open_process(toy.posix_image(), toy.MODEL_HASH, toy.QUICK) as board:
        hello = board.link.handshake()
    assert hello.past == p.NOTHING and hello.memory == ""
    assert faults.tell(hello.past) is None and hello.compiler.startswith("gcc")


@pytest.mark.parametrize("size", [2, 40, 96, 400])
def test_a_hello_of_another_version_is_read_as_far_as_its_version(size: int) -> None:
    """Whatever its length: older ones are shorter."""
    payload = (2).to_bytes(2, "little") + bytes(size - 2)
    assert p.Hello.parse(payload).version == 2
    with pytest.raises(ValueError, match="bytes"):
        p.Hello.parse(p.VERSION.to_bytes(2, "little") + bytes(100))
