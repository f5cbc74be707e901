"""Compressing to a budget: what a form costs and harms, what is chosen, and the network that comes
out of it."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench.compression import command as bench_command
from bench.compression import page
from bench.tendon import main as tendon
from compress import graph as g
from compress import pipeline
from compress.artifacts import Folder, Sources
from compress.compression import candidates, choose, cost, fit, rebuild, rounded, sensitivity
from compress.compression.budget import CODE, SHARE, Budget, BudgetError, parse_bytes
from compress.compression.candidates import Form, Layer
from compress.compression.cores import CORES
from compress.compression.cost import Matrix
from compress.data.simulator import pose as simulated_pose
from compress.data.simulator import session as simulated_typing
from compress.errors import CheckpointError, TendonError
from compress.frontend import checkpoint
from compress.frontend.families import HYPER_PARAMETERS, build
from compress.frontend.lower import lower
from compress.graph.samples import Signal
from compress.quantization.calibrate import Ranges, observe
from compress.quantization.quantize import quantize
from compress.quantization.rounding import moments
from compress.tasks.pose import tuning as tune_pose
from compress.tasks.typing import tuning as tune_typing
from tests.compress.test_pose_networks import tiny

M7 = CORES["cortex-m7"]


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """A small tracking network, known as "tiny"; matrices of any size have forms, on one thread."""
    threads, patch = torch.get_num_threads(), pytest.MonkeyPatch()
    patch.setitem(HYPER_PARAMETERS, "tiny", tiny())
    patch.setattr(candidates, "SMALL", 100)
    patch.setattr(candidates, "RANKED", 300)
    patch.setattr(candidates, "FINE", 2)
    patch.setattr(rebuild, "RANKED", 300)
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    patch.undo()


@pytest.fixture(scope="module")
def given_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("whole") / "tiny.ckpt"
    checkpoint.save(path, build(HYPER_PARAMETERS["tiny"]), HYPER_PARAMETERS["tiny"])
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for split in ("train", "calibration", "heldout"):
        (folder / split).mkdir()
        simulated_pose.write(
            folder / split / f"{split}.hdf5", simulated_pose.simulate(split, 0, 6.0, seed=3), split
        )
    return folder


@pytest.fixture(scope="module")
def observed(given_checkpoint: Path) -> tuple[g.Graph, Ranges, Signal]:
    graph = pipeline.load_float("tiny", given_checkpoint)
    rng = np.random.default_rng(1)
    signal = Signal(
        rng.standard_normal((8000, 16)) * np.linspace(0.2, 2.0, 16),
        {"pose": rng.standard_normal(20) * 0.1},
    )
    return graph, observe(graph, [signal]), signal


# --- budget ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2M", 2 << 20), ("384K", 384 << 10), ("1.5m", 3 << 19), ("4096", 4096), ("2MiB", 2 << 20)],
)
def test_sizes_are_read_in_powers_of_1024(text: str, expected: int) -> None:
    assert parse_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "M", "-3K", "0", "2G", "1e9", "2 M M", "nan"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(TendonError, match="expected a size"):
        parse_bytes(text)


# --- choice ---------------------------------------------------------------------------------------


def layer(name: str, forms: list[tuple[int, int, int]]) -> Layer:
    """A layer whose forms have these bytes, cycles and errors."""
    made = tuple(Form(8, None, size, float(cycles), float(error)) for size, cycles, error in forms)
    return Layer(name, Matrix(1, 1, 1.0, 1), 1, made, {})


def budget(tables: float, cycles: float | None) -> Budget:
    """A budget that leaves so many bytes for tables."""
    return Budget(int(np.ceil((tables + CODE) / SHARE)), cycles)


FORMS = st.lists(
    st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=4
)


@settings(max_examples=60, deadline=None)
@example(
    [[(0, 0, 0)], [(6, 0, 0)], [(1, 0, 0), (2, 0, 0), (0, 0, 0)]], 7, None
)  # one choice exactly at the edge
@given(
    st.lists(FORMS, min_size=1, max_size=4), st.integers(1, 150), st.none() | st.integers(1, 150)
)
def test_the_choice_is_the_best_of_all_that_fit(
    forms: list[Any], room: int, time: int | None
) -> None:
    layers = [layer(str(i), each) for i, each in enumerate(forms)]
    known = {one.module: {"bits": 1.0} for one in layers}
    allowed = budget(room, time)
    every = [choose.Choice(chosen) for chosen in itertools.product(*(one.forms for one in layers))]
    fitting = [
        c for c in every if c.bytes() <= allowed.tables and (time is None or c.cycles() <= time)
    ]
    # A choice within a hundred-thousandth of the budget of its edge may be left out for the
    # solver's sake.
    surely = [
        c for c in fitting if c.bytes() < allowed.tables and (time is None or c.cycles() < time)
    ]

    def harm(c):
        return sum(form.rounded for form in c.forms)

    try:
        found = choose.choose(layers, known, allowed)
    except BudgetError:
        assert not surely
        return
    assert found in fitting
    assert not surely or harm(found) <= min(map(harm, surely)) + 1e-9


def test_a_budget_that_cannot_be_met_is_refused_with_what_the_smallest_takes() -> None:
    layers = [layer("a", [(1000, 10, 0), (700, 20, 1)]), layer("b", [(500, 10, 0)])]
    with pytest.raises(
        BudgetError,
        match=r"smallest that can be chosen takes 1,300 bytes and the fastest 0\.0 million cycles",
    ):
        choose.choose(layers, {}, budget(1000, None), other_bytes=100)


# --- forms ----------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 12), st.integers(2, 12), st.integers(0, 1000))
def test_what_factors_lose_is_what_the_singular_values_say(
    rows: int, inputs: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    weight, seen = rng.standard_normal((rows, inputs)), moments(inputs)
    seen.see(rng.standard_normal((5 * inputs, inputs)) @ rng.standard_normal((inputs, inputs)))
    values, directions = candidates.singular(weight, seen)
    rank = min(rows, inputs) - 1
    some = directions[:, :rank]
    lost = candidates._energy(weight - some @ some.T @ weight, seen)
    assert lost == pytest.approx(values[rank:].sum(), rel=1e-6, abs=1e-9 * values[0])


def test_factors_of_full_rank_change_nothing(
    given_checkpoint: Path, observed: tuple[g.Graph, Ranges, Signal]
) -> None:
    graph, ranges, signal = observed
    loaded = checkpoint.load(given_checkpoint)
    paths = {
        rebuild._path(name): rebuild._joint(loaded.model, rebuild._path(name))
        for name in rebuild.rankable(loaded, graph)
    }
    assert "model.decoder.lstm.l0" in paths and any("conv" in path for path in paths)
    full = {path: min(weight.shape) for path, weight in paths.items()}
    model = rebuild.rebuild(loaded, graph, ranges, {"ranks": full, "bits": {}})
    emg, pose = (
        torch.from_numpy(signal.samples[:4000].T[None]).float(),
        torch.from_numpy(signal.initial["pose"][None]).float(),
    )  # type: ignore[index]
    with torch.no_grad():
        torch.testing.assert_close(model(emg, pose), loaded.model(emg, pose), rtol=1e-4, atol=1e-4)


def test_factors_are_fitted_to_the_inputs_of_their_own_columns(
    given_checkpoint: Path, observed: tuple[g.Graph, Ranges, Signal]
) -> None:
    """What the rebuilt factors lose is what the candidate promised: columns were not mixed up on
    the way."""
    graph, ranges, _ = observed
    loaded = checkpoint.load(given_checkpoint)
    for op in (op for op in graph.ops if op.module in rebuild.rankable(loaded, graph)):
        assert isinstance(op, g.Dense)
        rank, path = 3, rebuild._path(op.module)
        model = rebuild.rebuild(loaded, graph, ranges, {"ranks": {path: rank}, "bits": {}})
        factors = [
            o
            for o in lower_again(loaded, model, {path: rank}).ops
            if o.module in (f"{op.module}.v", f"{op.module}.u")
        ]
        v, u = (f.weight.reshape(f.weight.shape[1], -1) for f in factors if isinstance(f, g.Dense))
        weight, seen = op.weight.reshape(op.weight.shape[1], -1), ranges.moments[op.output][0]
        promised = candidates.singular(weight, seen)[0][rank:].sum()
        assert candidates._energy(weight - u @ v, seen) == pytest.approx(
            promised, rel=1e-2, abs=1e-6
        )


def lower_again(loaded: checkpoint.Checkpoint, model: Any, ranks: dict[str, int]) -> g.Graph:
    parts = loaded.hyper_parameters | {"tendon": {"ranks": ranks, "bits": {}}}
    return lower(checkpoint.Checkpoint(model, "custom", parts, ""))


def test_costs_fall_with_bits_and_with_rank(
    observed: tuple[g.Graph, Ranges, Signal], given_checkpoint: Path
) -> None:
    graph, ranges, _ = observed
    for one in candidates.layers(
        graph, ranges, M7, rebuild.rankable(checkpoint.load(given_checkpoint), graph)
    ):
        whole = one.forms[0]
        assert all(
            form.bytes < whole.bytes and form.cycles <= whole.cycles * 1.5 for form in one.forms[1:]
        )
        by_rank = [form.lost for form in one.forms if form.rank is not None and form.bits == 8]
        assert by_rank == sorted(by_rank)


def test_expected_harm_orders_layers_as_the_real_one_does(
    observed: tuple[g.Graph, Ranges, Signal], given_checkpoint: Path
) -> None:
    """Sensitivities come from rounding each layer in turn; here they predict what random noise in
    it does."""
    graph, ranges, signal = observed
    layers = [one for one in candidates.layers(graph, ranges, M7, []) if one.probes]
    known = sensitivity.sensitivities(graph, layers, signal, 1.5)
    expected, real = [], []
    whole = sensitivity._outputs(graph, signal, 1.5)
    for one in layers:
        op = next(op for op in graph.ops if op.module == one.module)
        assert isinstance(op, g.Dense)
        rng = np.random.default_rng(5)
        noise = rng.standard_normal(op.weight.shape) * 0.02 * op.weight.std()
        weights, noises = (values.reshape(*values.shape[:2], -1) for values in (op.weight, noise))
        seen = ranges.moments[op.output]
        energy = sum(candidates._energy(w, m) for w, m in zip(weights, seen, strict=True))
        error = sum(candidates._energy(n, m) for n, m in zip(noises, seen, strict=True)) / energy
        expected.append(known[one.module]["bits"] * error)
        probe = candidates._probe(op, weights, weights + noises, seen, error)
        changed = sensitivity._outputs(sensitivity._with(graph, one.module, probe), signal, 1.5)
        real.append(float(np.mean((changed - whole) ** 2)))
    pairs = list(itertools.permutations(range(len(layers)), 2))
    apart = [(a, b) for a, b in pairs if expected[a] > 4 * expected[b]]
    assert len(apart) >= 3 and all(real[a] > real[b] for a, b in apart)


# --- the whole command ----------------------------------------------------------------------------


def request(graph: g.Graph, ranges: Ranges, share: float, steps: int) -> fit.Request:
    """A budget of so much of what the network's tables take in 8 bits."""
    layers = candidates.layers(graph, ranges, M7, [])
    fixed = cost.table_bytes(quantize(graph, ranges, "w8a16").ops)
    return fit.Request(
        budget(fixed + share * sum(one.forms[0].bytes for one in layers), None),
        steps=steps,
        threads=1,
    )


