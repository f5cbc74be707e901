"""What else is read: hand models, boards, splits, tables, reports, character models, programs and
states of trainings are read or refused in one line, in a time and memory that their size bounds."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench import footprint
from compress.data import metadata, splits
from compress.errors import CheckpointError, RecordingError, TendonError
from compress.files import read_json
from compress.tasks import state
from compress.tasks.pose import kinematics
from compress.tasks.state import Origin
from export import boards
from export.check import check
from host import character_model, image
from tests.fuzz.of_others import ARPA_FILE, LETTERS, REGIONS, load_model

DEEP = 200_000
ORIGIN = Origin("recipe", {"DATA": "0" * 64})


def hand(change: Callable[[dict[str, Any]], Any]) -> bytes:
    found = json.loads(kinematics.SIMPLE_HAND.read_text())
    return json.dumps(change(found) or found).encode()


HANDS: dict[str, tuple[bytes, str]] = {
    "nesting": (b"[" * DEEP, "nested hundreds of times"),
    "nesting of keys": (b'{"a":' * DEEP, "nested hundreds of times"),
    "NaN": (hand(lambda h: h.update(hand_scale=float("nan"))), "NaN is no number of JSON"),
    "1e999": (hand(lambda h: None).replace(b"1.0", b"1e999", 1), "too large|finite"),
    "digits": (hand(lambda h: h.update(hand_scale=10**30)), "finite numbers"),
    "a list": (b"[1, 2]", "keys of UmeTrack"),
    "a key twice": (b'{"hand_scale": 1, "hand_scale": 2}', "stands there twice"),
    "a key of lines": (hand(lambda h: h.update({"a\nb\x1b[2J": 1})), "1 unknown|unknown"),
    "no text": (b"\xff\xfe\x00", "expected text in UTF-8"),
    "a deep array": (hand(lambda h: h.update(hand_scale=json.loads("[" * 99 + "]" * 99))), "hand"),
}


@pytest.mark.parametrize("case", HANDS)
def test_a_hand_that_is_none_is_refused_in_one_line(case: str, tmp_path: Path) -> None:
    content, reason = HANDS[case]
    refused(kinematics.load_hand, tmp_path / "hand.json", content, TendonError, reason)


def refused(
    read: Callable[[Path], Any],
    path: Path,
    content: bytes,
    error: type[Exception],
    reason: str,
) -> None:
    path.write_bytes(content)
    with pytest.raises(error, match=reason) as refusal:
        read(path)
    said = str(refusal.value)
    assert str(path) in said and said.isprintable() and len(said) < 1500


BOARD = (boards.FIRMWARE / "port" / "virtual-f405" / "board.toml").read_bytes()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a = " + b"[" * DEEP, "expected the description of a board in TOML"),
        (b"[a]\n[a]\n", "expected the description of a board in TOML"),
        (b"\xff", "expected text in UTF-8"),
        (b"", "is missing"),
        (b"build = 3\nname = 1", "'title' is missing"),
        (BOARD.replace(b"[memory", b"[[memory"), "expected the description|is missing"),
    ],
)
def test_a_board_that_is_none_is_refused_in_one_line(
    content: bytes, reason: str, tmp_path: Path
) -> None:
    refused(boards.read_board, tmp_path / "board.toml", content, TendonError, reason)


BILLION = b"a: &a [x, x]\n" + b"".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n".encode() for i in range(24)
)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (BILLION + b"dataset: {train: *y}\n", "expected"),
        (b"dataset:\n  train: &t [*t]\n", "cannot be read as YAML|expected"),
        (b"[" * DEEP, "cannot be read as YAML"),
        (b"- " * DEEP, "cannot be read as YAML"),
        (b"x: " + b"y" * (2 << 20), "expected up to 1048576 bytes"),
        (b"dataset: !!python/object/apply:os.abort []", "expected keys and values"),
        (b'dataset: {train: [{session: "a\\nb\\e[2J/../c"}]}', "expected an entry"),
        (b"\xff\xfe", "UTF-8"),
    ],
)
def test_a_split_that_is_none_is_refused_in_one_line(
    content: bytes, reason: str, tmp_path: Path
) -> None:
    refused(splits.read, tmp_path / "user0.yaml", content, RecordingError, reason)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"split,filename\ntest," + b"a" * 200_000, "field larger than field limit"),
        (b"split,filename\n\x1b[2J,a\n", "split: expected one of"),
        (b"split,filename\ntest," + b'"' * 3 + b"\n", "comma-separated"),
        (b"a\x0b\x1b[2J,b\n", "columns missing"),
        (b"\x00" * 999, "columns missing|comma-separated"),
    ],
)
def test_a_table_that_is_none_is_refused_in_one_line(
    content: bytes, reason: str, tmp_path: Path
) -> None:
    refused(metadata.read, tmp_path / "metadata.csv", content, RecordingError, reason)


@pytest.mark.parametrize("content", [b"", b"[" * DEEP, b'{"a": NaN}', b"[1]", b"\xff", b'{"a":1,'])
def test_a_report_that_is_none_counts_as_missing(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "quantize.json").write_bytes(content)
    assert read_json(tmp_path / "quantize.json") == {}


# --- character models -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("1=30", "1=1000000000000"),
        ("1=30", "1=-5"),
        ("ngram 2", "ngram 20000000"),
        ("\\end\\", ""),
        ("-1.5\ta", "nan\ta"),
        ("-0.5\ta b", "-0.5\ta b c d e"),
    ],
)
def test_a_damaged_character_model_ends_nothing(old: str, new: str, tmp_path: Path) -> None:
    path = tmp_path / "x.arpa"
    path.write_text(ARPA_FILE.replace(old, new, 1))
    with pytest.raises(TendonError, match=r"LM=.*x\.arpa: ") as refusal:
        load_model(path)
    assert str(refusal.value).isprintable()


def test_a_character_model_is_read_by_a_process_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "x.arpa"
    path.write_text(ARPA_FILE)
    model = character_model.load(path, LETTERS)
    scores, states = model.extend(np.array([0]), np.arange(26))
    assert scores[0, 0] == pytest.approx(-0.2) and states.shape == (1, 26)
    model._model.close()
    with pytest.raises(TendonError, match="KenLM cannot read it"):
        model.ends([1])


# --- states of trainings --------------------------------------------------------------------------


def saved(path: Path) -> dict[str, bytes]:
    """The members of a sound state."""
    state.save(
        path, ORIGIN, {"step": 3, "model": {"w": torch.ones(4, 3)}, "seen": [1, (2.5, None)]}
    )
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_state_is_read_as_it_was_saved(tmp_path: Path) -> None:
    saved(tmp_path / "state.pt")
    found = state.load(tmp_path / "state.pt", ORIGIN)
    assert found is not None and found["step"] == 3 and found["seen"] == [1, (2.5, None)]
    assert torch.equal(found["model"]["w"], torch.ones(4, 3))


@pytest.mark.parametrize(
    "pickle",
    [
        b"c" + b"a" * (4 << 20) + b"\nb\n.",  # torch takes for ever over such a name
        b"cos\nabort\n(tR.",
        b"(" * DEEP,
        b"\x80\x02]q\x00" + b"(h\x00h\x00e" * 1000 + b".",
        b"",
    ],
    ids=["a long name", "code", "marks", "itself", "nothing"],
)
def test_a_state_that_is_none_is_refused_in_one_line(pickle: bytes, tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    members, content = saved(path), io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, value in members.items():
            archive.writestr(name, pickle if name.endswith("data.pkl") else value)
    refused(
        lambda path: state.load(path, ORIGIN),
        path,
        content.getvalue(),
        CheckpointError,
        "damaged .*: delete it to start over",
    )


# --- programs and models --------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"\x7fELF\x02\x01\x01" + b"\xff" * 99])
def test_what_is_no_program_is_said(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.elf"
    refused(lambda path: footprint.read(path, REGIONS), path, content, TendonError, "ELF image")
    assert image.read(path) is None


@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
@pytest.mark.parametrize("content", [b"", b"junk", b"\x0a" * 999, b"\x1c\0\0\0TFL3" + b"\xff" * 99])
def test_what_is_no_exported_model_is_said(suffix: str, content: bytes, tmp_path: Path) -> None:
    refused(check, tmp_path / f"x{suffix}", content, TendonError, "expected|damaged")
