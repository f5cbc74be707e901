"""What was damaged or replaced after it was made is noticed, said, and made again: graphs, reports,
images, projects, libraries and cached results."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench.cycles import counting
from bench.pareto import jobs
from bench.tendon import main as tendon
from compress import artifacts
from compress import graph as g
from compress.artifacts import Folder
from compress.frontend.own import named
from host import native
from host.boards import open_board
from host.errors import NoBoardError
from tests import toy

NET = """
from torch import nn

SAMPLE_RATE, ELECTRODES, TASK = 1000, 4, "classes"


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(4, 3)

    def forward(self, x):
        return self.last(x.transpose(1, 2)).transpose(1, 2)


def network():
    return Net()
"""


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A user's folder: a network of their own, fixed weights for it, and a signal."""
    import torch

    folder = tmp_path_factory.mktemp("user")
    (folder / "net.py").write_text(NET)
    torch.manual_seed(1)
    torch.save({"last.weight": torch.randn(3, 4), "last.bias": torch.zeros(3)}, folder / "net.pt")
    np.save(folder / "x.npy", np.random.default_rng(0).normal(size=(4, 4000)).astype(np.float32))
    yield folder
    named.those.clear()


def words(user: Path, *more: str) -> list[str]:
    return [
        *("--model", f"{user}/net.py", "--checkpoint", f"{user}/net.pt"),
        *("--calibration", f"{user}/x.npy", "--build", f"{user}/build", *more),
    ]


def made(user: Path, *more: str) -> Path:
    """The folder of its artifacts, after `quantize` or `firmware --board`."""
    assert tendon(["firmware" if more else "quantize", *words(user, *more)]) == 0
    return user / "build" / "net" / "w8a16"


def flip(path: Path, at: int = -40) -> bytes:
    """One bit of a file; returns what it was."""
    content = path.read_bytes()
    changed = bytearray(content)
    changed[at] ^= 4
    path.write_bytes(changed)
    return content


def says(path: Path, text: str) -> bool:
    return (
        re.search(rf"(?m)^{re.escape(str(path))}: damaged or replaced since .* again$", text)
        is not None
    )


@pytest.mark.parametrize("name", ["graph.npz", "float.npz", "quantize.json"])
def test_a_damaged_graph_or_report_is_said_and_made_again(user: Path, name: str, capsys) -> None:
    folder = made(user)
    before = flip(folder / name)
    capsys.readouterr()
    made(user)
    assert says(folder / name, capsys.readouterr().err)
    assert (folder / name).read_bytes() == before
    made(user)
    assert "again" not in capsys.readouterr().err


def test_damage_is_said_to_who_wants_no_more_than_results(user: Path, capsys) -> None:
    path = made(user) / "quantize.json"
    flip(path)
    capsys.readouterr()
    assert tendon(["quantize", "-q", *words(user)]) == 0
    said = capsys.readouterr().err
    assert says(path, said) and "goes on with" not in said


def test_a_graph_replaced_by_another_sound_one_is_said_and_made_again(user: Path, capsys) -> None:
    folder = made(user)
    graph, real = g.load(folder / "graph.npz"), g.load(folder / "float.npz")
    before = (folder / "float.npz").read_bytes()
    g.save(graph, folder / "float.npz")  # the integers for the floats
    capsys.readouterr()
    made(user)
    assert says(folder / "float.npz", capsys.readouterr().err)
    assert (folder / "float.npz").read_bytes() == before and g.load(
        folder / "float.npz"
    ).hash() == real.hash()


