"""The calls for notebooks: each gives what the command line gives, on graphs in memory, and says
which argument is wrong."""

from __future__ import annotations

import copy
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bench import in_memory, notebook
from compress import graph as g
from compress.errors import GraphError, RecordingError, TendonError, UsageError
from compress.frontend.own import named
from compress.graph.samples import to_int16, to_real
from compress.interpreter.integer import IntegerInterpreter
from compress.report import logs
from compress.report.logs import PACKAGES
from tests import toy
from tests.bench.test_imports import SLOW
from tests.conftest import ROOT

RATE, ELECTRODES, CLASSES = 100, 3, ["rest", "fist"]
NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inward = nn.Sequential(nn.Conv1d(3, 6, 5, stride=5), nn.BatchNorm1d(6), nn.ReLU())
        self.gru = nn.GRU(6, 4, batch_first=True)
        self.outward = nn.Linear(4, 2)

    def forward(self, x):
        y, _ = self.gru(self.inward(x).transpose(1, 2))
        return self.outward(y).transpose(1, 2)


def network():
    return Net()
"""
FILE = f'{NET}\n\nSAMPLE_RATE, ELECTRODES, TASK, CLASSES = 100, 3, "classes", {CLASSES}\n'


def module(text: str = NET) -> nn.Module:
    """The network of a text, with weights from a seed."""
    names: dict[str, Any] = {"__name__": "a_cell"}
    exec(text, names)
    torch.manual_seed(1)
    made: nn.Module = names["network"]()
    return made


def traced(of: Any = None, **changes: Any) -> g.Graph:
    said = {"sample_rate": RATE, "electrodes": ELECTRODES, "task": "classes", "classes": CLASSES}
    return notebook.trace(module() if of is None else of, **(said | changes))


def emg(seconds: float = 6.0, seed: int = 0) -> g.Array:
    """(electrodes, samples), as forward takes them."""
    return np.random.default_rng(seed).normal(size=(ELECTRODES, round(seconds * RATE)))


@pytest.fixture(scope="module")
def real() -> g.Graph:
    return traced()


@pytest.fixture(scope="module")
def integer(real: g.Graph) -> g.Graph:
    return notebook.quantize(real, emg())


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """A folder with one recording that trains and two that are held out."""
    for number, name in enumerate(("train/a", "heldout/b", "heldout/c")):
        path = tmp_path / "data" / f"{name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        label = np.arange(6 * RATE) // RATE % 2
        np.savez(path, emg=emg(6.0, number).T, rate=RATE, label=label)
    return tmp_path / "data"


def test_importing_it_imports_nothing_that_is_slow() -> None:
    script = f"import bench.notebook, sys; print(*sorted({SLOW} & sys.modules.keys()))"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


# --- load and trace -------------------------------------------------------------------------------


def same(a: g.Graph, b: g.Graph) -> bool:
    """What they compute, and what they are called inside."""
    paths = [(op.module, op.output, op.inputs) for op in a.ops]
    return a.hash() == b.hash() and paths == [(op.module, op.output, op.inputs) for op in b.ops]


def test_a_traced_module_is_the_network_of_a_file_that_holds_it(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(FILE)
    torch.save(module().state_dict(), tmp_path / "net.pt")
    from_file = notebook.load(tmp_path / "net.py", checkpoint=tmp_path / "net.pt")
    in_memory = traced(name="net")
    assert same(in_memory, from_file)
    for key in ("task", "own", "classes", "electrodes", "lookahead", "norms"):
        assert in_memory.provenance[key] == from_file.provenance[key]
    assert not (tmp_path / "build").exists()


def test_the_network_of_a_file_without_weights_has_those_that_its_function_gives(
    tmp_path: Path,
) -> None:
    (tmp_path / "net.py").write_text(
        FILE.replace("return Net()", "torch.manual_seed(1)\n    return Net()")
    )
    assert same(notebook.load(str(tmp_path / "net.py")), traced())


def test_a_published_network_is_loaded_by_its_name() -> None:
    graph = notebook.load()
    assert graph.name == "TC_S4_small" and not graph.is_integer()
    found = notebook.macs(graph)
    assert found["macs_per_s"] == sum(layer["macs_per_s"] for layer in found["layers"]) > 0


def test_tracing_leaves_the_module_as_it_was_and_training_it_leaves_the_graph() -> None:
    given = module().train()
    given.inward[1].eval()  # type: ignore[index]
    modes = [part.training for part in given.modules()]
    before = copy.deepcopy(given.state_dict())
    graph = traced(given)
    assert [part.training for part in given.modules()] == modes
    assert all(torch.equal(value, before[key]) for key, value in given.state_dict().items())
    digest, frames = graph.hash(), notebook.infer(graph, emg())
    with torch.no_grad():
        for weight in given.parameters():
            weight += 1
    assert graph.hash() == digest and np.array_equal(notebook.infer(graph, emg()), frames)


class Lone(nn.Module):
    def forward(self, x):
        return x.mean(2)  # one answer


class Last(nn.Module):
    """One answer a window: its mean in two electrodes."""

    def forward(self, x):
        return x.mean(2)[:, :2]


class Failing(nn.Module):
    def forward(self, x):
        return x.view(7, -1, 11)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sample_rate": 0}, "trace: sample_rate: expected a whole number of 1 or more, found 0"),
        ({"sample_rate": None}, "trace: expected sample_rate; sample_rate is in Hz, electrodes a"),
        ({"electrodes": 2.5}, "trace: electrodes: expected a whole number of 1 or more, found 2.5"),
        ({"task": "poetry"}, "trace: task: expected one of typing, pose, classes, values"),
        ({"stride": 5}, "trace: stride=5 without window: expected both, or neither"),
        ({"classes": ["a", "a"]}, "trace: classes: expected each name once, found 'a' twice"),
        ({"classes": ["a"]}, "trace: classes: expected a name for each of the network's 2 outputs"),
        ({"electrodes": 4}, "check electrodes=4, and that the network takes its input so"),
        ({"window": 50}, "trace: expected forward to give (batch, outputs), found (1, 2, 10)"),
        ({"name": "a b"}, "trace: name: expected up to 60 letters"),
        ({"name": "TC_S4_small"}, "trace: name: TC_S4_small is the name of a published network"),
    ],
)
def test_a_wrong_argument_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TendonError, match=re.escape(message)):
        traced(**changes)


@pytest.mark.parametrize(
    ("of", "message"),
    [
        ("net.py", "trace: module: expected an nn.Module, found str; load() takes the path"),
        (nn.LazyLinear(3), "trace: module: weight: has no shape before the first forward"),
        (nn.Linear(3, 3).double(), "trace: module: weight: expected float32 on the CPU"),
        (
            Lone(),
            "trace: expected forward to give (batch, outputs, frames), found (1, 3); give"
            " window if the network answers once per window",
        ),
        (Failing(), f"{__file__}, line "),
    ],
    ids=["a path", "lazy", "double", "one answer", "failing"],
)
def test_a_module_that_cannot_be_a_network_is_refused(of: Any, message: str) -> None:
    with pytest.raises(TendonError) as error:
        traced(of, classes=None)
    assert message in str(error.value) and "WINDOW" not in str(error.value)


def test_what_has_no_operator_is_refused_with_its_line() -> None:
    class Sorted(nn.Module):
        def forward(self, x):
            return torch.sort(x, 1).values  # here

    with pytest.raises(GraphError, match=rf"{re.escape(__file__)}:\d+: .*sort"):
        traced(Sorted(), classes=None)


def test_a_window_of_a_network_file_stands_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(FILE)
    with pytest.raises(UsageError, match=r"window=50: set WINDOW in .*net\.py"):
        notebook.load(tmp_path / "net.py", window=50)


def test_numbers_and_names_of_numpy_are_taken_as_those_of_python() -> None:
    plain = traced(window=50, stride=25, of=Last())
    counts = {"window": np.int64(50), "stride": np.int32(25), "sample_rate": np.uint16(RATE)}
    for classes in (np.array(CLASSES), tuple(CLASSES), [np.str_(name) for name in CLASSES]):
        found = traced(Last(), electrodes=np.int64(ELECTRODES), classes=classes, **counts)
        assert found.hash() == plain.hash() and found.provenance == plain.provenance
        assert all(type(name) is str for name in found.provenance["classes"])


def test_torchscript_is_refused_for_the_module_itself() -> None:
    scripted = torch.jit.script(nn.Linear(3, 3))
    for of in (scripted, nn.Sequential(scripted)):
        with pytest.raises(TendonError, match=r"trace: module: .* TorchScript; give the module"):
            traced(of)


# --- quantize -------------------------------------------------------------------------------------


def test_an_array_calibrates_as_the_same_in_a_file(
    real: g.Graph, integer: g.Graph, tmp_path: Path
) -> None:
    np.save(tmp_path / "signal.npy", emg())
    np.savez(tmp_path / "signal.npz", emg=emg().T, rate=RATE)
    for path in (tmp_path / "signal.npy", str(tmp_path / "signal.npz")):
        assert notebook.quantize(real, path).hash() == integer.hash()
        assert notebook.quantize(real, [path]).hash() == integer.hash()
    assert integer.provenance["precision"] == "w8a16"


def test_findings_are_warnings_and_in_provenance(
    real: g.Graph, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        made = notebook.quantize(real, emg(1.0))
    (found,) = made.provenance["findings"]
    assert found.startswith("calibration: 0.95 s of signal behind the first output")
    assert found in caplog.text


@pytest.mark.parametrize(
    ("calibration", "message"),
    [
        (emg().T, "expected numbers of shape (3 electrodes, samples), as forward takes them"),
        (emg() * 0, "calibration: silence: 0 in all of 600 samples"),
        (emg() * np.nan, "calibration: expected finite numbers within float32, found 1800 that"),
        (np.array([["a"]]), "calibration: expected numbers, real ones, found <U1 (1, 1)"),
        (emg(0.01), "calibration: "),
        ([], "calibration: expected a recording or more, found an empty list"),
        ("nowhere.npz", "calibration: nowhere.npz: no such file"),
        (".", "calibration: .: expected a recording, found a folder"),
        (
            np.ma.masked_invalid(emg()),
            "calibration: expected numbers without a mask, found a masked",
        ),
        (list(np.ma.masked_invalid(emg())), "calibration: expected numbers without a mask"),
        (["a.npz", emg()], "calibration: expected paths, or one array, found a path and ndarray"),
        ([emg(), emg(3.0)], "calibration: expected one array, found a list of arrays of different"),
        ("a" * 5000, "calibration: "),
    ],
    ids=[
        *("turned", "silent", "not finite", "text", "short", "none", "missing", "folder"),
        *("masked", "masked rows", "mixed", "several", "long"),
    ],
)
def test_what_cannot_calibrate_is_refused(real: g.Graph, calibration: Any, message: str) -> None:
    with pytest.raises(RecordingError) as error:
        notebook.quantize(real, calibration)
    assert message in str(error.value)


def test_what_is_quantized_is_a_float_graph_to_a_precision_that_there_is(
    real: g.Graph, integer: g.Graph
) -> None:
    with pytest.raises(GraphError, match="expected a float graph, found an integer one of network"):
        notebook.quantize(integer, emg())
    with pytest.raises(UsageError, match="precision=w3a3: expected one of w8a16, w8a8, w4a16"):
        notebook.quantize(real, emg(), "w3a3")


# --- infer and score ------------------------------------------------------------------------------


def test_every_engine_gives_the_frames_of_the_network(real: g.Graph, integer: g.Graph) -> None:
    samples = emg(2.0, 7)
    with torch.no_grad():
        expected = module().eval()(torch.from_numpy(samples.astype(np.float32))[None])[0].T.numpy()
    for engine in (None, *in_memory.FLOATS):
        assert np.abs(notebook.infer(real, samples, engine) - expected).max() < 1e-5
    x = to_int16(integer, samples.astype(np.float32).T)[None].astype(np.int64)
    words = to_real(integer, IntegerInterpreter(integer).run(x)[0])
    for engine in (None, *in_memory.INTEGERS):
        found = notebook.infer(integer, samples, engine)
        exact = engine in (None, "integer", "native")
        assert found.dtype == np.float32 and found.shape == (40, 2)
        assert np.abs(found - words).max() <= (0 if exact else 20 * integer.output.scale)


def test_a_recording_is_run_as_its_samples_are(integer: g.Graph, recordings: Path) -> None:
    found = notebook.infer(integer, recordings / "train/a.npz")
    assert np.array_equal(found, notebook.infer(integer, emg(6.0, 0)))


def test_what_is_left_over_is_said(integer: g.Graph, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert len(notebook.infer(integer, emg()[:, :103])) == 20
    assert "samples: the last 3 samples (0.0300 s) are less than a step of 5" in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "torch"}, "infer: engine=torch: expected one of integer, native, onnx-qdq"),
        ({"engine": "graph"}, "for an integer graph"),
        ({"engine": "native", "board": "posix"}, "engine=native and board=posix: expected one of"),
        ({"port": "/dev/ttyACM0"}, "port=/dev/ttyACM0: expected the board behind it too"),
    ],
)
def test_an_engine_that_does_not_run_it_is_refused(
    integer: g.Graph, options: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        notebook.infer(integer, emg(), **options)


def test_an_integer_engine_asks_for_an_integer_graph(real: g.Graph) -> None:
    with pytest.raises(UsageError, match=r"expected one of graph, onnx .* quantize\(\) gives"):
        notebook.infer(real, emg(), "native")
    for call in (notebook.build, notebook.export):
        with pytest.raises(GraphError, match=r"expected an integer graph.*quantize\(graph"):
            call(real, "nowhere")
    with pytest.raises(GraphError, match=r"stream: expected an integer graph"):
        notebook.stream(real, emg())
    assert not Path("nowhere").exists()


def test_a_folder_is_scored_by_what_it_holds_out(
    real: g.Graph, integer: g.Graph, recordings: Path
) -> None:
    found = notebook.score(integer, recordings, against=real)
    assert found["recordings"] == ["b.npz", "c.npz"]
    assert (found["metric"], found["unit"], found["engine"]) == ("balanced error", "%", "native")
    assert (found["amount"], found["amount_is"]) == (12, "labelled seconds")
    assert 0 < found["low"] <= found["error"] <= found["high"] < 100
    assert found["against"] == notebook.score(real, recordings)["error"]
    apart = found["difference"]
    assert apart["low"] <= found["error"] - found["against"] <= apart["high"]
    paths = [recordings / "heldout" / name for name in ("b.npz", "c.npz")]
    assert notebook.score(integer, paths, "integer")["error"] == found["error"]
    assert notebook.score(integer, recordings / "heldout")["recordings"] == ["b.npz", "c.npz"]


def test_recordings_that_say_nothing_have_no_error(integer: g.Graph, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", emg=emg().T, rate=RATE)
    found = notebook.score(integer, tmp_path / "a.npz", against=integer)
    assert found["error"] is found["low"] is found["difference"]["low"] is None


@pytest.mark.parametrize("call", ["quantize", "infer", "score", "macs", "export", "stream"])
def test_a_module_in_place_of_its_graph_is_refused(call: str) -> None:
    arguments = [] if call == "macs" else [emg()]
    with pytest.raises(
        GraphError, match=rf"{call}: graph: expected a graph, found GRU; trace\(\) gives"
    ):
        getattr(notebook, call)(nn.GRU(3, 2), *arguments)


def test_an_array_is_no_recording_to_score(integer: g.Graph, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", emg())
    with pytest.raises(RecordingError, match=r"a\.npy: expected a recording: an array has no"):
        notebook.score(integer, tmp_path / "a.npy")
    with pytest.raises(RecordingError, match="recordings: expected paths, found ndarray"):
        notebook.score(integer, emg())


def test_a_tensor_with_a_gradient_is_its_values(real: g.Graph) -> None:
    values = torch.from_numpy(emg(1.0))
    found = notebook.infer(real, values.clone().requires_grad_())
    assert np.array_equal(found, notebook.infer(real, values))
    rows = [row.clone().requires_grad_() for row in values]
    assert np.array_equal(found, notebook.infer(real, rows))


def test_a_mask_is_not_ignored_where_samples_run(integer: g.Graph) -> None:
    for call in (notebook.infer, notebook.stream):
        with pytest.raises(RecordingError, match="samples: expected numbers without a mask"):
            call(integer, np.ma.masked_greater(emg(), 1))


class Two(nn.Module):
    """As many outputs as are asked for, a frame for each stride."""

    def __init__(self, outputs: int = 2, stride: int = 5, electrodes: int = 3) -> None:
        super().__init__()
        self.inward = nn.Conv1d(electrodes, outputs, 5, stride=stride)

    def forward(self, x):
        return self.inward(x)


@pytest.mark.parametrize(
    ("of", "changes", "message"),
    [
        (Two(), {"sample_rate": 200}, "the input rate of network, 100 Hz, found 200 Hz of network"),
        (Two(), {"task": "values", "classes": None}, "the task of network, classes, found values"),
        (Two(3), {"classes": ["a", "b", "c"]}, "the outputs of network, 2, found 3"),
        (Two(electrodes=4), {"electrodes": 4}, "the electrodes of network, 3, found 4"),
        (Two(stride=10), {}, "the output rate of network, 20 Hz, found 10 Hz"),
        (Two(), {"classes": ["fist", "rest"]}, "the classes of network, ['rest', 'fist'], found"),
    ],
    ids=["rate", "task", "outputs", "electrodes", "output rate", "classes"],
)
def test_a_score_is_against_a_network_that_answers_the_same(
    real: g.Graph, recordings: Path, of: nn.Module, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=rf"score: against: expected {re.escape(message)}"):
        notebook.score(real, recordings, against=traced(of, **changes))


def test_a_recording_counts_once(real: g.Graph, recordings: Path) -> None:
    held_out = recordings / "heldout"
    (recordings / "link.npz").symlink_to(held_out / "b.npz")
    for other in (held_out / "b.npz", held_out, recordings / "link.npz"):
        with pytest.raises(
            RecordingError, match=r"recordings: expected each recording once.* twice"
        ):
            notebook.score(real, [held_out / "b.npz", other])


@pytest.mark.parametrize(
    ("call", "name", "value"),
    [
        *(("quantize", "precision", value) for value in (["w8a16"], None, 8)),
        *(("infer", name, 3) for name in ("engine", "board", "port")),
        *(("score", name, 3) for name in ("engine", "against")),
        *(("export", name, None) for name in ("folder", "board", "format")),
        *(("build", name, [1]) for name in ("folder", "board", "compiler")),
        *(("stream", name, b"a") for name in ("board", "port", "folder")),
        *(("load", name, value) for name in ("model", "checkpoint") for value in (3, ["a"])),
        *(("load", "window", value) for value in ("a", 0, True, 2.5)),
        *((call, "board", "nowhere") for call in ("infer", "export", "build", "stream")),
        *((call, "folder", value) for call in ("export", "stream") for value in ("", "a\0b")),
        ("stream", "port", ""),
        *(("trace", name, {}) for name in ("sample_rate", "task", "name", "classes", "window")),
    ],
)
def test_an_argument_of_another_type_is_named(
    integer: g.Graph, call: str, name: str, value: Any
) -> None:
    said = {
        "quantize": {"graph": integer, "calibration": emg()},
        "infer": {"graph": integer, "samples": emg()},
        "score": {"graph": integer, "recordings": "nowhere"},
        "export": {"graph": integer, "folder": "nowhere"},
        "build": {"graph": integer, "folder": "nowhere"},
        "stream": {"graph": integer, "samples": emg()},
        "load": {},
        "trace": {"module": module(), "sample_rate": 9, "electrodes": 3, "task": "values"},
    }
    with pytest.raises(TendonError, match=rf"^{call}: {name}(=nowhere)?: expected [^\n]*$"):
        getattr(notebook, call)(**(said[call] | {name: value}))
    assert not Path("nowhere").exists()


def test_an_argument_that_lacks_or_is_unknown_is_named(integer: g.Graph, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^infer: .*'samples'$"):
        notebook.infer(integer)
    with pytest.raises(UsageError, match=r"^infer: .*'bord'$"):
        notebook.infer(integer, emg(), bord="posix")
    (tmp_path / "a").write_text("a file")
    with pytest.raises(TendonError, match=r"^folder=.*a: cannot be made: .* is a file$"):
        notebook.export(integer, tmp_path / "a")


# --- export, build, stream ------------------------------------------------------------------------


def test_every_format_is_written_below_the_folder(
    real: g.Graph, integer: g.Graph, tmp_path: Path
) -> None:
    made = {
        "network/float/onnx/float.onnx": notebook.export(real, tmp_path, format="onnx"),
        "network/w8a16/onnx/qdq.onnx": notebook.export(integer, tmp_path, format="onnx"),
        "network/w8a16/tflite/step.tflite": notebook.export(integer, tmp_path, format="tflite"),
        "network/w8a16/c/posix/project": notebook.export(integer, tmp_path, "posix"),
        "network/w8a16/tflm/virtual-m7/project": notebook.export(
            integer, str(tmp_path), "virtual-m7", "tflm"
        ),
    }
    for path, found in made.items():
        assert found == tmp_path / path and found.exists()
    with pytest.raises(UsageError, match="format=pdf: expected one of c, onnx, tflite, tflm"):
        notebook.export(integer, tmp_path, format="pdf")


def test_a_board_gives_the_words_of_the_reference(integer: g.Graph, tmp_path: Path) -> None:
    toy.need("gcc", "make")
    image = notebook.build(integer, tmp_path, "posix")
    assert image == tmp_path / "network/w8a16/c/posix/firmware" and image.is_file()
    back = notebook.stream(integer, emg(1.0), "posix", folder=tmp_path)
    assert np.array_equal(back.frames, notebook.infer(integer, emg(1.0), "integer"))
    assert back.words.dtype == np.int16 and back.words.shape == (20, 2)
    assert back.counts.shape == (20,) and back.counted == back.hello.counts
    assert back.hello.model == integer.name and back.resets == []
    assert np.array_equal(notebook.infer(integer, emg(1.0), board="posix"), back.frames)


def test_a_board_or_a_compiler_that_is_none_is_refused(integer: g.Graph, tmp_path: Path) -> None:
    with pytest.raises(TendonError, match="nowhere"):
        notebook.stream(integer, emg(), "nowhere")
    with pytest.raises(TendonError, match="nucleo-f446re has no emulator"):
        notebook.stream(integer, emg(), "nucleo-f446re")
    with pytest.raises(UsageError, match="compiler=tcc: expected one of gcc"):
        notebook.build(integer, tmp_path, "posix", "tcc")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def nobody_listens() -> Iterator[None]:
    """To what the packages log, as in a notebook that has not asked for it."""
    for name in PACKAGES:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
        logger.setLevel(logging.NOTSET)
    yield
    logs.listen(logging.INFO)


@pytest.mark.usefixtures("nobody_listens")
def test_nothing_is_printed(real: g.Graph, recordings: Path, capfd: Any) -> None:
    made = notebook.quantize(real, recordings / "train/a.npz")
    notebook.infer(made, recordings / "heldout/b.npz")
    notebook.score(made, recordings)
    notebook.export(made, recordings.parent / "made")
    assert tuple(capfd.readouterr()) == ("", "")
    assert named.those.get("network") is None
