"""What file managers and archives leave beside recordings is nobody's recording; links and capitals
count as what they lead to and mean."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from compress import artifacts
from compress.artifacts import keys
from compress.data import datasets, listing, own_recording, splits, training_sessions
from compress.data.choice import split_files
from compress.errors import RecordingError
from export.c import project
from tests.regressions.typed import TYPING, put

ASIDE = (
    "._a.hdf5",
    ".a.hdf5.swp.hdf5",
    "__MACOSX/a.hdf5",
    "__MACOSX/._a.hdf5",
    ".Trash-1000/files/a.hdf5",
    ".hidden/z.hdf5",
    "$RECYCLE.BIN/S-1/a.hdf5",
    "@eaDir/a.hdf5",
)


def lay(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"\0\5\26\7\0\2\0\0Mac OS X        ")


def names(dataset: datasets.Dataset) -> tuple[list[str], list[str]]:
    return [p.name for p in dataset.calibration], [p.name for p in dataset.heldout]


def test_hidden_companions_neither_calibrate_nor_are_scored(tmp_path: Path) -> None:
    put(tmp_path, "a", "b")
    lay(tmp_path, *ASIDE)
    assert names(datasets.find(tmp_path, tmp_path, TYPING)) == (["a.hdf5"], ["b.hdf5"])


def test_they_are_left_out_of_the_folders_that_are_taken_as_they_are(tmp_path: Path) -> None:
    put(tmp_path / "calibration", "a")
    put(tmp_path / "heldout", "b")
    for folder in ("calibration", "heldout"):
        lay(tmp_path / folder, *ASIDE)
    assert names(datasets.find(tmp_path, tmp_path, TYPING)) == (["a.hdf5"], ["b.hdf5"])


def test_they_are_left_out_below_folders_of_users(tmp_path: Path) -> None:
    put(tmp_path / "user1", "a")
    put(tmp_path / "user2", "b")
    lay(tmp_path, *(f"user1/{name}" for name in ASIDE))
    assert names(datasets.find(tmp_path, tmp_path, TYPING)) == (["a.hdf5"], ["b.hdf5"])


def test_they_are_no_sessions_to_train_on(tmp_path: Path) -> None:
    put(tmp_path, "a", "b")
    lay(tmp_path, *ASIDE)
    found = training_sessions.find(tmp_path, None, tmp_path, TYPING)
    assert [p.name for p in found.train] == ["a.hdf5", "b.hdf5"]
    assert "not used" not in found.text(), "nobody is asked to look at them"


def test_a_name_in_a_split_file_is_that_of_the_visible_file(tmp_path: Path) -> None:
    put(tmp_path / "data", "a", "b")
    lay(tmp_path / "data", *ASIDE)
    lists = splits.SessionLists(("a",), (), ("b",))
    found = splits.locate(Path("s.yaml"), lists, tmp_path / "data")
    assert found["train"] == [tmp_path / "data" / "a.hdf5"]


def test_a_pattern_of_split_files_means_the_visible_ones(tmp_path: Path) -> None:
    lay(tmp_path, "user0.yaml", "._user0.yaml", "user1.yaml")
    found = split_files([f"{tmp_path}/*user*.yaml"])
    assert [path.name for path in found] == ["user0.yaml", "user1.yaml"]


def test_a_folder_of_nothing_else_is_refused(tmp_path: Path) -> None:
    lay(tmp_path, *ASIDE)
    with pytest.raises(RecordingError, match=r"expected emg2qwerty sessions .* found none"):
        datasets.find(tmp_path, tmp_path, TYPING)


def test_data_that_lies_below_a_hidden_folder_is_taken(tmp_path: Path) -> None:
    data = tmp_path / ".cache" / "__MACOSX" / "mine"
    put(data, "a", "b")
    assert names(datasets.find(data, tmp_path, TYPING)) == (["a.hdf5"], ["b.hdf5"])
    put(data / "x", "c")
    assert listing.in_folder(data / "x", TYPING) == [data / "x" / "c.hdf5"]


def test_endings_in_capitals_are_endings(tmp_path: Path) -> None:
    put(tmp_path, "a", "b")
    (tmp_path / "a.hdf5").rename(tmp_path / "a.HDF5")
    assert names(datasets.find(tmp_path, tmp_path, TYPING)) == (["a.HDF5"], ["b.hdf5"])
    lists = splits.SessionLists(("a",), (), ("b",))
    assert splits.present(lists, tmp_path, TYPING.suffixes)["a"].name == "a.HDF5"


def test_an_archive_is_one_in_capitals_too(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", emg=np.ones((8, 2), np.float32), rate=100)
    (tmp_path / "a.npz").rename(tmp_path / "A.NPZ")
    assert own_recording.read(tmp_path / "A.NPZ").emg.shape == (8, 2)


def test_folders_that_are_links_are_gone_into_once(tmp_path: Path) -> None:
    put(tmp_path / "disk", "a", "b")
    data = tmp_path / "data"
    data.mkdir()
    (data / "user3").symlink_to(tmp_path / "disk")
    (data / "again").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "loop").symlink_to(data)
    assert names(datasets.find(data, tmp_path, TYPING)) == (["a.hdf5"], ["b.hdf5"])


def test_two_names_of_one_file_are_one_session_and_said(tmp_path: Path) -> None:
    put(tmp_path, "a", "b")
    (tmp_path / "c.hdf5").symlink_to("a.hdf5")
    found = datasets.find(tmp_path, tmp_path, TYPING)
    assert names(found) == (["a.hdf5"], ["b.hdf5"]), "what calibrates is not scored as well"
    assert any("links to sessions that are there anyway: c.hdf5" in note for note in found.notes)


def test_links_that_lead_nowhere_are_counted_and_named(tmp_path: Path) -> None:
    put(tmp_path, "a", "b")
    os.symlink(".git/annex/objects/none", tmp_path / "c.hdf5")
    found = datasets.find(tmp_path, tmp_path, TYPING)
    assert names(found) == (["a.hdf5"], ["b.hdf5"])
    assert "1 link leads to no file and is left out: c.hdf5" in found.notes
    only = tmp_path / "only"
    only.mkdir()
    os.symlink("none", only / "d.hdf5")
    with pytest.raises(RecordingError, match=r"only links that lead nowhere: d\.hdf5"):
        datasets.find(only, tmp_path, TYPING)


def test_companions_in_the_checkout_are_no_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = tmp_path / "firmware" / "app"
    sources.mkdir(parents=True)
    (sources / "main.c").write_text("int main(void) { return 0; }\n")
    (sources / "make.py").write_text("x = 1\n")
    before = artifacts.code_hash("firmware/app", root=tmp_path)
    lay(sources, "._main.c", "._make.py")
    keys._code_hash.cache_clear()
    assert artifacts.code_hash("firmware/app", root=tmp_path) == before
    monkeypatch.setattr(project, "FIRMWARE", tmp_path / "firmware")
    assert project._sources("app").keys() == {"app/main.c"}
