"""An image that lost a bit, in its code as well as in its tables: it infers nothing, or nothing
wrong.

FLIPS=40 asks for so many flips in the image of a network; without it a few in the toy model's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

from compress.artifacts import Folder
from compress.errors import TendonError
from compress.interpreter.integer import IntegerInterpreter
from export import build
from export.boards import load_board, names
from export.c.project import build_project, write_project
from host import protocol as p
from host.boards import open_board, open_emulator, open_process
from host.conversation import Timing
from host.errors import DamagedImageError
from tests import toy

BOARD = "virtual-f405"
LINKED = [name for name in names() if load_board(name).memory]
EMULATED = [name for name in LINKED if load_board(name).emulator]
SECTIONS = (  # that lie in flash, in the order of the CRC
    ".vectors",
    ".text",
    ".cold_tables",
    ".tables",
    ".rodata",
    ".ARM.extab",
    ".ARM.exidx",
    ".data",
)
FLIPS = int(os.environ.get("FLIPS") or 0)
SILENT = Timing(answer_s=0.2, silence_s=3.0, boot_s=3.0)  # a hang ends as silence


def stamp(image: Path) -> bytes:
    """What the build wrote into it."""
    with image.open("rb") as file:
        return ELFFile(file).get_section_by_name(".image_crc").data()


def crc(image: Path) -> int:
    """Over what it puts into flash."""
    with image.open("rb") as file:
        elf, found = ELFFile(file), 0
        for name in SECTIONS:
            section = elf.get_section_by_name(name)
            found = zlib.crc32(b"" if section is None else section.data(), found)
    return found


def flipped(image: Path, section: str, bit: int, out: Path) -> Path:
    """A copy with another bit, counted from the beginning of a section."""
    with image.open("rb") as file:
        header = ELFFile(file).get_section_by_name(section)
        at, size = header["sh_offset"], header["sh_size"]
    content = bytearray(image.read_bytes())
    content[at + bit // 8 % size] ^= 1 << bit % 8
    out.write_bytes(content)
    out.chmod(0o755)
    return out


def places(image: Path, count: int, seed: int) -> Iterator[tuple[str, int]]:
    """Sections and bits in them: half in code, the others spread over the rest of the flash."""
    random = np.random.default_rng(seed)
    with image.open("rb") as file:
        sizes = {
            section.name: section["sh_size"]
            for section in ELFFile(file).iter_sections()
            if section.name in (*SECTIONS, ".image_crc") and section["sh_size"]
        }
    others = [name for name in sizes if name != ".text"]
    for number in range(count):
        name = others[number // 2 % len(others)] if number % 2 else ".text"
        yield name, int(random.integers(8 * sizes[name]))


def answers(
    image: Path, board: str, model: str, samples: np.ndarray, timing: Timing = SILENT
) -> np.ndarray | None:
    """What an image answers; None when it is refused, by a named error."""
    try:
        with open_emulator(load_board(board), image, model, timing) as running:
            running.link.handshake()
            running.link.reset()
            return running.link.stream(samples).outputs
    except TendonError:
        return None


def check(image: Path, model: str, samples: np.ndarray, expected: np.ndarray, out: Path) -> None:
    """Flip by flip."""
    whole = answers(image, BOARD, model, samples, toy.PATIENT)
    assert whole is not None and np.array_equal(whole, expected)
    wrong = []
    for section, bit in places(image, FLIPS or 8, seed=1):
        found = answers(flipped(image, section, bit, out), BOARD, model, samples)
        if found is not None and not np.array_equal(found, expected):
            wrong.append((section, bit))
    assert wrong == [], "bits of sections: accepted, and answers others"


def test_flips_in_code_vectors_constants_and_tables_are_never_believed(tmp_path: Path) -> None:
    toy.need_emulator()
    samples = toy.samples(2)
    check(toy.f405_image(), toy.MODEL_HASH, samples, toy.run(samples), tmp_path / "firmware.elf")


@pytest.mark.skipif(not FLIPS, reason="FLIPS=40: some minutes")
def test_flips_in_the_image_of_a_network_are_never_believed(quantized, tmp_path: Path) -> None:
    toy.need_emulator()
    _, graph = quantized("TC_S4_small", "w8a16")
    image = build.make_firmware(graph, Folder(tmp_path, graph.name, "w8a16"), BOARD)
    steps = graph.start_up_steps + 4
    samples = np.random.default_rng(2).integers(
        -8000, 8000, (steps * graph.samples_per_step, graph.input.features)
    )
    samples = samples.astype(np.int16)
    expected = IntegerInterpreter(graph).run(samples[None])[0]
    check(image, graph.hash(), samples, expected, tmp_path / "firmware.elf")


@pytest.mark.parametrize("board", EMULATED)
def test_a_flip_in_unused_code_and_in_the_crc_itself_is_found_and_named(
    board: str, tmp_path: Path
) -> None:
    """Nothing that runs is damaged: only the check can tell."""
    toy.need_emulator()
    image, model = toy.image(board), toy.MODEL_HASH
    with open_emulator(load_board(board), image, model) as running:
        hello = running.link.handshake()
    assert hello.crc_covers == p.COVERS_IMAGE and hello.crc_found == hello.crc_expected == crc(
        image
    )
    last = 8 * _size(image, ".rodata") - 1
    for section, bit in ((".rodata", last), (".image_crc", 3), (".image_crc", 40)):
        damaged = flipped(image, section, bit, tmp_path / "firmware.elf")
        with (
            open_emulator(load_board(board), damaged, model) as running,
            pytest.raises(DamagedImageError, match="CRC-32 of its code and tables expected"),
        ):
            running.link.handshake()


def _size(image: Path, section: str) -> int:
    with image.open("rb") as file:
        return int(ELFFile(file).get_section_by_name(section)["sh_size"])


@pytest.mark.parametrize("board", LINKED)
def test_every_image_carries_the_crc_of_all_that_it_puts_into_flash(board: str) -> None:
    image = toy.image(board)
    assert stamp(image) == b"CRC1" + crc(image).to_bytes(4, "little")
    with image.open("rb") as file:
        loaded = {
            section.name
            for section in ELFFile(file).iter_sections()
            if section["sh_flags"] & 2 and section["sh_type"] == "SHT_PROGBITS"
        }
    assert loaded <= {*SECTIONS, ".image_crc"}


def test_a_build_without_the_tool_says_so_and_the_image_says_what_it_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No gzip: the tables are still checked, and HELLO does not claim more."""
    toy.need_emulator()
    write_project(tmp_path / "project", BOARD, toy.model_files(), [], "toy model")
    path = tmp_path / "bin"
    path.mkdir()
    for tool in ("sh", "arm-none-eabi-objdump", "awk", "dd", "head", "tail"):
        (path / tool).symlink_to(str(shutil.which(tool)))
    image = build_project(tmp_path / "project", BOARD)
    blank = tmp_path / "blank.elf"
    content = image.read_bytes().replace(stamp(image), bytes(8))
    blank.write_bytes(content)
    script = tmp_path / "project" / "port" / "cortex-m" / "stamp.sh"
    monkeypatch.setenv("PATH", str(path))
    command = ["sh", str(script), "arm-none-eabi-objdump", str(blank)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == f"{blank}: no CRC over its code: gzip was not found\n"
    assert blank.read_bytes() == content
    monkeypatch.undo()
    with open_emulator(load_board(BOARD), blank, toy.MODEL_HASH) as running:
        hello = running.link.handshake()
    assert hello.crc_covers == p.COVERS_TABLES and hello.crc_found == hello.crc_expected
    damaged, at = tmp_path / "firmware.elf", content.index(toy.table_bytes()) + 9
    damaged.write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
    with (
        open_board(BOARD, damaged, toy.MODEL_HASH) as running,
        pytest.raises(DamagedImageError, match="CRC-32 of the model's tables expected"),
    ):
        running.link.handshake()


def test_a_process_says_that_it_checks_its_tables_only() -> None:
    with open_process(toy.posix_image(), toy.MODEL_HASH, toy.QUICK) as running:
        assert running.link.handshake().crc_covers == p.COVERS_TABLES
