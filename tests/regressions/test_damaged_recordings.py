"""A damaged HDF5 file is refused in one line. It cannot end, hang or fill the process that asks."""

from __future__ import annotations

import ctypes
import os
import random
import resource
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from compress.data import own_recording, recording_file
from compress.errors import RecordingError
from compress.reading import hdf5
from compress.reading.hdf5_child import CHUNK
from compress.reading.limited import Answer, Child, Limits, Refusal, Server
from compress.tasks.typing.session import DATASET, DTYPE, GROUP, Session
from tests import recording_files
from tests.compress.test_session import attributes, rows

SAMPLES = 3000


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "sound.hdf5"
    return recording_files.write(path, GROUP, rows(SAMPLES), attributes())


# --- what a library may do to its process ---------------------------------------------------------


def serve(what: str) -> Callable[[Any], Answer]:
    """The side of a library that behaves badly; tests run it as one that reads files."""

    def answer(request: Any) -> Answer:
        if request == "crash":
            ctypes.string_at(0)
        if request == "end":
            os._exit(0)
        if request == "hang":
            while True:
                pass
        if request == "sleep":
            time.sleep(1000)
        if request == "fill":
            return len(bytearray(8 << 30)), ()
        if request == "write":
            Path(what).write_bytes(bytes(1 << 20))
        if request == "dump":
            return resource.getrlimit(resource.RLIMIT_CORE), ()
        if request == "lines":
            raise ValueError("one\ntwo")
        if request == "bytes":
            return None, iter([memoryview(bytes(range(8))), memoryview(bytes(8))])
        if request == "half":
            return None, _half()
        return request, ()

    return answer


def _half() -> Iterator[memoryview]:
    yield memoryview(bytes(8))
    raise ValueError("the rest is damaged")


@pytest.fixture(scope="module")
def server() -> Server:
    return Server(__name__, "the library", Limits(memory=1 << 30, cpu_s=1, wall_s=3))


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ("crash", "the library crashes on it"),
        ("end", "the library crashes on it"),
        ("hang", "the library does not come to an end with it"),
        ("sleep", "the library does not come to an end with it"),
        ("fill", "MemoryError"),
        ("lines", "one two"),
    ],
)
def test_a_library_that_misbehaves_is_a_refusal_and_the_next_file_is_read(
    request_: str, said: str, server: Server
) -> None:
    with pytest.raises(Refusal, match=said):
        server.open("").ask(request_)
    assert server.open("").ask({"a": [1]}) == {"a": [1]}


def test_a_child_that_died_stays_dead_and_others_do_not_notice(server: Server) -> None:
    first, second = server.open(""), server.open("")
    assert second.ask(1) == 1
    for _ in range(2):
        with pytest.raises(Refusal, match="crashes on it"):
            first.ask("crash")
    assert second.ask(2) == 2


def test_a_child_writes_no_file_and_no_core(server: Server, tmp_path: Path) -> None:
    with pytest.raises(Refusal):
        server.open(str(tmp_path / "x")).ask("write")
    assert not (tmp_path / "x").exists() or not (tmp_path / "x").stat().st_size
    assert server.open("").ask("dump") == [0, 0]


def test_bytes_that_are_more_less_or_damaged_are_refused(server: Server) -> None:
    found = np.zeros(2, np.int64)
    server.open("").ask("bytes", found)
    assert found.view(np.uint8).tolist() == [*range(8), *bytes(8)]
    for size in (1, 3):
        with pytest.raises(Refusal, match="crashes"):
            server.open("").ask("bytes", np.zeros(size, np.int64))
    with pytest.raises(Refusal, match="the rest is damaged"):
        server.open("").ask("half", found)


def test_one_child_answers_several_threads_in_turn(server: Server) -> None:
    child = server.open("")
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(child.ask, range(200))) == list(range(200))