def test_a_compressed_network_is_smaller_loads_quantizes_and_comes_out_the_same_again(
    given_checkpoint: Path,
    data: Path,
    tmp_path: Path,
    observed: tuple[g.Graph, Ranges, Signal],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        tune_pose,
        "RECIPE",
        dataclasses.replace(
            tune_pose.RECIPE,
            feature_batch=2,
            feature_s=0.5,
            lanes=2,
            rollout_s=0.4,
            save_every=2,
        ),
    )
    wanted = request(*observed[:2], 0.62, 4)
    first, second = (
        fit.run(
            Folder(tmp_path / name, "tiny", "compressed"),
            given_checkpoint,
            Sources(data=data),
            wanted,
        )
        for name in ("a", "b")
    )
    assert first == second, "the same inputs give the same network and report"
    assert first["estimated"]["tables"]["after"] <= wanted.budget.tables
    assert first["tendon"]["bits"] and first["tuned"]["steps"] == 4
    assert first["tuned"]["kept"] == (first["tuned"]["after"] <= first["tuned"]["before"])
    folder = Folder(tmp_path / "a", "tiny", "compressed")
    integer = pipeline.graphs(folder, folder.checkpoint, Sources(data=data))
    four = {op.module for op in integer.ops if isinstance(op, g.IntDense) and op.weight_bits == 4}
    assert four == set(first["tendon"]["bits"])
    assert not list(folder.path.glob("*.state")) and not list(folder.path.glob(".*"))
    kept = folder.checkpoint.read_bytes()
    assert (
        fit.run(folder, given_checkpoint, Sources(data=data), wanted) == first
        and folder.checkpoint.read_bytes() == kept
    )
    with pytest.raises(CheckpointError, match="compressed already"):
        fit.run(
            Folder(tmp_path / "c", "tiny", "compressed"),
            folder.checkpoint,
            Sources(data=data),
            wanted,
        )


