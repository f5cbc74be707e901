"""The emulated STM32F405 over its real USART: same outputs, exact counts, limits kept, reset
survived."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from compress.artifacts import Folder
from compress.interpreter.integer import IntegerInterpreter
from export import build
from export.boards import load_board
from host import protocol as p
from host.boards import ProcessBoard, open_board, open_emulator, open_process
from host.errors import BoardLostError, DamagedImageError, NoBoardError
from host.run import Run
from tests import toy
from tests.firmware.test_native import samples_for

BOARD = "virtual-f405"
BYTE_TIME_CYCLES = 1822  # 10 bits at 921600 baud, 168 MHz


@pytest.fixture(scope="module")
def board() -> Iterator[ProcessBoard]:
    toy.need_emulator()
    with open_board(BOARD, toy.f405_image(), toy.MODEL_HASH) as board:
        assert isinstance(board, ProcessBoard)
        board.link.handshake()
        yield board


def disassembly(*options: str) -> str:
    done = subprocess.run(
        ["arm-none-eabi-objdump", "-d", *options, toy.f405_image()],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_the_emulated_board_computes_what_the_model_says(board: ProcessBoard) -> None:
    content = toy.samples(5)
    run = Run(content, snapshot_every=3)
    result = run.start(board.link)
    np.testing.assert_array_equal(result.outputs, toy.run(content))
    status = board.link.status()
    assert (status.frames, status.overruns, status.bytes_dropped, status.frames_bad) == (5, 0, 0, 0)
    assert result.traffic.frames_repeated == 0


def test_a_step_is_counted_in_executed_instructions(board: ProcessBoard) -> None:
    """96 · 99 turns of an inner loop of about ten instructions; equal work gives equal counts but
    for SysTick and one tick."""
    board.link.reset()
    cycles = toy.counted_alone(board.link, 3)
    assert board.link.hello is not None and board.link.hello.counts == "instructions"
    assert cycles.min() > 96 * 99 * 5 and cycles.max() < 96 * 99 * 20
    assert cycles.max() - cycles.min() < 100


def test_the_board_says_what_it_is(board: ProcessBoard) -> None:
    hello = board.link.hello
    assert hello is not None
    assert (hello.board, hello.clock_hz, hello.stack_bytes) == (BOARD, 168_000_000, 4096)
    assert "-mcpu=cortex-m4" in hello.compiler and hello.compiler.startswith("gcc 1")
    assert hello.crc_found == hello.crc_expected and hello.crc_covers == p.COVERS_IMAGE


def test_the_stack_has_a_high_water_mark(board: ProcessBoard) -> None:
    status = board.link.status()
    assert 100 < status.stack_used < status.stack_bytes == 4096


def test_no_byte_can_be_lost_at_921600_baud(board: ProcessBoard) -> None:
    """Longest masked stretch, longest measured run of the handler, entry and exit, at a generous 4
    cycles an instruction."""
    hello, status = board.link.hello, board.link.status()
    assert hello is not None
    handler = status.handler_ticks_max * hello.tick_num // hello.tick_den
    assert 20 < handler < 200
    assert 4 * (status.masked_instructions + handler + 24) < BYTE_TIME_CYCLES


def test_interrupts_are_masked_in_one_place_for_no_longer_than_stated(board: ProcessBoard) -> None:
    listing = disassembly()
    assert not re.search(r"\b(msr\s+(PRIMASK|BASEPRI|FAULTMASK)|cpsid\s+f)", listing)
    stretches = re.findall(r"cpsid\s+i\n(.*?)cpsie\s+i\n", listing, re.DOTALL)
    assert len(stretches) == listing.count("cpsid") == 1
    assert len(stretches[0].splitlines()) <= board.link.status().masked_instructions
    assert not re.search(r"\bbl\b", stretches[0])


ORE, NF, FE, RXNE = 8, 4, 2, 32


@pytest.mark.parametrize(
    ("readings", "ring", "counts"),
    [
        ([(RXNE, "a"), (RXNE, "b")], "ab", "0 0 0"),
        ([(RXNE, "a"), (RXNE | ORE, "b"), (RXNE, "d")], "abd", "1 0 0"),
        ([(RXNE, "a"), (ORE, "a"), (RXNE, "c")], "ac", "1 0 0"),
        ([(RXNE | FE, "x"), (RXNE | NF, "y")], "xy", "0 0 2"),
        ([(RXNE, "a")] * 4099, "a" * 4096, "0 3 0"),
    ],
    ids=[
        "bytes",
        "overrun with a byte waiting",
        "overrun after the byte was read",
        "line errors",
        "ring full",
    ],
)
def test_the_receive_interrupt_keeps_and_counts(
    tmp_path: Path, readings: list[tuple[int, str]], ring: str, counts: str
) -> None:
    """QEMU never overruns, so its registers are fed to the handler by hand. What is lost is left to
    the CRC of the frame."""
    toy.need("gcc")
    port, app = (toy.folder() / "project" / part for part in ("port/cortex-m", "app"))
    source = Path(__file__).parent / "receive_test.c"
    subprocess.run(
        [
            "gcc",
            "-std=c11",
            "-Wall",
            "-Werror",
            f"-I{port}",
            f"-I{app}",
            source,
            "-o",
            tmp_path / "test",
        ],
        check=True,
    )
    fed = bytes(b for status, byte in readings for b in (status, ord(byte)))
    done = subprocess.run([tmp_path / "test"], input=fed, capture_output=True, check=True)
    assert done.stdout.decode() == f"{ring}|{counts}"


def test_no_floating_point_and_no_heap_in_the_image() -> None:
    assert not re.search(r"\tv(ldr|str|add|mul|mov|cvt|push|pop|mla)", disassembly())
    with toy.f405_image().open("rb") as file:
        symbols = ELFFile(file).get_section_by_name(".symtab")
        assert isinstance(symbols, SymbolTableSection)
        names = {symbol.name for symbol in symbols.iter_symbols()}
    assert not names & {
        "malloc",
        "free",
        "_sbrk",
        "printf",
        "__aeabi_dadd",
        "__aeabi_fadd",
        "__aeabi_dmul",
        "__aeabi_fmul",
    }


def test_application_and_port_take_little() -> None:
    """Whatever the network, this much of flash and RAM goes to everything else."""
    with toy.f405_image().open("rb") as file:
        sizes = {s.name: s["sh_size"] for s in ELFFile(file).iter_sections()}
    assert sizes[".vectors"] + sizes[".text"] + sizes[".rodata"] < 8192
    ram = sizes[".stack"] + sizes[".data"] + sizes[".bss"]
    assert ram < 20 * 1024, (
        "4 KiB stack, 4 KiB ring, 6 KiB samples, 2 KiB state of the toy model, results, frames"
    )


def test_nothing_lies_in_core_coupled_memory() -> None:
    """QEMU's machine has none and faults there; the image is the same for both."""
    memory = {name: m for name, m in load_board(BOARD).memory.items() if name != "ccm"}
    with toy.f405_image().open("rb") as file:
        for section in ELFFile(file).iter_sections():
            if section["sh_flags"] & 2 and section["sh_size"]:
                begin, end = section["sh_addr"], section["sh_addr"] + section["sh_size"]
                assert any(
                    m.origin <= begin and end <= m.origin + m.size for m in memory.values()
                ), section.name


