"""A fault is told after the reset it causes: what it was, where, and who called; nothing is told
that RAM merely happens to hold."""

from __future__ import annotations

import dataclasses
import re
import socket
import struct
import subprocess
import zlib
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from export.boards import load_board
from export.c.project import build_project, write_project
from host import faults
from host import protocol as p
from host.boards import ProcessBoard, open_board, open_emulator
from host.conversation import Timing
from host.errors import BoardLostError, NoBoardError
from host.image import Image
from host.run import Run
from tests import toy

F405, M7, M33, M55 = "virtual-f405", "virtual-m7", "virtual-m33", "virtual-m55"
DECLARED = b"""#include <stdint.h>
uint32_t read_at(uint32_t address);
void undefined(void);
uint32_t deep(uint32_t turn);
void hang(void);
void jump(uint32_t address);
void interrupt(void);
"""
PROVOKED = (
    DECLARED
    + b"""
uint32_t read_at(uint32_t address)
{
    return *(volatile uint32_t *)(uintptr_t)address; /* here: read_at */
}

void undefined(void)
{
    __asm volatile("udf #1"); /* here: undefined */
}

uint32_t deep(uint32_t turn)
{
    volatile uint32_t kept[20];
    kept[turn % 20u] = turn;
    if (kept[turn % 20u] == 0xFFFFFFFFu)
        return 0;
    return deep(turn + 1u) + kept[turn % 20u]; /* here: deep */
}

void hang(void)
{
    for (;;) {
        __asm volatile("nop"); /* here: hang */
    }
}

void jump(uint32_t address)
{
    ((void (*)(void))(uintptr_t)address)(); /* here: jump */
    __asm volatile("nop");
}

void interrupt(void)
{
    *(volatile uint32_t *)0xE000E100u = 1u << 5; /* enabled, pending */
    *(volatile uint32_t *)0xE000E200u = 1u << 5;
    __asm volatile("dsb\\n\\tisb");
}
"""
)
LINES = {
    found[1].decode(): number
    for number, line in enumerate(PROVOKED.splitlines(), 1)
    if (found := re.search(rb"here: (\w+)", line))
}


def faulty_image(folder: Path, board: str, call: str) -> Path:
    """The toy model, which in its second step does what it should not."""
    files = toy.model_files()
    files["provoked.c"] = PROVOKED
    counted = b"state[511]++;"
    fault = f'if (state[511] == 2) {{ {call}; __asm volatile("nop"); }}'  # no tail call
    files["model.c"] = DECLARED + files["model.c"].replace(counted, counted + fault.encode())
    write_project(folder / "p", board, files, [], "toy model with a fault")
    return build_project(folder / "p", board)


def fault_of(board: ProcessBoard) -> tuple[BoardLostError, p.Past]:
    """Streams into the fault; what the run was told, and what the board says when asked again."""
    with pytest.raises(BoardLostError, match="the board was reset") as lost:
        Run(toy.samples(3)).start(board.link)
    return lost.value, board.link.handshake().past


@pytest.mark.parametrize(
    ("board", "call", "function", "said", "stack"),
    [
        (
            F405,
            "(void)read_at(0x30000000u)",
            "read_at",
            "HardFault, precise data bus error at 0x30000000, in read_at",
            faults.INSIDE,
        ),
        (
            M7,
            "(void)read_at(0x30000000u)",
            "read_at",
            "HardFault, precise data bus error at 0x30000000, in read_at",
            faults.INSIDE,
        ),
        (M55, "undefined()", "undefined", "HardFault, undefined instruction, in", faults.INSIDE),
        (
            F405,
            "(void)deep(1)",
            "deep",
            "the stack overflowed, it seems near deep",
            faults.OVERFLOWED,
        ),
        (
            M55,
            "(void)deep(1)",
            "deep",
            "the stack overflowed, it seems near deep",
            faults.OVERFLOWED,
        ),
        (
            M33,
            "(void)deep(1)",
            "deep",
            "the stack overflowed, it seems near deep",
            faults.OVERFLOWED,
        ),
        (
            M33,
            "jump(0)",
            "jump",
            "HardFault, jump to an address that is no code's, at 0x00000000, called from jump",
            faults.INSIDE,
        ),
        (
            F405,
            "jump(0x40000001u)",
            "jump",
            "instruction from memory that holds no code, at 0x40000000, called from jump",
            faults.INSIDE,
        ),
    ],
)
def test_a_fault_is_told_with_its_function_and_line(
    board: str, call: str, function: str, said: str, stack: int, tmp_path: Path
) -> None:
    toy.need_emulator()
    image = faulty_image(tmp_path, board, call)
    with open_board(board, image, toy.MODEL_HASH, toy.PATIENT) as connected:
        assert isinstance(connected, ProcessBoard)
        first = connected.link.handshake().past
        assert (first.cause, first.exception, first.faults) == (faults.POWER_ON, 0, 0)
        lost, past = fault_of(connected)
    assert (past.cause, past.stack, past.exception, past.starts, past.faults) == (
        faults.FAULT,
        stack,
        3,
        1,
        1,
    )
    told = lost.told
    assert told is not None and told == faults.tell(past, image)
    assert (told.cause, told.function, told.file, told.line) == (
        "fault",
        function,
        "model/provoked.c",
        LINES[function],
    )
    assert said in told.text and told.text[1:] in str(lost)
    if stack == faults.INSIDE and function != "jump":
        assert re.search(r"called from \w+ \(model/model\.c:\d+\)", told.text)