def test_the_report_says_what_was_lost_and_what_it_takes(
    given_checkpoint: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "--model",
        "tiny",
        "--checkpoint",
        str(given_checkpoint),
        "--data",
        str(data),
        "--build",
        str(tmp_path),
    ]
    wanted = ["--flash", "1M", "--steps", "0", "--board", "posix"]
    assert tendon(["compress", *arguments, *wanted]) == 0
    said = capsys.readouterr().out
    found = json.loads((tmp_path / "tiny" / "compressed" / "compress.json").read_text())
    assert (
        "next: make firmware MODEL=tiny PRECISION=compressed BOARD=posix" in said
        and "simulated" in said
    )
    assert set(found["scores"]["trivial"]) == {"hold_initial", "mean_pose"}
    html = (tmp_path / "tiny" / "compressed" / "compress.html").read_text()
    assert html == page.html(found) and "<svg" in html


def test_what_misses_its_budget_is_said() -> None:
    found = {
        "measured": {
            "flash": 2100,
            "ram": 500,
            "ram_budget": 400,
            "cycles_per_s": 70.0,
            "clock_hz": 100,
            "load_budget": 0.6,
        },
        "request": {"budget": {"flash": 2000}},
    }
    assert [line.split(":")[0] for line in bench_command.missed(found)] == [
        "flash",
        "RAM",
        "cycles",
    ]


