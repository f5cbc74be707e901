"""Session files: what is read, and which bad files are refused with which reason."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compress.errors import RecordingError
from compress.reading import hdf5
from compress.reading.limited import Server
from compress.tasks.typing import charset
from compress.tasks.typing.session import DATASET, DTYPE, GROUP, SUMS, Session, verify_digest
from tests import recording_files

SAMPLES = 9000


def rows(samples: int = SAMPLES) -> np.ndarray:
    table = np.zeros(samples, DTYPE)
    table["time"] = 1_600_000_000 + np.arange(samples) / 2000
    for i, band in enumerate(("emg_left", "emg_right")):
        table[band] = np.round(64 * np.random.default_rng(i).standard_normal((samples, 16))) / 64
    return table


def attributes() -> dict[str, Any]:
    keys = [
        ("Key.shift", 0.5),
        ("H", 0.6),
        ("i", 1.0),
        ("Key.tab", 1.5),
        ("’", 2.0),
        ("é", 2.5),
        ("Key.enter", 3.0),
    ]
    return {
        "session_name": "a session",
        "user": "somebody",
        "condition": "on_keyboard",
        "duration_mins": SAMPLES / 2000 / 60,
        "keystrokes": json.dumps(
            [{"key": k, "start": 1.6e9 + t, "end": 1.6e9 + t + 0.1, "ascii": 0} for k, t in keys]
        ),
        "prompts": json.dumps(
            [{"start": 1.6e9 + 0.4, "end": 1.6e9 + 4, "payload": {"text": "Hi “you”"}}]
        ),
    }


def write(path: Path, table: np.ndarray, group: str = GROUP, **changes: Any) -> Path:
    return recording_files.write(path, group, table, attributes() | changes)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("sound") / "sound.hdf5", rows())


def test_a_sound_session_reads_as_it_was_written(sound: Path) -> None:
    table = rows()
    with Session(sound) as session:
        session.check()
        assert len(session) == SAMPLES and session.seconds == SAMPLES / 2000
        assert (session.name, session.user, session.condition) == (
            "a session",
            "somebody",
            "on_keyboard",
        )
        emg = session.emg(100, 400)
        assert emg.shape == (300, 2, 16) and emg.dtype == np.float32
        np.testing.assert_array_equal(emg[:, 0], table["emg_left"][100:400])
        np.testing.assert_array_equal(emg[:, 1], table["emg_right"][100:400])
        np.testing.assert_array_equal(session.time(), table["time"])
        assert len(session.emg(SAMPLES - 5, SAMPLES + 5)) == 5


def test_keys_become_the_published_characters(sound: Path) -> None:
    with Session(sound) as session:
        assert session.text() == "⇧Hi'e⏎"
        assert session.text(1100, 5000) == "Hi'"


def test_without_a_keyboard_the_prompts_are_the_text(tmp_path: Path) -> None:
    with Session(write(tmp_path / "a.hdf5", rows(), condition="on_table")) as session:
        assert session.text() == 'Hi "you"⏎'
        assert session.text(2000) == ""


def test_the_charset_is_the_published_one() -> None:
    assert len(charset.CHARSET) == charset.BLANK == 98
    assert charset.CHARSET[:3] == ["a", "b", "c"] and charset.CHARSET[94:] == ["⌫", "⏎", " ", "⇧"]
    assert charset.KEYS[94:] == ["Key.backspace", "Key.enter", "Key.space", "Key.shift"]
    text = "".join(charset.CHARSET)
    assert charset.decode(charset.encode(text)) == text
    assert charset.clean("“a”—b\n\r\b’é中") == '"a"-b⏎⏎⌫\'e'
    with pytest.raises(IndexError):
        charset.decode([98])


def _wrong_type(path: Path) -> None:
    table = rows()
    other = np.dtype([("time", "<f8"), ("emg_left", "<f8", (16,)), ("emg_right", "<f4", (16,))])
    changed = np.zeros(SAMPLES, other)
    changed["time"] = table["time"]
    write(path, changed)


def _missing_field(path: Path) -> None:
    write(path, rows()[["time", "emg_left"]])


def _changed(change: Callable[[np.ndarray], None]) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        table = rows()
        change(table)
        write(path, table)

    return make


def _backwards(table: np.ndarray) -> None:
    table["time"][5000:] -= 1.0


def _time_nan(table: np.ndarray) -> None:
    table["time"][4096] = np.nan


def _bad_samples(table: np.ndarray) -> None:
    table["emg_right"][700, 3] = np.nan
    table["emg_right"][800, 4:6] = np.inf


def _truncated(path: Path) -> None:
    write(path, rows())
    path.write_bytes(path.read_bytes()[:-1000])


def _with(**changes: Any) -> Callable[[Path], Path]:
    return lambda path: write(path, rows(), **changes)


_LATE = json.dumps([{"key": "a", "start": 2.0, "end": 2.1}, {"key": "b", "start": 1.0, "end": 1.1}])
REFUSED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "another group": (
        lambda p: write(p, rows(), group="emg2pose"),
        "expected an HDF5 group 'emg2qwerty'",
    ),
    "float64 EMG": (_wrong_type, r"emg_left: expected .*float32|emg_left: expected .*<f4.*found"),
    "no right hand": (_missing_field, "emg_right: expected .* found no such field"),
    "zero length": (lambda p: write(p, rows(0)), "zero length"),
    "time backwards": (
        _changed(_backwards),
        r"runs backwards, found .* at sample 5000 \(2\.5000 s\)",
    ),
    "time not a number": (_changed(_time_nan), "at sample 4096"),
    "bad samples": (
        _changed(_bad_samples),
        r"found 3 NaN or infinite values, the first at sample 700 \(0\.3500 s\), right electrode 3",
    ),
    "truncated": (_truncated, "truncated"),
    "empty": (lambda p: p.write_bytes(b""), "empty"),
    "not HDF5": (lambda p: p.write_bytes(b"time,left\n" * 99), "expected an HDF5 file"),
    "absent": (lambda p: None, "no such recording"),
    "no keystrokes": (_with(keystrokes=None), "attributes missing: keystrokes"),
    "broken JSON": (_with(prompts="[{"), "attribute prompts: expected JSON"),
    "keystroke without time": (
        _with(keystrokes='[{"key": "a"}]'),
        r"keystrokes\[0\]: expected a start",
    ),
    "keystroke without key": (
        _with(keystrokes='[{"start": 1.0}]'),
        r"keystrokes\[0\]: expected a key",
    ),
    "keystrokes not a list": (_with(keystrokes="{}"), "keystrokes: expected a list"),
    "keystrokes out of order": (_with(keystrokes=_LATE), r"keystrokes\[1\]: starts before"),
    "duration": (_with(duration_mins="long"), "duration_mins: expected a number"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_file_is_refused_with_its_reason(case: str, tmp_path: Path) -> None:
    make, reason = REFUSED[case]
    path = tmp_path / "bad.hdf5"
    make(path)
    with pytest.raises(RecordingError, match=reason) as refusal, Session(path) as session:
        session.check()
    assert str(path) in str(refusal.value)


def test_bad_samples_are_refused_when_read_without_a_check(tmp_path: Path) -> None:
    path = tmp_path / "bad.hdf5"
    _changed(_bad_samples)(path)
    with Session(path) as session:
        assert session.emg(0, 700).shape[0] == 700
        with pytest.raises(RecordingError, match="sample 700"):
            session.emg(600, 701)


def _chunks(path: Path) -> list[tuple[int, int]]:
    """(offset, size) of every stored chunk of samples."""
    with h5py.File(path) as file:
        series = file[GROUP][DATASET].id
        found = [series.get_chunk_info(i) for i in range(series.get_num_chunks())]
    return [(chunk.byte_offset, chunk.size) for chunk in found]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), chunk=st.integers(0, 8))
def test_a_flipped_bit_in_stored_samples_is_noticed_and_named(
    sound: Path, tmp_path: Path, where: float, bit: int, chunk: int
) -> None:
    """fletcher32 covers every stored byte of every chunk, its own checksum included."""
    offset, size = _chunks(sound)[chunk]
    path = tmp_path / "flipped.hdf5"
    content = bytearray(sound.read_bytes())
    content[offset + int(where * size)] ^= 1 << bit
    path.write_bytes(content)
    with (
        Session(path, _sha256(path)) as session,
        pytest.raises(RecordingError, match="stored checksum does not match"),
    ):
        session.check()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damage_anywhere_is_refused_or_reads_as_a_session(
    sound: Path, tmp_path: Path, data: st.DataObject
) -> None:
    """HDF5's own structures and attributes carry no checksums: the reader refuses or survives, and
    never raises anything else."""
    content = bytearray(sound.read_bytes())
    outside = [i for start, end in _gaps(sound) for i in (start, end)]
    for _ in range(data.draw(st.integers(1, 4))):
        low, high = data.draw(st.sampled_from(list(zip(outside[::2], outside[1::2], strict=True))))
        content[data.draw(st.integers(low, high - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.hdf5"
    path.write_bytes(content)
    try:
        with Session(path) as session:
            session.check()
            session.text()
    except RecordingError as refusal:
        assert str(path) in str(refusal)


@pytest.fixture(scope="module")
def endless(sound: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session whose heap of strings has an object of 0 bytes, behind which HDF5 stands still."""
    content = sound.read_bytes()
    at = content.index(b"GCOL") + 16
    while (object_ := struct.unpack_from("<H6xQ", content, at))[
        0
    ]:  # up to the free space, which comes last
        at += 16 + -(-object_[1] // 8) * 8
    path = tmp_path_factory.mktemp("endless") / "damaged.hdf5"
    path.write_bytes(content[: at + 8] + struct.pack("<Q", 0) + content[at + 16 :])
    return path


def test_a_file_that_the_library_would_read_for_ever_is_refused(
    endless: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = replace(hdf5._server.limits, cpu_s=1)
    monkeypatch.setattr(hdf5, "_server", Server(hdf5._server.module, hdf5._server.library, limits))
    with pytest.raises(
        RecordingError,
        match="emg2qwerty: the HDF5 library does not come to an end with it",
    ):
        Session(endless)


def _gaps(path: Path) -> list[tuple[int, int]]:
    """The parts of the file outside the chunks."""
    gaps, at = [], 0
    for offset, size in sorted(_chunks(path)):
        if offset > at:
            gaps.append((at, offset))
        at = offset + size
    return [*gaps, (at, path.stat().st_size)] if at < path.stat().st_size else gaps


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(at=st.integers(0, 10**9), bit=st.integers(0, 7))
def test_a_recorded_digest_notices_a_flipped_bit_anywhere(
    sound: Path, tmp_path: Path, at: int, bit: int
) -> None:
    content = bytearray(sound.read_bytes())
    content[at % len(content)] ^= 1 << bit
    path = tmp_path / sound.name
    path.write_bytes(content)
    (tmp_path / SUMS).write_text(f"{_sha256(sound)}  {sound.name}\n")
    with pytest.raises(RecordingError, match="expected SHA-256"):
        Session(path)


def test_a_digest_that_matches_is_silent_and_one_given_by_hand_counts(
    sound: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.hdf5"
    shutil.copy(sound, copy)
    Session(copy, sha256=_sha256(sound).upper()).close()
    with pytest.raises(RecordingError, match="expected SHA-256 " + "0" * 64):
        Session(copy, sha256="0" * 64)
    verify_digest(copy, None)


def _sha256(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()
