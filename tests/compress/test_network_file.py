"""Files of the user's that hold a network: what is read of them, what is refused and how it is
said, whose weights count, and that no checkpoint makes code run."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.tendon import main as tendon
from compress import artifacts, cli, pipeline
from compress.artifacts import COMPRESSED, Folder, Sources
from compress.cli import options
from compress.errors import CheckpointError, TendonError
from compress.frontend import checkpoint
from compress.frontend.own import named, source
from compress.frontend.own.named import NetworkFile

FORWARD = "self.last(self.first(x.transpose(1, 2))).transpose(1, 2)"
SAYS = 'SAMPLE_RATE, ELECTRODES, TASK = 1000, 4, "classes"\n'
NET = """
from torch import nn


class Net(nn.Module):
    def __init__(self, width=6):
        super().__init__()
        self.first, self.last = nn.Linear(4, width), nn.Linear(width, 3)

    def forward(self, x):
        return self.last(self.first(x.transpose(1, 2))).transpose(1, 2)


def network():
    return Net()


def wide():
    return Net(9)
"""


@pytest.fixture(autouse=True)
def nothing_named() -> Iterator[None]:
    """Each test names its files itself."""
    named.those.clear()
    yield
    named.those.clear()


def written(folder: Path, text: str = SAYS + NET, name: str = "net.py") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def folder_of(path: Path, build: Path, precision: str = "w8a16") -> Folder:
    file = named.named(str(path))
    assert file is not None
    return Folder(build, file.name, precision, network=file)


def frozen(path: Path, build: Path, given: Path | None = None) -> Path:
    return artifacts.checkpoint_for(folder_of(path, build), Sources(given))


def refused(path: Path, build: Path, given: Path | None = None) -> str:
    with pytest.raises(TendonError) as error:
        frozen(path, build, given)
    return str(error.value)


# --- what MODEL= names ----------------------------------------------------------------------------


def test_a_file_and_a_function_in_it_are_named_after_the_file(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert named.named("TC_S4_small") is None
    for text, name, function in (
        (str(path), "net", "network"),
        (f"{path}:network", "net", "network"),
        (f"{path}:wide", "net-wide", "wide"),
    ):
        found = named.named(text)
        assert found == NetworkFile(path, function) and found.name == name


@pytest.mark.parametrize(
    ("name", "suffix", "message"),
    [
        ("missing.py", "", "no such file"),
        ("net.py", ":a-b", "name of a function behind the colon, found 'a-b'"),
        ("net.py", ":", "name of a function behind the colon, found ''"),
        ("my net.py", "", "takes its name from the file"),
        ('net"; #.py', "", "takes its name from the file"),
        ("TC_S4_small.py", "", "name of a published network"),
        ("pareto.py", "", "name of a folder for other things"),
        ("recordings.py", "", "name of a folder for other things"),
        ("net.txt", "", "or a Python file, path/net.py"),
    ],
)
def test_what_cannot_be_a_network_file_is_refused(
    name: str, suffix: str, message: str, tmp_path: Path
) -> None:
    if name != "missing.py":
        written(tmp_path, name=name)
    with pytest.raises(TendonError, match=re.escape(message)):
        named.named(f"{tmp_path / name}{suffix}")


def test_options_say_the_name_and_the_file(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    options.add_graph_arguments(parser)
    args = parser.parse_args(["--model", str(written(tmp_path)), "--build", str(tmp_path)])
    assert (args.model, args.network.path) == ("net", tmp_path / "net.py")
    assert cli.folder(args).path == tmp_path / "net" / "w8a16"
    args = parser.parse_args([])
    assert (args.model, args.network) == ("TC_S4_small", None)


def test_the_window_is_the_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["macs", "--model", str(written(tmp_path)), "--window", "200"]
    assert tendon([*words, "--build", str(tmp_path / "build")]) == 2
    assert f"set WINDOW in {tmp_path / 'net.py'}" in capsys.readouterr().err


def test_two_files_of_one_name_are_not_swept_together(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    options.add_models_argument(parser, [])
    paths = [str(written(tmp_path / side)) for side in "ab"]
    args = parser.parse_args(["--models", "TC_S4_small", paths[0], f"{paths[1]}:wide"])
    assert args.models == ["TC_S4_small", "net", "net-wide"] and len(args.networks) == 2
    with pytest.raises(TendonError, match="would both be called net"):
        parser.parse_args(["--models", *paths])


def test_an_unknown_name_is_told_of_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert tendon(["macs", "--model", "mine"]) == 2
    assert "MODEL=path/net.py" in capsys.readouterr().err


# --- what the file says ---------------------------------------------------------------------------


def says(**changes: Any) -> str:
    values = {"SAMPLE_RATE": 1000, "ELECTRODES": 4, "TASK": "classes"} | changes
    return "".join(f"{name} = {value!r}\n" for name, value in values.items())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (NET, "expected it to define SAMPLE_RATE, ELECTRODES, TASK"),
        (says(ELECTRODES=None) + NET, "expected it to define ELECTRODES"),
        (says(SAMPLE_RATE=1000.5) + NET, "SAMPLE_RATE: expected a whole number of 1 or more"),
        (says(SAMPLE_RATE="1000") + NET, "found '1000'"),
        (says(ELECTRODES=0) + NET, "ELECTRODES: expected a whole number of 1 or more, found 0"),
        (says(ELECTRODES=True) + NET, "ELECTRODES: expected a whole number"),
        (says(TASK="gestures") + NET, "TASK: expected one of typing, pose, classes, values, found"),
        (says(TASK=7) + NET, "TASK: expected one of"),
        (says(WINDOW=0) + NET, "WINDOW: expected a whole number of 1 or more, found 0"),
        (says(WINDOW=100, STRIDE=0) + NET, "STRIDE: expected a whole number of 1 or more"),
        (says(STRIDE=50) + NET, "STRIDE=50 without WINDOW"),
        (says(CLASSES="abc") + NET, "CLASSES: expected a list of names, found 'abc'"),
        (says(CLASSES=["a", 2, "c"]) + NET, "CLASSES: expected a list of names"),
        (says(CLASSES=["a", "b", "a"]) + NET, "CLASSES: expected each name once, found 'a' twice"),
        (SAYS, "expected a function network() that returns an nn.Module, found none"),
        (SAYS + "network = 3\n", "expected a function network()"),
        (SAYS + "def network():\n    return 3\n", "network(): expected an nn.Module, found int"),
        (SAYS + NET + "ONE = Net()\nnetwork = lambda: ONE\n", "expected a new module from each"),
        (SAYS + NET.replace("Linear(4,", "LazyLinear("), "first.weight: has no shape before"),
        (SAYS + NET.replace("return Net()", "return Net().double()"), "found float64 on cpu"),
        (
            SAYS
            + NET.replace("return Net()", "n = Net()\n    n.last.bias.data += 1e39\n    return n"),
            "last.bias: expected finite numbers",
        ),
        (SAYS + NET.replace("return Net()", "return Net().to('meta')"), "found float32 on meta"),
        ("a = [\n", "line 1: SyntaxError: '[' was never closed: a = ["),
        ("\nx = 1 / 0\n", "line 2: ZeroDivisionError: division by zero: x = 1 / 0"),
        ("import nosuchmodule\n", "line 1: ModuleNotFoundError: No module named 'nosuchmodule'"),
        (
            SAYS + "def network():\n    raise KeyError('a')\n",
            "line 3: KeyError: 'a': raise KeyError",
        ),
        ("raise SystemExit(3)\n", "line 1: SystemExit: 3"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_its_name(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, text)
    assert tendon(["macs", "--model", str(path), "--build", str(tmp_path / "b")]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {path}") and message in error and "Traceback" not in error


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (says(ELECTRODES=5) + NET, "check ELECTRODES=5"),
        (says(CLASSES=["a", "b"]) + NET, "CLASSES: expected a name for each of the network's 3"),
        (says(WINDOW=50) + NET, "expected forward to give (batch, outputs), found (1, 3, 50)"),
        (
            SAYS + NET.replace(FORWARD, "self.last(self.first(x.transpose(1, 2)))[:, 0]"),
            "expected forward to give (batch, outputs, frames), found (1, 3); give WINDOW",
        ),
    ],
)
def test_a_network_that_is_not_as_its_file_says_is_refused_before_anything_is_made(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, build = written(tmp_path, text), tmp_path / "build"
    assert tendon(["quantize", "--model", str(path), "--build", str(build)]) == 1
    error = capsys.readouterr().err
    assert message in error and str(path) in error and "Traceback" not in error
    assert [p.name for p in build.glob("[!.]*")] == ["net"]  # no recordings were simulated


REMARKED = """
import warnings