@pytest.mark.parametrize("board", [F405, M33])
def test_an_interrupt_without_a_handler_is_told_by_its_number(board: str, tmp_path: Path) -> None:
    toy.need_emulator()
    image = faulty_image(tmp_path, board, "interrupt()")
    with open_board(board, image, toy.MODEL_HASH, toy.PATIENT) as connected:
        assert isinstance(connected, ProcessBoard)
        connected.link.handshake()
        lost, past = fault_of(connected)
    assert (past.cause, past.exception, past.pc) == (faults.FAULT, 21, 0)
    assert lost.told is not None and lost.told.function == ""
    assert "by a fault: interrupt 5, which has no handler (pc 0x00000000" in lost.told.text


@pytest.mark.parametrize("board", [M7, M55])
def test_a_watchdog_says_where_the_program_hung(board: str, tmp_path: Path) -> None:
    toy.need_emulator()
    image = faulty_image(tmp_path, board, "hang()")
    with open_board(board, image, toy.MODEL_HASH, toy.PATIENT) as connected:
        assert isinstance(connected, ProcessBoard)
        connected.link.handshake()
        lost, past = fault_of(connected)
    told = lost.told
    assert told is not None and (told.cause, told.function) == ("watchdog", "hang")
    assert abs(told.line - LINES["hang"]) <= 1 and past.cause == faults.WATCHDOG
    assert "reset by its watchdog" in told.text and "it was in hang (model/provoked.c" in told.text
    assert "NMI" not in told.text


# --- what RAM holds -------------------------------------------------------------------------------


def kept_at(image: Path) -> int:
    """Where the record lies."""
    with image.open("rb") as file:
        symbols = ELFFile(file).get_section_by_name(".symtab")
        assert isinstance(symbols, SymbolTableSection)
        return int(next(s["st_value"] for s in symbols.iter_symbols() if s.name == "kept"))


def record(code_crc: int, magic: int = 0x46415554, starts: int = 0) -> bytes:
    """As firmware/port/cortex-m/fault.c lays it out."""
    words = (magic, code_crc, 3, 0x08000200, 0x08000301, 0, 0x20000F00, 0x8200, 1 << 30, 7)
    body = struct.pack("<12I", *words, starts, 4)
    return body + struct.pack("<I", zlib.crc32(body))


def past_of(content: bytes, folder: Path) -> p.Past:
    """What the toy board says when RAM held this before it started."""
    toy.need_emulator()
    image, file = toy.f405_image(), folder / "ram.bin"
    file.write_bytes(content)
    load = ["-device", f"loader,file={file},addr={kept_at(image):#x},force-raw=on"]
    with open_emulator(load_board(F405), image, toy.MODEL_HASH, extra=load) as board:
        return board.link.handshake().past


def test_what_a_reset_left_is_told_field_by_field(tmp_path: Path) -> None:
    crc = Image(toy.f405_image()).code_crc
    assert past_of(record(crc), tmp_path) == p.Past(
        cause=faults.FAULT,
        stack=0,
        flags=0,
        code_crc=crc,
        exception=3,
        pc=0x08000200,
        lr=0x08000301,
        caller=0,
        sp=0x20000F00,
        cfsr=0x8200,
        hfsr=1 << 30,
        address=7,
        starts=1,
        faults=4,
    )


def test_a_fault_of_an_earlier_start_is_told_as_such(tmp_path: Path) -> None:
    past = past_of(record(Image(toy.f405_image()).code_crc, starts=2), tmp_path)
    assert (past.cause, past.starts, past.by_fault) == (faults.UNKNOWN, 3, False)
    told = faults.tell(past)
    assert told is not None and "3 starts ago there was a fault: HardFault" in told.text


@pytest.mark.parametrize("kind", ["zeros", "ones", "noise", "magic alone", "one bit", "no magic"])
def test_what_power_on_leaves_in_memory_is_no_record(kind: str, tmp_path: Path) -> None:
    good = record(Image(toy.f405_image()).code_crc)
    content = {
        "zeros": bytes(52),
        "ones": b"\xff" * 52,
        "noise": bytes((7 * k * k + 13) % 256 for k in range(52)),
        "magic alone": good[:4] + bytes(48),
        "one bit": good[:20] + bytes([good[20] ^ 1]) + good[21:],
        "no magic": record(Image(toy.f405_image()).code_crc, magic=1),
    }[kind]
    past = past_of(content, tmp_path)
    assert dataclasses.replace(past, code_crc=0) == dataclasses.replace(
        p.NOTHING, cause=faults.POWER_ON
    )