def test_a_damaged_image_answers_and_infers_nothing(tmp_path: Path) -> None:
    toy.need_emulator()
    image = toy.f405_image().read_bytes()
    at = image.index(toy.table_bytes()) + 7
    damaged = tmp_path / "firmware.elf"
    damaged.write_bytes(image[:at] + bytes([image[at] ^ 1]) + image[at + 1 :])
    with (
        open_board(BOARD, damaged) as board,
        pytest.raises(DamagedImageError, match="on virtual-f405 is damaged"),
    ):
        board.link.handshake()


def test_what_the_emulator_says_is_passed_on(tmp_path: Path) -> None:
    toy.need_emulator()
    damaged = tmp_path / "firmware.elf"
    damaged.write_bytes(b"no ELF")
    with (
        open_board(BOARD, damaged) as board,
        pytest.raises(
            NoBoardError, match=r"its process ended by SIG\w+ and said: qemu: fatal: Lockup"
        ),
    ):
        board.link.handshake()
    with pytest.raises(
        NoBoardError,
        match=(
            r"expected an image to run, found .*absent\.elf; run make firmware BOARD=virtual-f405"
        ),
    ):
        open_board(BOARD, tmp_path / "absent.elf")


def _machine_reset(path: Path) -> None:
    """The reset button, through QEMU's own control socket."""
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(str(path))
        stream = control.makefile("rw")
        stream.readline()
        for command in ("qmp_capabilities", "system_reset"):
            stream.write(json.dumps({"execute": command}) + "\n")
            stream.flush()
            while "return" not in json.loads(stream.readline()):
                pass


def test_a_reset_in_the_middle_of_a_run_is_survived(tmp_path: Path) -> None:
    """The emulated chip is reset; the run goes on from its snapshot, bit-exact."""
    toy.need_emulator()
    content, control = toy.samples(6, seed=8), tmp_path / "control"
    run = Run(content, snapshot_every=2)
    extra = ["-qmp", f"unix:{control},server=on,wait=off"]
    with open_emulator(load_board(BOARD), toy.f405_image(), toy.MODEL_HASH, extra=extra) as board:
        board.link.handshake()
        with pytest.raises(BoardLostError, match="the board was reset"):
            run.start(
                board.link,
                lambda step, outputs, ticks: _machine_reset(control) if step == 3 else None,
            )
        result = run.resume(board.link)
    np.testing.assert_array_equal(result.outputs, toy.run(content))


def test_a_run_begun_on_a_process_ends_on_the_chip(board: ProcessBoard) -> None:
    """A snapshot is of the model, not of the board."""
    content = toy.samples(5, seed=9)
    run = Run(content, snapshot_every=2)
    with open_process(toy.posix_image(), toy.MODEL_HASH, toy.QUICK) as first:
        first.link.handshake()
        with pytest.raises(BoardLostError):
            run.start(first.link, lambda step, outputs, ticks: first.kill() if step == 3 else None)
    np.testing.assert_array_equal(run.resume(board.link).outputs, toy.run(content))


def test_the_emulator_ends_with_its_board() -> None:
    toy.need_emulator()
    board = open_board(BOARD, toy.f405_image())
    assert isinstance(board, ProcessBoard)
    with pytest.raises(KeyboardInterrupt), board:
        raise KeyboardInterrupt
    assert board.process.poll() is not None


def test_weights_of_four_bits_are_exact_on_the_emulated_chip(quantized, tmp_path: Path) -> None:
    """TC_S4_small w4a16: kernels of their own, for one frame and for several, over the serial
    line."""
    toy.need_emulator()
    graph = quantized("TC_S4_small", "w4a16")[1]
    samples = samples_for(graph, 0.6)
    image = build.make_firmware(graph, Folder(tmp_path, graph.name, "w4a16"), BOARD)
    with open_board(BOARD, image, graph.hash()) as board:
        board.link.handshake()
        found = Run(samples).start(board.link).outputs
    expected = IntegerInterpreter(graph).run(samples[None])[0]
    assert len(found) == 12
    np.testing.assert_array_equal(found, expected)
