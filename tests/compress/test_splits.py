"""Split files of emg2qwerty's kind: the published form is read as it is, and what is wrong with one
is said in a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from compress.data import splits, training_sessions
from compress.errors import RecordingError, UsageError
from compress.tasks.typing.simulated import COLLECTION as TYPING

PUBLISHED = """\
# @package _global_
user: user0
dataset:
  train:
  - user: 89335547
    session: 2021-06-03-1622765527-keystrokes-dca-study@1-0efbe614-9ae6-4131-9192-4398359b4f5f
  - user: 09456349
    session: 2020-08-17-1597699312-keystrokes-09456349
  val:
    - session: 2021-06-04
      user: 89335547
  test:
  - user: 8d193c13-cd70-4364-bf5d-df82ae0226dc
    session: 0123
"""
BASE = """\
defaults:
  - user: user0
  - transforms: log_spectrogram
  - _self_

checkpoint: null  # Optional path to checkpoint file
dataset:
  root: ${hydra:runtime.cwd}/data
"""


def split(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "split.yaml"
    path.write_text(text)
    return path


def recordings(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def test_a_published_file_is_read_as_it_is(tmp_path: Path) -> None:
    found = splits.read(split(tmp_path, PUBLISHED))
    assert found.train == (
        "2021-06-03-1622765527-keystrokes-dca-study@1-0efbe614-9ae6-4131-9192-4398359b4f5f",
        "2020-08-17-1597699312-keystrokes-09456349",
    )
    assert found.val == ("2021-06-04",), "no date"
    assert found.test == ("0123",), "no octal number"


def test_the_base_file_means_the_user_that_it_chooses(tmp_path: Path) -> None:
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / "user0.yaml").write_text(PUBLISHED)
    (tmp_path / "base.yaml").write_text(BASE)
    assert splits.read(tmp_path / "base.yaml") == splits.read(split(tmp_path, PUBLISHED))
    (tmp_path / "user" / "user0.yaml").unlink()
    with pytest.raises(RecordingError, match=r"user/user0\.yaml: no such split file"):
        splits.read(tmp_path / "base.yaml")


def test_the_hash_is_that_of_the_lists(tmp_path: Path) -> None:
    first = splits.read(split(tmp_path, PUBLISHED)).sha256
    other = splits.read(
        split(tmp_path, "# another word\n" + PUBLISHED.replace("user0", "u"))
    ).sha256
    moved = splits.read(split(tmp_path, PUBLISHED.replace("session: 0123", "session: 123"))).sha256
    assert first == other != moved


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "cannot be read as YAML"),
        ("a: \x00", "cannot be read as YAML"),
        ("[" * 5000, "cannot be read as YAML"),
        ("", "expected keys and values, found nothing"),
        ("- a", "line 1: the file: expected keys and values, found a list"),
        ("user: user0", "dataset with lists train, val and test, found user"),
        ("dataset: {root: here}", "dataset with lists train, val and test, found dataset.root"),
        ("dataset: yes", "line 1: dataset: expected keys and values, found the text 'yes'"),
        ("dataset:\n  train: all", r"line 2: dataset.train: expected a list .* the text 'all'"),
        ("dataset:\n  train: {a: 1}", "expected a list of sessions, found keys and values"),
        ("dataset:\n  train:\n  - a", "line 3: dataset.train: expected keys and values"),
        ("dataset:\n  train:\n  - {user: a}", "expected an entry with session.*found nothing"),
        ("dataset:\n  train:\n  - {session: }", "expected an entry with session.*found nothing"),
        ("dataset:\n  train:\n  - {session: ../a}", r"found \.\./a"),
        ("dataset:\n  train:\n  - {session: /a}", "found /a"),
        ("dataset:\n  train: []\n  val: [{session: a}]", "dataset.train: .* found none"),
        ("dataset:\n  val: [{session: a}]", "dataset.train: .* found none"),
        ("dataset:\n  train:\n  val: null\n  test: ~", "dataset.train: .* found none"),
        ("dataset:\n  train: [{session: a}]\n  train: []", "line 3: .* 'train' stands there twice"),
        ("dataset:\n  <<: {val: []}\n  train: []", "line 2: dataset: expected plain keys"),
        ("? [a]\n: b", "expected plain keys, found a list"),
        ("!!python/object/apply:os.getcwd []", "expected keys and values, found a list"),
    ],
)
def test_what_is_no_split_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(RecordingError, match=said) as error:
        splits.read(split(tmp_path, text))
    assert "\n" not in str(error.value) and "split.yaml" in str(error.value)


def test_a_file_that_is_missing_a_folder_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"none\.yaml: no such split file"):
        splits.read(tmp_path / "none.yaml")
    with pytest.raises(RecordingError, match="cannot be read as YAML"):
        splits.read(tmp_path)
    (tmp_path / "a.hdf5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(range(256)))
    with pytest.raises(RecordingError, match="cannot be read as YAML"):
        splits.read(tmp_path / "a.hdf5")


@pytest.mark.parametrize(
    ("lists", "where"),
    [
        ("train: [{session: a}, {session: b}]\n  val: [{session: b}]", "train and val: b"),
        ("train: [{session: a}]\n  test: [{session: ./a}]", "train and test: a"),
        ("train: [{session: a}, {session: a}]", "train and train: a"),
        ("train: [{session: c}]\n  val: [{session: a}]\n  test: [{session: a}]", "val and test: a"),
    ],
)
def test_a_session_in_two_lists_is_refused(tmp_path: Path, lists: str, where: str) -> None:
    with pytest.raises(RecordingError, match=f"1 stand there twice, the first in {where}"):
        splits.read(split(tmp_path, f"dataset:\n  {lists}"))


def test_sessions_are_found_in_the_folder_or_below_it(tmp_path: Path) -> None:
    data = recordings(tmp_path / "data", "a.hdf5", "x/b.hdf5", "x/c.h5", "y/c.hdf5", "x/a.hdf5")
    lists = splits.SessionLists(("a", "b"), ("x/c",), ())
    found = splits.locate(Path("s.yaml"), lists, data)
    assert found == {
        "train": [data / "a.hdf5", data / "x" / "b.hdf5"],
        "val": [data / "x" / "c.h5"],
        "test": [],
    }
    with pytest.raises(RecordingError, match=r"c: expected one .* found x/c\.h5, y/c\.hdf5"):
        splits.locate(Path("s.yaml"), splits.SessionLists(("c",), (), ()), data)


def test_sessions_that_are_not_there_are_counted_and_named(tmp_path: Path) -> None:
    data = recordings(tmp_path, "a.hdf5")
    lists = splits.SessionLists(("a", "b"), ("c",), tuple(f"d{i}" for i in range(6)))
    with pytest.raises(RecordingError, match=r"s\.yaml: 8 of its 9 sessions are not in") as error:
        splits.locate(Path("s.yaml"), lists, data)
    assert "b (train), c (val), d0 (test), d1 (test), d2 (test) and 3 more" in str(error.value)


def test_what_is_trained_on_and_what_is_not_is_said(tmp_path: Path) -> None:
    names = ("a.hdf5", "b.hdf5", "c.hdf5", "d.hdf5", "old/e.hdf5")
    data = recordings(tmp_path / "data", *names)
    file = split(
        tmp_path,
        "dataset: {train: [{session: b}, {session: a}], val: [{session: c}], test: [{session: d}]}",
    )
    found = training_sessions.find(data, file, tmp_path, TYPING).with_validation(1)
    assert [p.stem for p in found.train] == ["b", "a"] and found.validation == (data / "c.hdf5",)
    assert found.text().splitlines() == [
        f"training on 2 sessions (b.hdf5, a.hdf5), from {file} in {data}",
        "validating with 1 session (c.hdf5)",
        "left for testing: 1 session (d.hdf5)",
        f"not used: 1 in {data / 'old'} (e.hdf5)",
    ]
    assert found.split == splits.read(file).sha256


def test_without_sessions_for_validation_the_last_of_train_are_kept(tmp_path: Path) -> None:
    data = recordings(tmp_path / "data", "a.hdf5", "b.hdf5", "c.hdf5")
    found = training_sessions.find(data, None, tmp_path, TYPING)
    kept = found.with_validation(2)
    assert kept.train == (data / "a.hdf5",) and len(kept.validation) == 2
    assert "nothing says which sessions validate, so the last 2 sessions of train do" in kept.text()
    with pytest.raises(RecordingError, match="more than 3 sessions, 3 of them for validation; fo"):
        found.with_validation(3)


def test_folders_of_train_and_val_are_taken_as_they_are(tmp_path: Path) -> None:
    data = recordings(tmp_path, "train/a.hdf5", "val/b.hdf5", "heldout/c.hdf5", "d.hdf5")
    found = training_sessions.find(data, None, tmp_path, TYPING)
    assert found.train == (data / "train" / "a.hdf5",)
    assert found.validation == (data / "val" / "b.hdf5",)
    assert f"not used: 1 in {data}, 1 in {data / 'heldout'} (d.hdf5, c.hdf5)" in found.text()


def test_a_table_says_how_many_of_its_recordings_are_there(tmp_path: Path) -> None:
    data = recordings(tmp_path, "a.hdf5", "b.hdf5", "c.hdf5")
    rows = ["split,filename", "train,a", "train,z", "val,b", "test,c"]
    (data / "metadata.csv").write_text("\n".join(rows))
    found = training_sessions.find(data, None, tmp_path, TYPING)
    assert (found.train, found.validation) == ((data / "a.hdf5",), (data / "b.hdf5",))
    assert found.test == (data / "c.hdf5",)
    assert found.notes == ("metadata.csv lists 2 train recordings, 1 is there",)
    (data / "metadata.csv").write_text("\n".join([rows[0], *rows[2:]]))
    with pytest.raises(RecordingError, match="expected train recordings, found 0 train, 1 val"):
        training_sessions.find(data, None, tmp_path, TYPING)


def test_folders_without_sessions_to_train_on_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"SPLIT=a\.yaml: expected DATA=folder too"):
        training_sessions.find(None, Path("a.yaml"), tmp_path, TYPING)
    with pytest.raises(RecordingError, match="found no such folder"):
        training_sessions.find(tmp_path / "none", None, tmp_path, TYPING)
    data = recordings(tmp_path, "calibration/a.hdf5", "heldout/b.hdf5")
    with pytest.raises(RecordingError, match="found none; expected them there, or a folder train"):
        training_sessions.find(data, None, tmp_path, TYPING)


def test_recordings_of_any_ending_are_found(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        (tmp_path / name).write_bytes(b"")
    lists = splits.SessionLists(("a",), ("b",), ())
    found = splits.locate(Path("s.yaml"), lists, tmp_path, (".npz",))
    assert [p.name for p in (*found["train"], *found["val"])] == ["a.npz", "b.npz"]
