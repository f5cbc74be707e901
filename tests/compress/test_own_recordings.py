"""Recordings of one's own: both formats say the same, what is wrong is refused by name, and nothing
in a file is run or followed."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress.data import own_recording
from compress.data.own_file import is_simulated
from compress.data.own_recording import OwnRecording, read
from compress.data.recording_file import SUMS, file_digest
from compress.errors import RecordingError

SAMPLES, ELECTRODES, RATE = 40, 3, 500.0
FORMATS = ("own.npz", "own.hdf5", "own.h5")


def arrays(**changes: Any) -> dict[str, Any]:
    """A whole recording with other arrays in it; None leaves one out."""
    rng = np.random.default_rng(1)
    found = {
        "emg": rng.normal(size=(SAMPLES, ELECTRODES)),
        "rate": RATE,
        "label": rng.integers(-1, 4, SAMPLES),
        "target": rng.normal(size=(SAMPLES, 2)),
    }
    return {name: array for name, array in (found | changes).items() if array is not None}


def write(path: Path, **changes: Any) -> Path:
    content = arrays(**changes)
    if path.suffix == ".npz":
        np.savez(path, **content)
        return path
    with h5py.File(path, "w") as file:
        for name, array in content.items():
            file[name] = array
    return path


@pytest.mark.parametrize("name", FORMATS)
def test_both_formats_say_the_same(name: str, tmp_path: Path) -> None:
    target = arrays()["target"]
    target[3, 1] = np.nan
    found = read(write(tmp_path / name, target=target))
    np.testing.assert_array_equal(found.emg, arrays()["emg"].astype(np.float32))
    np.testing.assert_array_equal(found.label, arrays()["label"])
    np.testing.assert_array_equal(found.target, target.astype(np.float32))
    assert found.rate == RATE and found.emg.dtype == np.float32


@pytest.mark.parametrize("name", FORMATS)
def test_labels_and_targets_may_be_left_out(name: str, tmp_path: Path) -> None:
    found = read(write(tmp_path / name, label=None, target=None))
    assert found.label is None and found.target is None


@pytest.mark.parametrize("dtype", ["int16", "uint8", "int32", "float16", "float64", ">i2", ">f8"])
@pytest.mark.parametrize("name", FORMATS)
def test_numbers_of_any_dtype_are_taken_as_they_are(name: str, dtype: str, tmp_path: Path) -> None:
    emg = np.arange(SAMPLES * ELECTRODES).reshape(SAMPLES, ELECTRODES).astype(dtype)
    np.testing.assert_array_equal(read(write(tmp_path / name, emg=emg)).emg, emg)


def test_the_rate_may_be_an_attribute_of_an_hdf5_file(tmp_path: Path) -> None:
    path = write(tmp_path / "own.h5", rate=None)
    with h5py.File(path, "a") as file:
        file.attrs["rate"] = 1925.926
    assert read(path).rate == 1925.926


def test_a_rate_may_stand_in_an_array_of_one(tmp_path: Path) -> None:
    assert read(write(tmp_path / "own.npz", rate=np.array([[500]]))).rate == 500.0


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no emg": ({"emg": None}, r"expected emg .* and rate .*, found no emg; save"),
    "no rate": ({"rate": None}, "found no rate; save"),
    "electrodes in a row": ({"emg": np.zeros(SAMPLES)}, r"emg: .*\(samples, electrodes\).*\(40,\)"),
    "no samples": ({"emg": np.zeros((0, 3))}, r"emg: expected .* found \(0, 3\)"),
    "emg of text": ({"emg": np.full((SAMPLES, 3), b"x")}, "emg: expected integers or floats"),
    "emg of truth": ({"emg": np.ones((SAMPLES, 3), bool)}, "emg: expected integers .* found bool"),
    "complex emg": ({"emg": np.ones((SAMPLES, 3)) * 1j}, "emg: .*found complex128.*convert it"),
    "NaN in emg": (
        {"emg": np.where(np.eye(SAMPLES, 3) > 0, np.nan, 1.0)},
        "emg: expected finite .* found 3 .* sample 0, electrode 0; cut",
    ),
    "emg beyond float32": ({"emg": np.full((SAMPLES, 3), 1e39)}, "emg: expected finite.* float32"),
    "a rate of nothing": ({"rate": 0}, "rate: expected one positive number.* found 0"),
    "a rate that is none": ({"rate": np.nan}, "rate: expected one positive number.* found nan"),
    "two rates": ({"rate": [500, 500]}, r"rate: expected one positive number.* shape \(2,\)"),
    "a rate in words": ({"rate": b"500 Hz"}, "rate: expected .*, found"),
    "too few labels": ({"label": np.zeros(39, int)}, r"label: expected \(40,\).*found \(39,\)"),
    "labels in a column": ({"label": np.zeros((SAMPLES, 1), int)}, r"label: .*found \(40, 1\)"),
    "labels that are floats": ({"label": np.zeros(SAMPLES)}, "label: expected integers, found"),
    "a label below −1": (
        {"label": np.arange(SAMPLES) - 2},
        "label: expected a class or −1 .* found -2 at sample 0",
    ),
    "too many targets": ({"target": np.zeros((41, 2))}, r"target: expected \(40, outputs\).*41"),
    "a target in a row": ({"target": np.zeros(SAMPLES)}, r"target: .*found \(40,\); .*a column"),
    "targets of nothing": ({"target": np.zeros((SAMPLES, 0))}, r"target: .*found \(40, 0\)"),
    "an infinite target": ({"target": np.full((SAMPLES, 2), np.inf)}, "target: .* 80 infinite"),
}


@pytest.mark.parametrize("name", ["own.npz", "own.h5"])
@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_refused_by_name(case: str, name: str, tmp_path: Path) -> None:
    changes, said = REFUSED[case]
    path = write(tmp_path / name, **changes)
    with pytest.raises(RecordingError, match=said) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_another_rate_or_other_electrodes_than_the_network_s_are_refused(tmp_path: Path) -> None:
    found = read(write(tmp_path / "own.npz"))
    assert found.expect(RATE * (1 + 1e-9), ELECTRODES) is found
    with pytest.raises(RecordingError, match=r"own\.npz: rate: expected 1000 Hz .* found 500;"):
        found.expect(1000.0, ELECTRODES)
    with pytest.raises(RecordingError, match=r"emg: expected \(samples, 8\) .*found \(40, 3\)"):
        found.expect(RATE, 8)


def test_samples_and_electrodes_in_each_other_s_place_are_said_before_the_labels(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "own.npz", emg=np.zeros((ELECTRODES, SAMPLES)))
    with pytest.raises(RecordingError, match=r"emg: .*found \(3, 40\); transpose it"):
        read(path, ELECTRODES)


# --- files that are not to be trusted -------------------------------------------------------------


class Harmful:
    """What a pickle would do to who reads it."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, ("harm",)