from torch import nn
from torch.nn.utils import weight_norm


def network():
    warnings.warn("mine")
    return nn.Sequential(weight_norm(nn.Conv1d(4, 3, 4, padding="same")), nn.Conv1d(3, 2, 1))
"""


def test_remarks_of_pytorch_are_not_shown_and_the_user_s_own_are(tmp_path: Path) -> None:
    """Where the file is loaded, lowered and run."""
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        path = frozen(written(tmp_path, SAYS + REMARKED), tmp_path / "build")
        graph = pipeline.load_float("net", path)
        checkpoint.stream_forward(checkpoint.load(path), graph, np.zeros((50, 4), np.float32))
    assert {str(w.message) for w in shown} == {"mine"}


def test_what_a_file_sets_for_all_of_the_program_is_taken_back(tmp_path: Path) -> None:
    sets = "import os\nimport torch\nos.chdir('/')\ntorch.set_grad_enabled(False)\n"
    here = Path.cwd()
    frozen(written(tmp_path, sets + SAYS + NET), tmp_path / "build")
    assert Path.cwd() == here and torch.is_grad_enabled()
    double = "import torch\ntorch.set_default_dtype(torch.float64)\n"
    frozen(written(tmp_path, double + SAYS + NET), tmp_path / "build")
    assert torch.get_default_dtype() == torch.float32


def test_neighbours_are_imported_and_belong_to_the_network(tmp_path: Path) -> None:
    """Of each folder its own, and a change in one is a change of the network."""
    text = SAYS + "from parts import Net\n\n\ndef network():\n    return Net()\n"
    found = {}
    for side, width in (("a", 6), ("b", 7)):
        written(tmp_path / side, NET.replace("width=6", f"width={width}"), "parts.py")
        path = frozen(written(tmp_path / side, text), tmp_path / side / "build")
        found[side] = checkpoint.load(path).model.first.out_features
        assert not list((tmp_path / side).glob("**/__pycache__"))
    assert found == {"a": 6, "b": 7}
    again = tmp_path / "b" / "build" / "net" / "network.ckpt"
    before = again.read_bytes()
    written(tmp_path / "b", NET.replace("width=6", "width=7") + "# more\n", "parts.py")
    frozen(tmp_path / "b" / "net.py", tmp_path / "b" / "build")
    assert again.read_bytes() != before


# --- weights --------------------------------------------------------------------------------------


def test_random_weights_are_the_same_in_every_run_and_are_said_to_be_untrained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path)
    state = torch.random.get_rng_state()
    first = frozen(path, tmp_path / "one").read_bytes()
    torch.manual_seed(99)
    named.those.clear()
    source._read.clear()
    assert frozen(path, tmp_path / "two").read_bytes() == first
    assert "untrained unless it loads some" in capsys.readouterr().err
    torch.random.set_rng_state(state)
    stamp = (tmp_path / "one/net/network.ckpt").stat().st_mtime_ns
    assert frozen(path, tmp_path / "one").stat().st_mtime_ns == stamp


def entries(width: int = 6, seed: int = 5) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    shapes = {"first.weight": (width, 4), "first.bias": (width,)}
    shapes |= {"last.weight": (3, width), "last.bias": (3,)}
    return {key: torch.randn(shape) for key, shape in shapes.items()}


@pytest.mark.parametrize("prefix", ["", "model.", "module.network."])
@pytest.mark.parametrize("lightning", [False, True])
def test_weights_come_from_any_state_dict(
    prefix: str, lightning: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = entries()
    stored = {prefix + key: value for key, value in weights.items()}
    given = tmp_path / "weights.pt"
    torch.save({"state_dict": stored, "epoch": 3} if lightning else stored, given)
    model = checkpoint.load(frozen(written(tmp_path), tmp_path / "build", given)).model
    assert all(torch.equal(model.state_dict()[key], value) for key, value in weights.items())
    said = capsys.readouterr().err
    assert "untrained" not in said
    assert (f"{given}: its keys begin with {prefix!r}" in said) == bool(prefix)


def test_what_is_left_out_of_a_checkpoint_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = {f"net.{key}": value for key, value in entries().items()} | {"loss.w": torch.ones(2)}
    torch.save(stored, tmp_path / "weights.pt")
    frozen(written(tmp_path), tmp_path / "build", tmp_path / "weights.pt")
    assert "left out what is not of the network: loss.w" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["model_state_dict", "model", "state_dict_ema"])
def test_weights_under_another_name_are_found_and_that_is_said(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    others = {"epoch": 3, "optimizer": {"state": {}, "lr": 0.1}}
    torch.save({name: entries(), **others}, tmp_path / "weights.pth")
    loaded = checkpoint.load(
        frozen(written(tmp_path), tmp_path / "build", tmp_path / "weights.pth")
    )
    assert torch.equal(loaded.model.last.bias, entries()["last.bias"])
    assert f"weights.pth: weights of {name!r}" in capsys.readouterr().err


def test_of_many_differences_ten_are_named_and_the_rest_counted(tmp_path: Path) -> None:
    torch.save(entries() | {f"more{i}": torch.ones(1) for i in range(13)}, tmp_path / "weights.pt")
    found = refused(written(tmp_path), tmp_path / "build", tmp_path / "weights.pt")
    assert found.count("extra more") == 10 and "and 3 more" in found


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ({"model": entries(), "teacher": entries()}, "found several: model, teacher"),
        ({f"{a}.{k}": v for a in ("old", "model") for k, v in entries().items()}, "found several"),
        (entries(7), "first.weight: expected shape (6, 4), found (7, 4)"),
        ({"first.weight": torch.ones(6, 4)}, "missing last.weight (3, 6)"),
        (entries() | {"more": torch.ones(1)}, "extra more"),
        (entries() | {"last.bias": torch.full((3,), torch.nan)}, "holds NaN or infinite values"),
        (entries() | {3: torch.ones(1)}, "expected names as keys, found 3"),
        (entries() | {"last.bias": torch.ones(3).to_sparse()}, "found float32, sparse_coo"),
        (entries() | {"last.bias": torch.ones(3) + 1j}, "found complex64, strided, on cpu"),
        (entries() | {"last.bias": torch.ones(3, device="meta")}, "float32, strided, on meta"),
        (
            {"state_dict": entries(), "hyper_parameters": {"tendon": 3}},
            "expected a dict of module path to rank, found 3",
        ),
        ({"weights": [1.0]}, "expected a state_dict, plain or under 'state_dict'"),
        (
            torch.ones(3),
            "expected a state_dict, plain or under 'state_dict', found a tensor of shape (3,)",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused(stored: Any, message: str, tmp_path: Path) -> None:
    torch.save(stored, tmp_path / "weights.pt")
    found = refused(written(tmp_path), tmp_path / "build", tmp_path / "weights.pt")
    assert str(tmp_path / "weights.pt") in found and message in found


class Dangerous:
    def __reduce__(self) -> Any:
        return print, ("executed",)


def test_a_pickle_that_asks_for_code_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"state_dict": entries(), "x": Dangerous()}, tmp_path / "weights.pt")
    found = refused(written(tmp_path), tmp_path / "build", tmp_path / "weights.pt")
    assert "asks for code" in found and "weights_only" not in found and "\x1b" not in found
    assert "torch.save(network.state_dict(), path)" in found
    assert "executed" not in capsys.readouterr().out


# --- checkpoints of it ----------------------------------------------------------------------------


def test_no_checkpoint_makes_code_run(tmp_path: Path) -> None:
    """A file is executed when MODEL= names it, and only in the state that it was in."""
    marked = SAYS + NET + f"open({str(tmp_path / 'ran')!r}, 'a').write('x')\n"
    path = frozen(written(tmp_path, marked), tmp_path / "build")
    (tmp_path / "ran").unlink()
    assert checkpoint.task_of(path) == "classes"
    named.those.clear()
    source._read.clear()
    with pytest.raises(CheckpointError, match=r"named: give MODEL=path/of/net.py"):
        checkpoint.load(path)
    assert not (tmp_path / "ran").exists()
    file = named.named(str(tmp_path / "net.py"))
    assert file is not None and checkpoint.load(path).name == "net"
    assert (tmp_path / "ran").exists()
    written(tmp_path, marked + "# changed\n")
    with pytest.raises(CheckpointError, match="another state of"):
        checkpoint.load(path)


def test_what_no_network_file_said_is_refused(tmp_path: Path) -> None:
    path = frozen(written(tmp_path), tmp_path / "build")
    raw = torch.load(path, weights_only=True)
    for said in ({"file": "net.py"}, "net.py", 7):
        torch.save(raw | {"hyper_parameters": {named.KEY: said}}, path)
        with pytest.raises(CheckpointError, match="expected what a network file says"):
            checkpoint.load(path)


def test_a_compressed_network_is_of_one_state_of_its_file(tmp_path: Path) -> None:
    path, build = written(tmp_path), tmp_path / "build"
    folder = folder_of(path, build, COMPRESSED)
    with pytest.raises(TendonError, match=f"make compress MODEL={path}"):
        artifacts.checkpoint_for(folder, Sources())
    whole = artifacts.whole_checkpoint(folder, Sources())
    folder.checkpoint.parent.mkdir()
    shutil.copy(whole, folder.checkpoint)
    assert artifacts.checkpoint_for(folder, Sources()) == folder.checkpoint
    written(tmp_path, SAYS + NET + "# changed\n")
    with pytest.raises(CheckpointError, match="made from another state of"):
        artifacts.checkpoint_for(folder, Sources())


def test_a_folder_belongs_to_one_file(tmp_path: Path) -> None:
    build = tmp_path / "build"
    frozen(written(tmp_path / "a"), build)
    assert json.loads((build / "net/network.json").read_text())["file"] == str(
        tmp_path / "a/net.py"
    )
    found = refused(written(tmp_path / "b"), build)
    assert str(tmp_path / "a/net.py") in found and "give another BUILD=" in found
    (tmp_path / "a/net.py").unlink()  # moved, not another
    frozen(tmp_path / "b/net.py", build)
    (build / "mine").mkdir()
    (build / "mine/graph.npz").touch()
    assert "found one of another network" in refused(written(tmp_path, name="mine.py"), build)


@pytest.mark.parametrize("content", ["", "{", "hello", "[]", '{"file": "/tm'])
def test_a_damaged_record_of_a_folder_is_made_again(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path, record = written(tmp_path), tmp_path / "build/net/network.json"
    frozen(path, tmp_path / "build")
    whole = record.read_text()
    record.write_text(content)
    frozen(path, tmp_path / "build")
    assert record.read_text() == whole
    assert f"{record}: damaged or gone: made again for {path}" in capsys.readouterr().err


def test_a_damaged_record_does_not_give_a_folder_to_another_network(tmp_path: Path) -> None:
    build = tmp_path / "build"
    frozen(written(tmp_path), build)
    (build / "net").rename(build / "mine")
    (build / "mine/network.json").write_text("")
    said = refused(written(tmp_path, name="mine.py"), build)
    assert "found one of another network" in said and f"rm -r {build}/mine" in said
    shutil.rmtree(build / "mine")
    frozen(tmp_path / "mine.py", build)


def test_a_folder_in_place_of_the_record_is_said_with_what_to_type(tmp_path: Path) -> None:
    path, record = written(tmp_path), tmp_path / "build/net/network.json"
    frozen(path, tmp_path / "build")
    record.unlink()
    record.mkdir()
    assert f"found a folder; remove it: rm -r {record}" in refused(path, tmp_path / "build")
    record.rmdir()
    frozen(path, tmp_path / "build")


# --- through the pipeline -------------------------------------------------------------------------


@pytest.fixture
def calibrated(tmp_path: Path) -> list[str]:
    """Options that need no recordings: a file, and a signal as forward takes it."""
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.standard_normal((4, 900)).astype(np.float32))
    path = written(tmp_path)
    words = ["--model", str(path), "--build", str(tmp_path / "build")]
    return [*words, "--calibration", str(tmp_path / "x.npy")]


def test_a_signal_calibrates_and_is_compared_on_without_recordings(
    calibrated: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tendon(["quantize", *calibrated]) == 0
    assert "x.npy, the signal that calibrates it; nothing is scored" in capsys.readouterr().out
    report = json.loads((tmp_path / "build/net/w8a16/quantize.json").read_text())
    assert report["sqnr_db"] > 30 and report["agreement"] > 0.9 and not report["scored"]
    assert report["metric"]["float"] is None and report["stream_latency"]["lookahead"] == 0
    made = {p.name for p in (tmp_path / "build").glob("[!.]*")}
    assert made == {"net", "index.html"}  # no recordings were simulated
    assert tendon(["quantize", *calibrated]) == 0
    assert "quantize.json: unchanged" in capsys.readouterr().err
    written(tmp_path, SAYS + NET + "# changed\n")
    assert tendon(["quantize", *calibrated]) == 0
    assert "unchanged" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("signal", "message"),
    [
        (np.zeros((4, 0)), "x.npy: expected at least one number"),
        (
            np.full((4, 9), 1e300),
            "expected finite numbers within float32, found 36 that are not, the first at (0, 0)",
        ),
        (np.zeros((3, 9)), "expected numbers of shape (4 electrodes, samples)"),
    ],
)
def test_a_signal_that_cannot_calibrate_is_refused(
    signal: np.ndarray, message: str, calibrated: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(calibrated[-1], signal)
    assert tendon(["quantize", *calibrated]) == 1
    assert message in capsys.readouterr().err


def test_an_archive_under_the_name_of_an_array_is_refused(
    calibrated: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with Path(calibrated[-1]).open("wb") as file:
        np.savez(file, np.zeros((4, 9)))
    assert tendon(["quantize", *calibrated]) == 1
    assert "expected one array, found an archive" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("infer --engine tourch", 2, "ENGINE=tourch: expected one of torch,"),
        ("infer --engine integer", 1, "found float32 (9, 4); transpose it"),
        ("infer --engine torch", 1, "found float32 (9, 4); transpose it"),
        ("diagnose --engines torch graph", 2, "expected two of graph, integer, native"),
        ("diagnose --engines native", 2, "expected two of graph, integer, native"),
        ("diagnose --engines graph native", 1, "found float32 (9, 4); transpose it"),
    ],
)
def test_a_wrong_engine_or_input_is_refused_before_anything_is_made(
    arguments: str, code: int, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "x.npy", np.zeros((9, 4), np.float32))
    command, *options = arguments.split()
    options += ["--input", str(tmp_path / "x.npy"), "--build", str(tmp_path / "build")]
    options += ["--output", str(tmp_path / "y.npy")] if command == "infer" else []
    assert tendon([command, "--model", str(written(tmp_path)), *options]) == code
    said = capsys.readouterr().err
    assert message in said and "calibrating" not in said
    assert not list(tmp_path.glob("build/*recordings"))


def test_engines_read_and_write_the_layout_of_forward(
    calibrated: list[str], tmp_path: Path
) -> None:
    found = {}
    for engine in ("torch", "graph", "integer", "native"):
        out = tmp_path / f"{engine}.npy"
        words = ["infer", *calibrated, "--engine", engine, "--input", str(tmp_path / "x.npy")]
        assert tendon([*words, "--output", str(out)]) == 0
        found[engine] = np.load(out)
    with torch.no_grad():
        x = torch.from_numpy(np.load(tmp_path / "x.npy"))[None]
        expected = source.read(named.those["net"]).network()(x)[0].numpy()
    assert found["torch"].shape == expected.shape == (3, 900)
    np.testing.assert_allclose(found["torch"], expected, atol=1e-6)
    np.testing.assert_allclose(found["graph"], expected, atol=1e-4)
    np.testing.assert_array_equal(found["integer"], found["native"])


def test_the_graph_says_what_the_file_says(tmp_path: Path) -> None:
    path = written(tmp_path, says(CLASSES=["a", "b", "c"]) + NET)
    graph = pipeline.load_float("net", frozen(path, tmp_path / "build"))
    expected = {"own": True, "task": "classes", "classes": ["a", "b", "c"], "electrodes": 4}
    assert graph.provenance.items() >= expected.items() and graph.name == "net"
    assert graph.input.rate == Fraction(1000) and graph.input.features == 4


def test_a_frame_of_a_window_ends_with_a_stride(tmp_path: Path) -> None:
    """Windows that reach before the start are the start-up: forward has none for them."""
    text = says(WINDOW=50, STRIDE=20) + NET.replace(FORWARD, "self.last(self.first(x.mean(2)))")
    loaded = checkpoint.load(frozen(written(tmp_path, text), tmp_path / "build"))
    x = np.random.default_rng(0).standard_normal((130, 4)).astype(np.float32)
    frames = checkpoint.forward(loaded, x)
    with torch.no_grad():
        windows = [torch.from_numpy(x[end - 50 : end].T.copy()) for end in (60, 80, 100, 120)]
        expected = [loaded.model(window[None])[0] for window in windows]
    np.testing.assert_allclose(frames, np.stack(expected), atol=1e-6)
