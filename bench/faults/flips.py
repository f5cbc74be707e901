"""Bits of an image that are not what was built: the board refuses, is silent, or is right."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

from bench.faults.campaign import Subject
from compress.report.progress import Bar
from host.boards import Board
from host.conversation import Timing
from host.errors import DamagedImageError, LinkError
from host.link import Link
from host.run import Run

REFUSED, SILENT, EQUAL, WRONG = "refused", "silent or lost", "equal", "wrong"
BRIEF = Timing(silence_s=15.0, boot_s=15.0, first_step_s=30.0)


def bits(image: Path, count: int, seed: int = 0) -> list[tuple[str, int, int]]:
    """(section, offset in the file, bit), half of them in code and half in what else is loaded."""
    rng = random.Random(seed)
    with image.open("rb") as file:
        loaded = [
            (s.name, s["sh_offset"], s["sh_size"], bool(s["sh_flags"] & SH_FLAGS.SHF_EXECINSTR))
            for s in ELFFile(file).iter_sections()
            if s["sh_type"] == "SHT_PROGBITS" and s["sh_flags"] & SH_FLAGS.SHF_ALLOC
        ]
    found = []
    for number in range(count):
        some = [s for s in loaded if s[3] == (number % 2 == 0)] or loaded
        name, offset, size, _ = rng.choices(some, [s[2] for s in some])[0]
        found.append((name, offset + rng.randrange(size), rng.randrange(8)))
    return found


def flips(
    image: Path, open_at: Callable[[Path], Board], subject: Subject, count: int, seed: int = 0
) -> dict[str, Any]:
    """Each bit once in a copy of the image, which then answers a stream."""
    outcomes: list[dict[str, Any]] = []
    content = image.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / image.name
        for section, at, bit in Bar(bits(image, count, seed), unit="flip", desc="flipping bits"):
            copy.write_bytes(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])
            copy.chmod(0o755)
            outcome, said = _answer(open_at, copy, subject)
            outcomes.append(
                {"section": section, "offset": at, "bit": bit, "outcome": outcome, "said": said}
            )
    by = Counter(f"{o['outcome']}" for o in outcomes)
    return {"flips": count, "outcomes": dict(by), "wrong": by[WRONG], "each": outcomes}


def _answer(open_at: Callable[[Path], Board], image: Path, subject: Subject) -> tuple[str, str]:
    samples, words = subject.streams[0]
    accepted: list[bool] = []
    try:
        with open_at(image) as board:
            link = Link(board.line, subject.model_hash, BRIEF, explain=board.link.explain)
            link.handshake()
            Run(samples).start(
                link, lambda at, outputs, _: accepted.append(np.array_equal(outputs, words[at]))
            )
        said = ""
    except DamagedImageError as error:
        return REFUSED, str(error)
    except LinkError as error:
        said = str(error).partition(". ")[0].partition("\n")[0]
    if not all(accepted):
        return WRONG, f"{accepted.count(False)} of {len(accepted)} frames differ"
    return (SILENT if said else EQUAL), said