@pytest.mark.parametrize("board", ["posix", "virtual-f405"])
def test_a_flipped_bit_in_an_image_is_said_and_the_image_built_again(
    user: Path, board: str, capsys
) -> None:
    toy.need("gcc", "make", "arm-none-eabi-gcc")
    target = made(user, "--board", board) / "c" / board
    image = target / ("firmware" if board == "posix" else "firmware.elf")
    before = flip(image, len(image.read_bytes()) // 2)
    with pytest.raises(NoBoardError, match="damaged or replaced since it was made"):
        open_board(board, image)
    capsys.readouterr()
    made(user, "--board", board)
    said = capsys.readouterr().err
    assert says(image, said) and image.read_bytes() == before
    made(user, "--board", board)
    assert f"{image}: unchanged" in capsys.readouterr().err


def test_so_is_what_is_loaded_beside_it_and_what_make_would_believe_by_its_time(
    user: Path, capsys
) -> None:
    """An object file that was damaged is younger than its source: make takes it."""
    toy.need("make", "arm-none-eabi-gcc")
    target = made(user, "--board", "virtual-f405") / "c" / "virtual-f405"
    image = (target / "firmware.elf").read_bytes()
    objects = sorted((target / "project" / "build").rglob("model/*.o"))
    assert objects
    for path in objects:
        path.write_bytes(b"damaged")
    flip(target / "firmware.bin")
    capsys.readouterr()
    made(user, "--board", "virtual-f405")
    assert says(target / "firmware.bin", capsys.readouterr().err)
    assert (target / "firmware.elf").read_bytes() == image


def test_a_changed_file_of_the_project_is_said_and_the_project_written_again(
    user: Path, capsys
) -> None:
    toy.need("gcc", "make")
    project = made(user, "--board", "posix") / "c" / "posix" / "project"
    model = min((project / "model").glob("*.c"))
    for path in (project / "app" / "crc32.c", model):
        before = flip(path, 9)
        capsys.readouterr()
        made(user, "--board", "posix")
        assert says(path, capsys.readouterr().err) and path.read_bytes() == before


def test_an_image_damaged_while_a_probe_is_looked_for_is_not_loaded(
    user: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    from host import flash

    toy.need("make", "arm-none-eabi-gcc")

    def choose(job: flash.Job, wanted: str | None) -> flash.Chosen:
        flip(job.binary)
        return flash.Chosen(flash.LOADERS[0], "a chip", [])

    monkeypatch.setattr(flash, "choose", choose)
    monkeypatch.setattr(flash, "load_image", lambda *_: pytest.fail("it was loaded"))
    assert tendon(["flash", *words(user, "--board", "nucleo-f446re")]) == 1
    said = capsys.readouterr().err
    assert "firmware.bin: damaged or replaced since it was made" in said and "not loaded" in said


def test_a_flipped_bit_in_a_native_library_is_said_and_it_is_compiled_again(
    user: Path, tmp_path: Path, capsys
) -> None:
    toy.need("gcc")
    graph = g.load(made(user) / "graph.npz")
    samples = np.random.default_rng(1).integers(-999, 999, (64, 4)).astype(np.int16)
    expected = native.load(graph, tmp_path).run(samples)
    (library,) = tmp_path.glob("*.so")
    content = library.read_bytes()
    for at in (len(content) // 2, content.index(b"\x7fELF") + 1):
        flip(library, at)
        capsys.readouterr()
        assert np.array_equal(native.load(graph, tmp_path).run(samples), expected)
        assert says(library, capsys.readouterr().err) and library.read_bytes() == content


def test_the_emulators_plugin_is_believed_by_its_content_not_by_its_time(
    tmp_path: Path, capsys
) -> None:
    toy.need("gcc")
    library = counting.build_plugin(tmp_path)
    content = flip(library, 5000)
    assert counting.build_plugin(tmp_path).read_bytes() == content
    assert says(library, capsys.readouterr().err)


def test_a_cached_result_of_a_sweep_is_believed_by_its_content(tmp_path: Path, capsys) -> None:
    setting = jobs.Setting(*(tmp_path, {}, (), (), (), (), tmp_path), task="typing")
    made_ones: list[int] = []

    def result() -> jobs.Result:
        made_ones.append(1)
        return {"error": 9.36}

    def arrays() -> dict[str, np.ndarray]:
        made_ones.append(1)
        return {"values": np.arange(3)}

    for _ in range(2):
        assert jobs.remembered(setting, "a", result) == {"error": 9.36}
        assert jobs.remembered_arrays(setting, "b", arrays)["values"].tolist() == [0, 1, 2]
    assert len(made_ones) == 2
    path = setting.results / "a.json"
    path.write_text(path.read_text().replace("9.36", "3.96"))
    np.savez(setting.results / "b.npz", values=np.arange(4))
    assert jobs.remembered(setting, "a", result) == {"error": 9.36}
    assert jobs.remembered_arrays(setting, "b", arrays)["values"].tolist() == [0, 1, 2]
    said = capsys.readouterr().err
    assert says(path, said) and says(setting.results / "b.npz", said) and len(made_ones) == 4


def test_a_compressed_network_is_believed_by_its_content(tmp_path: Path, capsys) -> None:
    folder = Folder(tmp_path, "net", "compressed")
    folder.path.mkdir(parents=True)
    record = folder.path / "compress.json"
    record.write_text("{}")
    folder.checkpoint.write_bytes(bytes(99))
    artifacts.seal(record, folder.checkpoint)
    assert artifacts.is_whole(record) and capsys.readouterr().err == ""
    flip(folder.checkpoint)
    assert not artifacts.is_whole(record) and says(folder.checkpoint, capsys.readouterr().err)


def test_records_are_as_sha256sum_writes_them(tmp_path: Path) -> None:
    import subprocess

    toy.need("sha256sum")
    first, second = tmp_path / "a b", tmp_path / "é" / "c"
    second.parent.mkdir()
    for path in (first, second):
        path.write_bytes(path.name.encode())
    artifacts.seal(first, second)
    record = first.with_name("a b.sha256")
    subprocess.run(["sha256sum", "--check", "--strict", record.name], cwd=tmp_path, check=True)
    shutil.rmtree(second.parent)
    assert artifacts.damage(first) == f"{second}: missing since it was made"
    record.write_bytes(b"\xff\n\nno digest")
    assert artifacts.damage(first) == f"{first}: no SHA-256 of it is recorded"
