"""A file of arrays is read, or refused in one line, before anything of the size that it claims is
allocated."""

from __future__ import annotations

import io
import pickle
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.data import array_file, own_recording
from compress.errors import RecordingError, TendonError
from compress.reading import arrays
from compress.reading.text import UnreadableError
from host import decoders

VERSIONS = [(1, 0), (2, 0), (3, 0)]


def header(said: str, version: tuple[int, int] = (1, 0), numbers: bytes = b"") -> bytes:
    """A `.npy` whose header is this text."""
    text = said.encode()
    length = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + length + text + numbers


def described(shape: Any, descr: Any = "<f4", fortran: Any = False) -> str:
    return str({"descr": descr, "fortran_order": fortran, "shape": shape})


def saved(array: Any) -> bytes:
    content = io.BytesIO()
    np.save(content, array, allow_pickle=True)
    return content.getvalue()


def archived(**members: Any) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, **members)
    return content.getvalue()


class Harmful:
    def __reduce__(self):
        return exec, ("raise SystemExit('it ran')",)


STRUCTURED = np.zeros(3, [("a", "<f4"), ("b", "<i2", (3,))])
BAD: dict[str, tuple[bytes, str]] = {
    "NaN": (saved([1.0, np.nan]), r"1 that are not, the first at \(1,\)"),
    "infinity": (saved([[1.0, -np.inf]]), r"1 that are not, the first at \(0, 1\)"),
    "too large for float32": (saved([1e300, 1e39, 1.0]), r"2 that are not, the first at \(0,\)"),
    "long doubles": (saved(np.array([np.longdouble("1e4000")])), "1 that are not"),
    "booleans": (saved([True]), r"real ones, found bool \(1,\)"),
    "complex": (saved([1j]), "found complex128"),
    "times": (saved(np.array(["2020"], "M8[s]")), "found datetime64"),
    "text": (saved(["a"]), "found <U1"),
    "structured": (saved(STRUCTURED), "expected numbers, real ones, found"),
    "objects": (saved(np.array([Harmful()], object)), "pickled Python objects"),
    "a pickle": (pickle.dumps(Harmful()), "found pickled Python objects"),
    "none of them": (saved(np.zeros((0, 32))), r"at least one number.*\(0, 32\)"),
    "an empty file": (b"", "found an empty file"),
    "cut off": (saved(np.zeros(100))[:-1], "799 follow"),
    "a header cut off": (saved(np.zeros(100))[:40], "bytes, the file has 40"),
    "more than one": (saved(np.zeros(3)) * 2, "more than one array"),
    "an archive": (archived(a=np.zeros(3)), r"found an archive of several \(\.npz\)"),
    "another version": (header(described((1,)), (9, 0), bytes(4)), r"version 1 to 3 .* found 9\.0"),
    "a long header": (
        b"\x93NUMPY\x02\x00" + b"\xff" * 300,
        "its header is said to have 4294967295",
    ),
    "code": (header("__import__('os').abort()"), "does not describe an array"),
    "brackets": (header("(" * 60000), "does not describe an array"),
    "signs": (header("-" * 60000 + "1"), "does not describe an array"),
    "a shape below 0": (header(described((-1,))), "does not describe an array"),
    "a shape of truths": (header(described((True,)), numbers=bytes(4)), "does not describe"),
    "an unknown type": (header(described((1,), "<q9"), numbers=bytes(9)), "does not describe"),
    "no dict": (header("[1]"), "does not describe an array"),
    "something else": (b"time,emg\n1,2\n", "found something else"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_array_of_finite_numbers_is_refused_in_one_line(
    case: str, tmp_path: Path
) -> None:
    content, reason = BAD[case]
    path = tmp_path / "x.npy"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=reason) as refusal:
        array_file.load(path)
    assert str(refusal.value).startswith(f"{path}: ") and "\n" not in str(refusal.value)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("read", [arrays.read, arrays.mapped, array_file.load])
@pytest.mark.parametrize("shape", [(10**12,), (10**6, 10**6), (2**40, 2**40), (0, 2**62, 4)])
def test_a_header_that_claims_terabytes_allocates_nothing(
    version: tuple[int, int], read: Callable[[Path], Any], shape: tuple[int, ...], tmp_path: Path
) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(header(described(shape), version, bytes(64)))
    tracemalloc.start()
    with pytest.raises((UnreadableError, RecordingError), match="claims"):
        read(path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_of_the_format_is_read(version: tuple[int, int], tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    numbers = np.arange(6, dtype="<f4")
    path.write_bytes(header(described((2, 3)), version, numbers.tobytes()))
    assert (array_file.load(path) == numbers.reshape(2, 3)).all()


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12).reshape(3, 4),
        np.arange(12, dtype=">f8").reshape(3, 4),
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.arange(24, dtype=np.uint16).reshape(2, 3, 4),
        np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)),
        np.float16([0.5]),
        np.array(7),
    ],
    ids=lambda array: f"{array.dtype.str}{array.shape}",
)
def test_numbers_of_any_kind_and_order_are_read(array: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", array)
    found = array_file.load(tmp_path / "x.npy")
    assert found.dtype == np.float32 and found.shape == array.shape and (found == array).all()
    assert (arrays.mapped(tmp_path / "x.npy").read() == array).all()


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        (np.full((3, 99), np.nan), "297 that are not, the first in frame 0, class 0"),
        (np.full((3, 99), -1e300), "finite log-probabilities within float32"),
        (np.zeros((3, 98)), r"float \(frames, 99\).*found float64 \(3, 98\)"),
        (np.zeros((3, 99), int), "expected log-probabilities, float"),
        (np.zeros(99), "expected log-probabilities, float"),
    ],
    ids=["NaN", "1e300", "a class too few", "integers", "one frame"],
)
def test_frames_that_say_no_text_are_refused(
    frames: np.ndarray, reason: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "frames.npy", frames)
    with pytest.raises(TendonError, match=reason):
        decoders.load_frames(tmp_path / "frames.npy")