# --- four bits in training ------------------------------------------------------------------------


def test_rounded_weights_are_used_and_the_ones_behind_them_come_back(
    given_checkpoint: Path,
) -> None:
    model = checkpoint.load(given_checkpoint).model
    before = {name: value.clone() for name, value in model.state_dict().items()}
    emg, pose = torch.randn(1, 16, 3000), torch.zeros(1, 20)
    whole = model(emg, pose)
    with rounded.four_bits(
        model, {"model.decoder.lstm.l0.gates": 4, "model.network.layers.0.conv.0": 4}
    ):
        weight = model.model.network.layers[0].conv[0].weight
        assert all(len(row.unique()) <= 15 for row in weight.flatten(1))
        changed = model(emg, pose)
        changed.sum().backward()
    assert not torch.allclose(whole, changed)
    after = model.state_dict()
    assert after.keys() == before.keys() and all(
        torch.equal(after[name], before[name]) for name in before
    )


# --- what a checkpoint may say --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bits", "message"),
    [
        (["x"], "expected a dict"),
        ({"model.nowhere": 4}, "no matrix 'model.nowhere'"),
        ({"model.decoder.lstm.l0.gates": 3}, "expected 4 or 8, found 3"),
        ({"model.decoder.lstm.l0.gates": "4"}, "expected 4 or 8"),
        ({"model.decoder.lstm.l0.gates": True}, "expected 4 or 8"),
        ({"model.decoder.lstm.l0.gates": [4]}, "expected 4 or 8"),
    ],
)
def test_odd_bits_in_a_checkpoint_are_refused(
    bits: Any, message: str, given_checkpoint: Path, tmp_path: Path
) -> None:
    loaded, path = checkpoint.load(given_checkpoint), tmp_path / "odd.ckpt"
    checkpoint.save(path, loaded.model, loaded.hyper_parameters | {"tendon": {"bits": bits}})
    with pytest.raises(CheckpointError, match=message):
        pipeline.load_float("tiny", path)


# --- tuning of a typing network -------------------------------------------------------------------


def typing_hyper_parameters() -> dict[str, Any]:
    """A small network of the published kind."""
    config = copy.deepcopy(HYPER_PARAMETERS["TC_S4_small"])
    config["mlp_features"] = [6]
    config["model_HF"]["out_channels"] = [8, 8, 8]
    config["model_LF"] |= {"d_model": 8, "d_latent_space": 4, "n_layers": 2}
    return config


def test_an_interrupted_tuning_ends_where_an_uninterrupted_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = tmp_path / "0.hdf5"
    simulated_typing.write(session, simulated_typing.simulate("train", 0, 14.0, seed=3), "0", 1.7e9)
    torch.manual_seed(0)
    teacher: Any = build(typing_hyper_parameters()).eval()
    bits = {
        "model.2.mlps.*.linear_layers.0": 4,
        "model.4.layers.0": 4,
        "model.5.s4_layers.0.output_linear.0": 4,
    }
    short = tune_typing.Recipe(
        steps=4, warmup=1, short_s=2.0, short_batch=2, long_s=4.0, long_batch=1, save_every=2
    )

    def tuned(state: Path) -> dict[str, torch.Tensor]:
        student = copy.deepcopy(teacher)
        assert (
            tune_typing.tune(student, teacher, bits, [session], short, state, "origin", threads=1)
            == 4
        )
        return dict(student.state_dict())

    whole = tuned(tmp_path / "a.state")
    assert not (tmp_path / "a.state").exists()
    assert any(not torch.equal(value, whole[name]) for name, value in teacher.state_dict().items())
    calls = itertools.count()
    loss = tune_typing._loss

    def interrupted(*arguments: Any) -> torch.Tensor:
        if next(calls) == 3:
            raise KeyboardInterrupt
        return loss(*arguments)

    monkeypatch.setattr(tune_typing, "_loss", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tuned(tmp_path / "b.state")
    again = tuned(tmp_path / "b.state")
    assert next(calls) == 6, "it went on behind the last state that was saved"
    assert all(torch.equal(again[name], value) for name, value in whole.items())
