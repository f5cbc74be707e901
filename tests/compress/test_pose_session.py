"""Pose sessions and their metadata: what is read, and which bad files are refused with which
reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compress.data import listing, metadata
from compress.data.recording_file import SUMS, file_digest
from compress.errors import RecordingError, TendonError
from compress.tasks.pose.session import DTYPE, GROUP, JOINTS, PoseSession
from compress.tasks.pose.simulated import COLLECTION as POSE
from tests import recording_files

SAMPLES = 9000


def rows(samples: int = SAMPLES) -> np.ndarray:
    rng = np.random.default_rng(0)
    table = np.zeros(samples, DTYPE)
    table["time"] = 1_670_000_000 + np.arange(samples) / 2000
    table["joint_angles"] = rng.uniform(-0.3, 1.5, (samples, 20))
    table["emg"] = np.round(64 * rng.standard_normal((samples, 16))) / 64
    return table


def attributes() -> dict[str, Any]:
    """As in the script that makes the published test file."""
    return {
        "filename": "2022-12-06-recording-9_left",
        "session": "2022-12-06-recording-9",
        "stage": "IndividualFingerPointingSnap_both",
        "user": "d387095792",
        "side": "left",
        "sample_rate": 2000.0,
        "num_channels": 16,
        "start": 1670000000.0,
        "end": 1670000004.5,
    }


def write(path: Path, table: np.ndarray, group: str = GROUP, **changes: Any) -> Path:
    return recording_files.write(path, group, table, attributes() | changes)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("sound") / "sound.hdf5", rows())


def test_a_sound_session_reads_as_it_was_written(sound: Path) -> None:
    table = rows()
    with PoseSession(sound) as session:
        session.check()
        assert len(session) == SAMPLES and session.seconds == SAMPLES / 2000
        assert (session.session_name, session.user, session.side) == (
            "2022-12-06-recording-9",
            "d387095792",
            "left",
        )
        assert session.stage == "IndividualFingerPointingSnap_both" and not session.simulated
        emg, angles = session.emg(100, 400), session.joint_angles(100, 400)
        assert (
            emg.shape == (300, 16)
            and emg.dtype == angles.dtype == np.float32
            and angles.shape == (300, 20)
        )
        np.testing.assert_array_equal(emg, table["emg"][100:400])
        np.testing.assert_array_equal(angles, table["joint_angles"][100:400].astype(np.float32))
        np.testing.assert_array_equal(session.time(), table["time"])
        assert (
            len(session.emg(SAMPLES - 5, SAMPLES + 5))
            == len(session.joint_angles(SAMPLES - 5))
            == 5
        )
        assert session.no_ik_failure().all()


def test_angles_may_be_stored_in_single_precision(tmp_path: Path) -> None:
    single = np.dtype([("time", "<f8"), ("joint_angles", "<f4", (20,)), ("emg", "<f4", (16,))])
    with PoseSession(write(tmp_path / "a.hdf5", rows().astype(single))) as session:
        np.testing.assert_array_equal(
            session.joint_angles(), rows()["joint_angles"].astype(np.float32)
        )


def test_the_joints_are_the_published_ones_in_their_order() -> None:
    assert len(JOINTS) == 20 and JOINTS[:4] == (
        "THUMB_CMC_FE",
        "THUMB_CMC_AA",
        "THUMB_MCP_FE",
        "THUMB_IP_FE",
    )
    assert [name.split("_")[0] for name in JOINTS[4::4]] == ["INDEX", "MIDDLE", "RING", "PINKY"]
    assert all(
        name.endswith(end)
        for name, end in zip(JOINTS[4:], ["MCP_AA", "MCP_FE", "PIP_FE", "DIP_FE"] * 4, strict=True)
    )


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    failed=st.lists(st.integers(0, SAMPLES - 1), max_size=20),
    alive=st.integers(0, 19),
    tiny=st.sampled_from([0.0, 1e-9, 1e-7]),
)
def test_ik_failed_where_all_twenty_angles_are_zero(
    tmp_path: Path, failed: list[int], alive: int, tiny: float
) -> None:
    """The published mask: all angles close to zero by numpy's isclose, never one that moves
    alone."""
    table = rows()
    table["joint_angles"][failed] = tiny
    table["joint_angles"][10] = 0
    table["joint_angles"][10, alive] = 0.01
    expected = ~np.isclose(table["joint_angles"], 0).all(axis=1)
    path = write(tmp_path / "a.hdf5", table)
    with PoseSession(path, file_digest(path)) as session:
        np.testing.assert_array_equal(session.no_ik_failure(), expected)
        assert expected[10]


def _changed(change: Callable[[np.ndarray], None]) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        table = rows()
        change(table)
        return write(path, table)

    return make


def _backwards(table: np.ndarray) -> None:
    table["time"][5000:] -= 1.0


def _bad_samples(table: np.ndarray) -> None:
    table["emg"][700, 3] = np.nan
    table["emg"][800, 4:6] = np.inf


def _bad_angle(table: np.ndarray) -> None:
    table["joint_angles"][600, 6] = np.nan


def _wrong_type(path: Path) -> Path:
    return write(
        path,
        rows().astype(
            np.dtype([("time", "<f8"), ("joint_angles", "<f8", (20,)), ("emg", "<f8", (16,))])
        ),
    )


def _truncated(path: Path) -> None:
    write(path, rows())
    path.write_bytes(path.read_bytes()[:-1000])


def _with(**changes: Any) -> Callable[[Path], Path]:
    return lambda path: write(path, rows(), **changes)


REFUSED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a typing session": (
        lambda p: write(p, rows(), group="emg2qwerty"),
        "expected an HDF5 group 'emg2pose'.*not an emg2pose session",
    ),
    "float64 EMG": (_wrong_type, r"timeseries\.emg: expected .*<f4.*found .*<f8"),
    "no angles": (
        lambda p: write(p, rows()[["time", "emg"]]),
        "joint_angles: expected .* found no such field",
    ),
    "zero length": (lambda p: write(p, rows(0)), "zero length"),
    "time backwards": (
        _changed(_backwards),
        r"runs backwards, found .* at sample 5000 \(2\.5000 s\)",
    ),
    "bad samples": (
        _changed(_bad_samples),
        r"found 3 NaN or infinite values, the first at sample 700 \(0\.3500 s\), electrode 3",
    ),
    "bad angle": (
        _changed(_bad_angle),
        r"finite joint angles, found 1 .* sample 600 \(0\.3000 s\), INDEX_PIP_FE",
    ),
    "truncated": (_truncated, "truncated"),
    "empty": (lambda p: p.write_bytes(b""), "empty"),
    "not HDF5": (lambda p: p.write_bytes(b"time,emg\n" * 99), "expected an HDF5 file"),
    "absent": (lambda p: None, "no such recording"),
    "no user": (_with(user=None), "attributes missing: user"),
    "another rate": (_with(sample_rate=1000.0), "sample_rate: expected 2000, found 1000"),
    "another band": (_with(num_channels=8), "num_channels: expected 16, found 8"),
    "no hand": (_with(side="both"), "side: expected left or right, found 'both'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_file_is_refused_with_its_reason(case: str, tmp_path: Path) -> None:
    make, reason = REFUSED[case]
    path = tmp_path / "bad.hdf5"
    make(path)
    with pytest.raises(RecordingError, match=reason) as refusal, PoseSession(path) as session:
        session.check()
    assert str(path) in str(refusal.value)


def test_bad_values_are_refused_when_read_without_a_check(tmp_path: Path) -> None:
    table = rows()
    _bad_samples(table)
    _bad_angle(table)
    write(tmp_path / "bad.hdf5", table)
    with PoseSession(tmp_path / "bad.hdf5") as session:
        assert len(session.emg(0, 700)) == 700 and len(session.joint_angles(601, 800)) == 199
        with pytest.raises(RecordingError, match="sample 700"):
            session.emg(600, 701)
        with pytest.raises(RecordingError, match="sample 600"):
            session.joint_angles(590, 700)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damage_anywhere_is_refused_or_reads_as_a_session(
    sound: Path, tmp_path: Path, data: st.DataObject
) -> None:
    """The reader refuses or survives, and never raises anything else; with a recorded digest it
    always refuses."""
    content = bytearray(sound.read_bytes())
    at, bit = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 7))
    content[at] ^= 1 << bit
    path = tmp_path / "damaged.hdf5"
    path.write_bytes(content)
    try:
        with PoseSession(path) as session:
            session.check()
            session.no_ik_failure()
    except RecordingError as refusal:
        assert str(path) in str(refusal)
    with pytest.raises(RecordingError, match="expected SHA-256"):
        PoseSession(path, file_digest(sound))


def test_a_digest_beside_the_file_is_honoured(sound: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.hdf5"
    path.write_bytes(sound.read_bytes())
    (tmp_path / SUMS).write_text(f"{file_digest(sound)}  a.hdf5\n")
    PoseSession(path).close()
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(RecordingError, match="expected SHA-256"):
        PoseSession(path)


HEADER = (
    "user,session,stage,side,moving_hand,held_out_user,held_out_stage,split,generalization,"
    "filename\n"
)


def table(folder: Path, *lines: tuple[str, str], files: bool = True) -> Path:
    """metadata.csv of (split, filename), with an empty file for each."""
    text = "".join(f"u,s,Fist,left,True,False,False,{split},user,{name}\n" for split, name in lines)
    (folder / metadata.NAME).write_text(HEADER + text)
    for _, name in lines if files else ():
        (folder / f"{name}.hdf5").touch()
    return folder / metadata.NAME


def test_the_published_table_becomes_the_files_of_each_split(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        ("train", "b_left"),
        ("test", "c_left"),
        ("train", "a_left"),
        ("val", "d_right"),
        ("val", "e_right"),
    )
    (tmp_path / "e_right.hdf5").unlink()
    assert listing.splits_of(path, POSE) == {
        "train": [tmp_path / "a_left.hdf5", tmp_path / "b_left.hdf5"],
        "val": [tmp_path / "d_right.hdf5"],
        "test": [tmp_path / "c_left.hdf5"],
    }


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    (tmp_path / "a.hdf5").touch()
    row = metadata.Row(
        user="u", session="s, with a comma", stage="Fist", side="left", split="val", filename="a"
    )
    metadata.write(tmp_path / metadata.NAME, [row])
    assert (tmp_path / metadata.NAME).read_text().startswith(HEADER)
    assert listing.splits_of(tmp_path / metadata.NAME, POSE) == {
        "train": [],
        "val": [tmp_path / "a.hdf5"],
        "test": [],
    }


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (
            [("train", "a"), ("dev", "b")],
            "line 3: split: expected one of train, val, test, found 'dev'",
        ),
        ([("train", "")], "line 2: filename: expected a name below"),
        ([("train", "../a")], r"expected a name below .*, found '\.\./a'"),
        ([("train", "/a")], "expected a name below"),
        ([("train", "a"), ("test", "a")], "line 3: a is in test and in train: expected one split"),
        ([("train", "a")], r"none of its 1 recordings lies beside it: expected a\.hdf5"),
        ([], "none of its 0 recordings"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(
    lines: list[tuple[str, str]], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(RecordingError, match=reason):
        listing.splits_of(table(tmp_path, *lines, files=False), POSE)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "columns missing: split, filename; found nothing"),
        (b"user,split\nu,train\n", "columns missing: filename; found user, split"),
        (HEADER.encode() + b"u,s\n", "line 2: split: expected"),
        (b"\xff\xfe\x00", "comma-separated text"),
        (b'split,filename\n"train,a\n', "comma-separated text"),
        (None, "no such table"),
    ],
)
def test_what_is_no_table_is_refused(content: bytes | None, reason: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / metadata.NAME).write_bytes(content)
    with pytest.raises(TendonError, match=reason):
        listing.splits_of(tmp_path / metadata.NAME, POSE)