def test_an_archive_named_npy_is_no_frames(tmp_path: Path) -> None:
    (tmp_path / "frames.npy").write_bytes(archived(a=np.zeros((3, 99))))
    with pytest.raises(TendonError, match=r"archive of several \(\.npz\); save the one"):
        decoders.load_frames(tmp_path / "frames.npy")


# --- archives -------------------------------------------------------------------------------------


def bomb(path: Path, size: int, claimed: int | None = None) -> Path:
    """An archive whose `emg` unpacks to so many zeros, or says that it does."""
    begin = header(described((size // 64, 16)))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("rate.npy", saved(500.0))
        with archive.open("emg.npy", "w", force_zip64=True) as file:
            file.write(begin)
            for _ in range((size if claimed is None else claimed) // (1 << 20)):
                file.write(bytes(1 << 20))
    return path


def test_an_archive_that_unpacks_to_more_than_the_limit_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrays, "LIMIT", 64 << 20)
    path = bomb(tmp_path / "own.npz", 128 << 20)
    assert path.stat().st_size < 1 << 20
    tracemalloc.start()
    with pytest.raises(RecordingError, match=r"up to 67108864 bytes.*found 134"):
        own_recording.read(path)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_a_member_that_claims_more_than_it_packs_is_refused(tmp_path: Path) -> None:
    path = bomb(tmp_path / "own.npz", 1 << 40, claimed=1 << 20)
    with pytest.raises(RecordingError, match=r"own\.npz: emg: .*claims 1099511627776"):
        own_recording.read(path)


def members(path: Path, packed: int = zipfile.ZIP_STORED, *names: str) -> Path:
    with zipfile.ZipFile(path, "w", packed) as archive:
        for name in names:
            archive.writestr(name, saved(np.zeros((4, 2))))
    return path


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("packed", "names", "reason"),
    [
        (zipfile.ZIP_LZMA, ("emg.npy", "rate.npy"), "packed in a way"),
        (zipfile.ZIP_STORED, ("emg.npy", "emg.npy"), "two of its arrays have one name"),
        (zipfile.ZIP_STORED, ("emg", "emg.npy"), "two of its arrays have one name"),
        (zipfile.ZIP_STORED, ("../emg.npy", "\n.npy"), "found no emg and no rate"),
        (zipfile.ZIP_STORED, (), "found no emg and no rate"),
    ],
)
def test_odd_members_are_refused(
    packed: int, names: tuple[str, ...], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(RecordingError, match=reason):
        own_recording.read(members(tmp_path / "own.npz", packed, *names))


def test_an_array_named_npz_is_refused_by_its_kind(tmp_path: Path) -> None:
    (tmp_path / "own.npz").write_bytes(saved(np.zeros((4, 2))))
    with pytest.raises(RecordingError, match="found a single array; save it with"):
        own_recording.read(tmp_path / "own.npz")


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.npy").mkdir()
    with pytest.raises(RecordingError, match="expected a file, found something else"):
        array_file.load(tmp_path / "x.npy")
    with pytest.raises(RecordingError, match="there is no such file"):
        array_file.load(tmp_path / "y.npy")