def test_the_fault_of_another_image_is_not_told(tmp_path: Path) -> None:
    """Its addresses would name lines of this one."""
    past = past_of(record(1 + Image(toy.f405_image()).code_crc), tmp_path)
    assert (past.exception, past.pc, past.cause) == (0, 0, faults.UNKNOWN)


def _machine_reset(path: Path) -> None:
    """The reset button, through QEMU's own monitor: the one for people, since the one for programs
    now and then never answers while instructions are counted (QEMU 7.2)."""
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(str(path))
        for command in (b"", b"system_reset\n"):
            control.sendall(command)
            said = b""
            while not said.endswith(b"(qemu) "):
                said += control.recv(1024)


def test_a_fault_is_kept_over_more_than_one_reset(tmp_path: Path) -> None:
    toy.need_emulator()
    image, control = faulty_image(tmp_path, F405, "undefined()"), tmp_path / "control"
    extra = ["-chardev", f"socket,id=control,path={control},server=on,wait=off"]
    extra += ["-mon", "chardev=control,mode=readline"]
    with open_emulator(load_board(F405), image, toy.MODEL_HASH, toy.PATIENT, extra) as board:
        board.link.handshake()
        _, first = fault_of(board)
        _machine_reset(control)
        later = board.link.handshake().past
        _, second = fault_of(board)
    assert (later.pc, later.starts, later.faults) == (first.pc, 2, 1) and not later.by_fault
    assert (second.pc, second.starts, second.faults) == (first.pc, 1, 2) and second.by_fault


# --- the handler ----------------------------------------------------------------------------------


@pytest.mark.parametrize("board", [F405, M7, M55])
def test_under_a_debugger_it_stops_before_it_has_touched_anything(board: str) -> None:
    """DHCSR.C_DEBUGEN, which QEMU never sets: so the way through the code is read."""
    listing = subprocess.run(
        ["arm-none-eabi-objdump", "-d", "--disassemble=Fault_Handler", toy.image(board)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    steps = re.findall(r"^ +[0-9a-f]+:\t[0-9a-f ]+\t(\S+)\t?([^\n@;]*)", listing, re.MULTILINE)
    words = [f"{name} {operands}".strip().replace("\t", " ") for name, operands in steps]
    assert [w.split()[0].split(".")[0] for w in words[:6]] == [
        *("movw", "movt", "ldr", "lsls", "bpl", "bkpt")
    ]
    assert words[0].startswith("movw r0, #60912") and words[1].startswith("movt r0, #57344")
    assert "r0, r0, #31" in words[3], "bit 0 is now the sign"


def test_the_breakpoint_is_taken_when_the_bit_is_set(tmp_path: Path) -> None:
    """Read from SysTick's control instead, whose bit 0 is 1 while it counts: a breakpoint in a
    fault that no debugger takes ends QEMU."""
    toy.need_emulator()
    faulty_image(tmp_path, F405, "undefined()")
    handler = tmp_path / "p" / "port" / "cortex-m" / "fault.c"
    source = handler.read_text()
    assert source.count("movw r0, #0xEDF0") == 1
    handler.write_text(source.replace("movw r0, #0xEDF0", "movw r0, #0xE010"))
    image = build_project(tmp_path / "p", F405)
    with open_board(F405, image, toy.MODEL_HASH, toy.PATIENT) as board:
        board.link.handshake()
        with pytest.raises(BoardLostError, match=r"SIGABRT and said: [\s\S]*Lockup"):
            Run(toy.samples(3)).start(board.link)


def test_the_record_is_small_and_lies_where_no_image_moves_it() -> None:
    with toy.f405_image().open("rb") as file:
        section = ELFFile(file).get_section_by_name(".noinit")
        assert section is not None
        assert section["sh_type"] == "SHT_NOBITS" and section["sh_size"] < 64
        ram = load_board(F405).memory["ram"]
        assert section["sh_addr"] == ram.origin + load_board(F405).stack_bytes


# --- a board that never gets as far as an answer --------------------------------------------------


def test_a_board_that_faults_after_every_start_says_so_in_the_check_list(tmp_path: Path) -> None:
    toy.need_emulator()
    write_project(tmp_path / "p", M7, toy.model_files(), [], "toy model")
    app = tmp_path / "p" / "app" / "app.c"
    source = app.read_text()
    read = "    const uint32_t count = port_read"
    assert read in source
    app.write_text(source.replace(read, f"    __builtin_trap();\n{read}"))
    timing = Timing(answer_s=0.2, boot_s=4.0)
    image = build_project(tmp_path / "p", M7)
    with (
        open_board(M7, image, toy.MODEL_HASH, timing) as board,
        pytest.raises(NoBoardError) as error,
    ):
        board.link.handshake()
    said = str(error.value)
    assert re.search(r"seen +the board started \d+ times while it was asked: the board was", said)
    assert "undefined instruction, in app_turn (app/app.c:" in said
    assert "fault number" in said and "next   mend what it says" in said