@pytest.mark.parametrize("name", ["emg", "label", "rate"])
def test_pickled_objects_are_refused_and_not_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "own.npz", **{name: np.array([Harmful()], object)})
    with pytest.raises(RecordingError, match=f"{name}: expected numbers, found pickled Python"):
        read(path)
    assert not (tmp_path / "harm").exists()


def test_a_pickle_by_the_name_of_an_archive_is_refused_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.npz").write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(RecordingError, match=r"expected an \.npz archive of arrays"):
        read(tmp_path / "own.npz")
    assert not (tmp_path / "harm").exists()


def test_one_array_is_no_archive(tmp_path: Path) -> None:
    with (tmp_path / "own.npz").open("wb") as file:
        np.save(file, np.zeros((SAMPLES, 3)))
    with pytest.raises(RecordingError, match=r"found a single array; save it with numpy\.savez"):
        read(tmp_path / "own.npz")


LINKS: dict[str, Callable[[h5py.File, Path], None]] = {
    "a soft link": lambda f, other: f.__setitem__("emg", h5py.SoftLink("/target")),
    "a link to nothing": lambda f, other: f.__setitem__("emg", h5py.SoftLink("/nowhere")),
    "another file": lambda f, other: f.__setitem__("emg", h5py.ExternalLink(other, "emg")),
    "a group": lambda f, other: f.create_group("emg"),
    "a named type": lambda f, other: f.__setitem__("emg", np.dtype("f4")),
    "a virtual dataset": lambda f, other: f.create_virtual_dataset("emg", layout(other)),
    "numbers outside": lambda f, other: f.create_dataset(
        "emg", (SAMPLES, 3), "u1", external=[(str(other), 0, SAMPLES * 3)]
    ),
}