def test_a_forked_process_has_a_server_of_its_own(server: Server) -> None:
    assert server.open("").ask(1) == 1
    pid = os.fork()
    if pid == 0:
        os._exit(0 if server.open("").ask(2) == 2 else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert server.open("").ask(3) == 3


def test_nothing_is_left_running(tmp_path: Path) -> None:
    """Neither where the process ends nor where it is killed."""
    program = (
        "import sys, os\n"
        "from compress.reading.limited import Server\n"
        "child = Server('tests.regressions.test_damaged_recordings', 'it').open('')\n"
        "child.ask(1)\n"
        "print('asked', flush=True)\n"
        "sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "asked\n"
    begun = _children(process.pid)
    assert begun
    process.send_signal(signal.SIGKILL)
    process.communicate()
    for _ in range(600):
        if not any(Path(f"/proc/{pid}").exists() for pid in begun):
            return
        time.sleep(0.1)
    pytest.fail(f"still running: {begun}")


def _children(pid: int) -> list[int]:
    """Processes that descend from one."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        if parent == pid:
            found += [int(path.parent.name), *_children(int(path.parent.name))]
    return found


# --- files ----------------------------------------------------------------------------------------


def test_a_file_on_which_the_library_crashes_is_refused_in_one_line(
    sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which file does depends on the library's version; what is done about it does not."""
    monkeypatch.setattr(
        Child, "ask", lambda self, request, into=None: _crashing(request["what"], self, into)
    )
    monkeypatch.setattr(hdf5, "_server", Server(__name__, "the HDF5 library"))
    with pytest.raises(RecordingError, match="the HDF5 library crashes on it; copy or download"):
        Session(sound)


_ask = Child.ask


def _crashing(what: str, child: Child, into: Any) -> Any:
    return _ask(child, "crash", into)


def test_every_read_is_what_h5py_reads(sound: Path) -> None:
    with h5py.File(sound) as file:
        series = file[GROUP][DATASET][:]
    with hdf5.File(sound) as opened:
        array = opened.array(f"{GROUP}/{DATASET}")
        assert array.shape == (SAMPLES,) and array.dtype == DTYPE and array.checksums
        for part in (slice(None), slice(0, 1), slice(1023, 1025), slice(2999, 9999), slice(5, 5)):
            found = array.read(part.start or 0, part.stop)
            assert (found == series[part]).all() and found.shape == series[part].shape
    with pytest.raises(Refusal):
        array.read()


def test_windows_are_read_in_any_order_and_from_several_threads(sound: Path) -> None:
    with Session(sound) as session, ThreadPoolExecutor(4) as pool:
        starts = [random.Random(0).randrange(SAMPLES - 100) for _ in range(60)]
        found = list(pool.map(lambda start: session.emg(start, start + 100), starts))
        whole = session.emg()
        assert all((f == whole[s : s + 100]).all() for s, f in zip(starts, found, strict=True))
        assert threading.active_count() >= 1


def test_the_process_that_reads_a_recording_never_loads_the_library(sound: Path) -> None:
    program = (
        "import sys\n"
        "from compress.tasks.typing.session import Session\n"
        f"with Session({str(sound)!r}) as session:\n"
        "    session.check()\n"
        "sys.exit('h5py' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def made(path: Path, change: Callable[[h5py.Group], None]) -> Path:
    """A session whose table is made by `change`."""
    with h5py.File(path, "w") as file:
        group = file.create_group(GROUP)
        change(group)
        group.attrs.update(attributes())
    return path


def _claims(group: h5py.Group) -> None:
    """10¹² rows, none of them written."""
    group.create_dataset(DATASET, (10**12,), DTYPE, chunks=(1024,))


def _claims_in_a_piece(group: h5py.Group) -> None:
    group.create_dataset(DATASET, (10**12,), DTYPE)


def _never_written(group: h5py.Group) -> None:
    series = group.create_dataset(DATASET, (9000,), DTYPE, chunks=(1024,))
    series[:3000] = rows(3000)


def _large_chunks(group: h5py.Group) -> None:
    count = CHUNK // DTYPE.itemsize + 1
    series = group.create_dataset(DATASET, (count,), DTYPE, chunks=(count,), compression="gzip")
    series.id.write_direct_chunk((0,), b"x")


def _bomb(group: h5py.Group) -> None:
    """Chunks of some hundred bytes that are said to be a gigabyte."""
    count, size = 200, 40_000
    series = group.create_dataset(
        DATASET, (count * size,), DTYPE, chunks=(size,), compression="gzip"
    )
    for index in range(count):
        series.id.write_direct_chunk((index * size,), b"x\x9c" + bytes(100))


def _plugin(group: h5py.Group) -> None:
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((1024,))
    properties.set_filter(32001, h5py.h5z.FLAG_OPTIONAL, ())
    space = h5py.h5s.create_simple((9000,))
    h5py.h5d.create(group.id, DATASET.encode(), h5py.h5t.py_create(DTYPE), space, properties)


def _virtual(group: h5py.Group) -> None:
    layout = h5py.VirtualLayout((9000,), DTYPE)
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (9000,), DTYPE)
    group.create_virtual_dataset(DATASET, layout)


def _outside(group: h5py.Group) -> None:
    size = 9000 * DTYPE.itemsize
    group.create_dataset(DATASET, (9000,), DTYPE, external=[("/etc/passwd", 0, size)])


def _soft(group: h5py.Group) -> None:
    group["other"] = rows(3000)
    group[DATASET] = h5py.SoftLink("other")


def _words(group: h5py.Group) -> None:
    group.create_dataset(DATASET, data=["a", "b"], dtype=h5py.string_dtype())


def _references(group: h5py.Group) -> None:
    group.create_dataset(DATASET, (9,), h5py.ref_dtype)


def _nothing(group: h5py.Group) -> None:
    group.create_dataset(DATASET, data=h5py.Empty("f4"))


def _attributes(group: h5py.Group) -> None:
    group.create_dataset(DATASET, data=rows(3000))
    for index in range(5000):
        group.attrs[f"a{index}"] = 1


HOSTILE: dict[str, tuple[Callable[[h5py.Group], None], str]] = {
    "10¹² rows in chunks": (_claims, "0 were written"),
    "10¹² rows in a piece": (_claims_in_a_piece, "bytes"),
    "a part that was never written": (_never_written, "of the 9 chunks of .* 3 were written"),
    "large chunks": (_large_chunks, "expected chunks of up to"),
    "a bomb": (_bomb, "bytes are said to lie in"),
    "a plugin": (_plugin, "filter 32001"),
    "a virtual dataset": (_virtual, "found one that lies in another"),
    "numbers in another file": (_outside, "found one that lies in another"),
    "a soft link": (_soft, "found a link, which is not followed"),
    "a link to another file": (
        lambda group: group.__setitem__(DATASET, h5py.ExternalLink("/etc/passwd", "x")),
        "found a link, which is not followed",
    ),
    "text": (_words, "expected an array of numbers, found object"),
    "references": (_references, "expected an array of numbers, found object"),
    "nothing": (_nothing, "expected an array of numbers"),
    "a named type": (lambda g: g.__setitem__(DATASET, np.dtype("f4")), "expected an array"),
    "thousands of attributes": (_attributes, "expected up to 4096 attributes, found 500"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_no_table_in_the_file_itself_is_refused(case: str, tmp_path: Path) -> None:
    change, reason = HOSTILE[case]
    path = made(tmp_path / "hostile.hdf5", change)
    with pytest.raises(RecordingError, match=reason) as refusal:
        Session(path)
    assert str(path) in str(refusal.value) and str(refusal.value).isprintable()


def test_a_group_that_is_a_link_is_not_followed(sound: Path, tmp_path: Path) -> None:
    path = tmp_path / "link.hdf5"
    with h5py.File(path, "w") as file:
        file[GROUP] = h5py.ExternalLink(str(sound), GROUP)
    with pytest.raises(RecordingError, match="found a link, which is not followed"):
        Session(path)


@pytest.mark.parametrize(
    "value",
    ["[" * 200_000, '[{"start": 1e999, "key": "a"}]', '[{"start": ' + "1" * 400 + ', "key": "a"}]'],
    ids=["nesting", "infinity", "digits"],
)
def test_keystrokes_that_are_none_are_refused(value: str, tmp_path: Path) -> None:
    path = tmp_path / "keys.hdf5"
    recording_files.write(path, GROUP, rows(SAMPLES), attributes() | {"prompts": "[]"})
    with h5py.File(path, "a") as file:
        del file[GROUP].attrs["keystrokes"]
        file[GROUP].attrs.create("keystrokes", value, dtype=h5py.string_dtype())
    with pytest.raises(RecordingError) as refusal:
        Session(path)
    assert len(str(refusal.value)) < 1000 and str(refusal.value).isprintable()


def test_a_whole_reading_of_more_than_the_limit_is_refused_unread(
    sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hdf5, "LIMIT", 100_000)
    with Session(sound) as session:
        assert len(session.emg(0, 700)) == 700
        with pytest.raises(RecordingError, match="expected up to 100000 bytes at once, found 408"):
            session.emg()


@pytest.mark.parametrize("name", ["emg", "rate"])
def test_own_recordings_are_bounded_too(name: str, tmp_path: Path) -> None:
    path = tmp_path / "own.h5"
    own_recording.write(path, {"emg": np.zeros((50, 3)), "rate": 500.0}, "one")
    with h5py.File(path, "a") as file:
        del file[name]
        file.create_dataset(name, (10**6, 10**6), "f4", chunks=(64, 64))
    with pytest.raises(RecordingError, match=rf"own\.h5: {name}: .* 0 were written"):
        own_recording.read(path)


def test_structures_damaged_at_random_are_refused_or_read(sound: Path, tmp_path: Path) -> None:
    """Bytes of the file outside of the samples, one to four at a time."""
    content, draw = sound.read_bytes(), random.Random(20)
    with h5py.File(sound) as file:
        series = file[GROUP][DATASET].id
        chunks = [series.get_chunk_info(i) for i in range(series.get_num_chunks())]
    inside = {i for c in chunks for i in range(c.byte_offset, c.byte_offset + c.size)}
    outside = [i for i in range(len(content)) if i not in inside]
    for number in range(60):
        damaged = bytearray(content)
        for _ in range(draw.randint(1, 4)):
            damaged[draw.choice(outside)] = draw.randrange(256)
        path = tmp_path / f"{number}.hdf5"
        path.write_bytes(damaged)
        try:
            with Session(path) as session:
                session.check()
                session.text()
        except RecordingError as refusal:
            assert str(refusal).startswith(str(path)) and str(refusal).isprintable()


# --- digests --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("junk  x.hdf5", "expected a SHA-256 of 64 hexadecimal digits, found 'junk'"),
        (f"{'g' * 64}  x.hdf5", "expected a SHA-256"),
        ("\x1b[31m  x.hdf5", "expected a SHA-256"),
        (f"{'0' * 64}  x.hdf5", "damaged or another file"),
        (f"{'0' * 64} *x.hdf5", "damaged or another file"),
    ],
)
def test_a_digest_that_is_none_is_said(line: str, reason: str, sound: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.hdf5"
    path.write_bytes(sound.read_bytes())
    (tmp_path / recording_file.SUMS).write_text(f"{line}\n")
    with pytest.raises(RecordingError, match=reason) as refusal:
        Session(path)
    assert str(refusal.value).isprintable()


def test_sums_that_are_no_text_are_said(sound: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.hdf5"
    path.write_bytes(sound.read_bytes())
    (tmp_path / recording_file.SUMS).write_bytes(b"\xff\xfe" + struct.pack("<Q", 0))
    with pytest.raises(RecordingError, match=r"SHA256SUMS: expected text in UTF-8"):
        Session(path)
