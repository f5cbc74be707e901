"""Recordings in HDF5, whose library trusts what a file says, and the tables beside them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from compress.data import metadata, own_recording, recording_file, splits
from compress.errors import RecordingError
from compress.tasks.pose.session import DTYPE, GROUP, PoseSession
from compress.tasks.typing.session import GROUP as TYPING
from compress.tasks.typing.session import Session
from tests import recording_files
from tests.compress.test_session import attributes, rows
from tests.fuzz.reader import Reader

SPLIT = """\
# @package _global_
user: user0
dataset:
  train:
  - user: 89335547
    session: 2021-06-03-a
  val:
  - user: 89335547
    session: 2021-06-03-b
  test:
  - {user: 89335547, session: 2021-06-03-c}
"""
YAML = (b"&a [*a, *a]", b"*a", b"!!python/object:os.abort", b"<<: *a", b"- - - -", b"? x", b"|\n")
TABLE = """\
user,session,stage,side,moving_hand,held_out_user,held_out_stage,split,generalization,filename
a,b,c,left,True,False,False,test,user,one
a,b,c,right,True,False,False,train,user,two
"""


def own_hdf5(path: Path) -> None:
    """A recording of one's own."""
    signal = np.arange(600, dtype=np.float32).reshape(200, 3)
    arrays = {"emg": signal, "rate": 500.0, "label": np.zeros(200, np.int64), "target": signal}
    own_recording.write(path, arrays, "one")


def pose(path: Path) -> None:
    """A recording of a hand."""
    rows = np.zeros(300, DTYPE)
    rows["time"] = 1_600_000_000 + np.arange(300) / 2000
    rows["joint_angles"] = 0.5
    said = {"session": "s", "user": "u", "side": "left", "stage": "x"}
    recording_files.write(path, GROUP, rows, said | {"sample_rate": 2000.0, "num_channels": 16})


def typing(path: Path) -> None:
    """A session of typing."""
    keys = json.dumps([{"key": k, "start": 1.6e9 + 0.01 * i} for i, k in enumerate("Hi you")])
    said = attributes() | {"keystrokes": keys, "prompts": "[]"}
    recording_files.write(path, TYPING, rows(300), said)


def read_session(path: Path) -> None:
    """All that a command reads of a typing session."""
    with Session(path) as found:
        found.check()
        found.text()
        found.emg(10, 300)


def read_pose(path: Path) -> None:
    """All that a command reads of a pose session."""
    with PoseSession(path) as found:
        found.check()
        found.no_ik_failure()
        assert found.joint_angles(0, 100).dtype == np.float32
        assert found.side


def digests(path: Path) -> None:
    """SHA256SUMS with a line for a file."""
    path.write_text(f"{'0' * 64}  one.hdf5\n{'a' * 64}  two.hdf5\n")
    (path.parent / "one.hdf5").write_bytes(b"")


def table(path: Path) -> None:
    """A metadata.csv with both of its recordings."""
    path.write_text(TABLE)
    for name in ("one", "two"):
        (path.parent / f"{name}.hdf5").write_bytes(b"")


READERS = (
    Reader("typing session", "x.hdf5", typing, read_session, (RecordingError,), seconds=200),
    Reader("pose session", "x.hdf5", pose, read_pose, (RecordingError,), seconds=200),
    Reader(
        "own recording hdf5", "x.hdf5", own_hdf5, own_recording.read, (RecordingError,), seconds=200
    ),
    Reader(
        "SHA256SUMS",
        "SHA256SUMS",
        digests,
        lambda path: recording_file.recorded_digest(path.parent / "one.hdf5"),
        (RecordingError,),
        (b"one.hdf5", b"two.hdf5"),
    ),
    Reader(
        "split",
        "user0.yaml",
        lambda path: path.write_text(SPLIT) and None,
        splits.read,
        (RecordingError,),
        YAML,
    ),
    Reader("metadata", "metadata.csv", table, metadata.read, (RecordingError,), (b'"', b",,")),
)