def layout(other: Path) -> h5py.VirtualLayout:
    found = h5py.VirtualLayout((SAMPLES, ELECTRODES), "f8")
    found[:] = h5py.VirtualSource(other, "emg", shape=(SAMPLES, ELECTRODES))
    return found


@pytest.mark.parametrize("kind", LINKS)
def test_links_and_what_is_no_array_are_refused(kind: str, tmp_path: Path) -> None:
    other, path = write(tmp_path / "other.h5"), write(tmp_path / "own.h5", emg=None)
    with h5py.File(path, "a") as file:
        LINKS[kind](file, other)
    with pytest.raises(RecordingError, match=r"own\.h5: emg: .*expected an array"):
        read(path)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("content", [b"", b"emg", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n" * 9])
def test_what_is_no_file_of_its_kind_is_one_clear_error(
    name: str, content: bytes, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RecordingError, match=r"own\.(npz|hdf5|h5): .*(expected an|is empty)"):
        read(tmp_path / name)
    with pytest.raises(RecordingError, match="no such recording"):
        read(tmp_path / "missing.npz")


@pytest.mark.parametrize("name", ["own.npz", "own.h5"])
def test_a_recorded_digest_is_honoured(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / name)
    (tmp_path / SUMS).write_text(f"{file_digest(path)}  {name}\n")
    assert len(read(path).emg) == SAMPLES
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(RecordingError, match="expected SHA-256"):
        read(path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Both formats' bytes; the archive also compressed."""
    folder = tmp_path_factory.mktemp("whole")
    np.savez_compressed(folder / "small.npz", **arrays())
    files = [write(folder / "own.npz"), write(folder / "own.h5"), folder / "small.npz"]
    return {path.name: path.read_bytes() for path in files}


@pytest.mark.parametrize("name", ["own.npz", "own.h5", "small.npz"])
@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    cut=st.floats(0, 1),
    harm=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=4),
)
def test_a_damaged_file_is_read_or_refused_by_name(
    name: str,
    cut: float,
    harm: list[tuple[float, int]],
    whole: dict[str, bytes],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Bytes changed or cut off: either a recording that keeps every promise, or one error."""
    content = bytearray(whole[name])
    for place, value in harm:
        content[int(place * (len(content) - 1))] = value
    path = tmp_path_factory.getbasetemp() / f"damaged-{name}"
    path.write_bytes(content if cut > 0.5 else content[: int(2 * cut * len(content))])
    try:
        found = read(path)
    except RecordingError as error:
        assert str(error).startswith(f"{path}: ")
    else:
        keeps_every_promise(found)


def keeps_every_promise(found: OwnRecording) -> None:
    samples, electrodes = found.emg.shape
    assert samples and electrodes and found.emg.dtype == np.float32
    assert np.isfinite(found.emg).all() and 0 < found.rate < np.inf
    assert found.label is None or (found.label.shape == (samples,) and (found.label >= -1).all())
    assert found.target is None or (len(found.target) == samples and found.target.ndim == 2)
    assert found.target is None or not np.isinf(found.target).any()


def test_what_a_simulator_wrote_says_so_in_either_format(tmp_path: Path) -> None:
    made = tmp_path / "made.hdf5"
    own_recording.write(made, arrays(), "0123")
    assert is_simulated(made) and len(read(made).emg) == SAMPLES
    assert is_simulated(write(tmp_path / "made.npz", simulator="0123"))
    assert not is_simulated(write(tmp_path / "own.npz"))
    assert not is_simulated(write(tmp_path / "own.h5"))
