"""Checkpoint, recordings and a budget -> a checkpoint in build/<MODEL>/compressed/, and its
compress.json."""

from __future__ import annotations

import argparse
import copy
import dataclasses
import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress import artifacts, pipeline, tasks
from compress import graph as g
from compress.artifacts import COMPRESSED, Folder, Sources
from compress.compression import candidates, check, choose, cost, rebuild, sensitivity
from compress.compression.budget import Budget, BudgetError
from compress.compression.candidates import Form, Layer
from compress.compression.cores import CORES, Core
from compress.compression.sensitivity import Sensitivity
from compress.compression.tuned import ENOUGH, Tuned
from compress.data import listing, recordings
from compress.errors import CheckpointError
from compress.files import write_json
from compress.frontend import checkpoint
from compress.frontend.checkpoint import Checkpoint
from compress.frontend.lower import lower
from compress.quantization.calibrate import Ranges, observe
from compress.quantization.quantize import quantize
from compress.quantization.signals import Calibration, unlike
from compress.report.said import once
from compress.tasks.training import Tuning, tuning_of

log = logging.getLogger(__name__)

VERSION = 1


@dataclass(frozen=True)
class Request:
    """What the user asked for. `core`: whose cycles the budget counts; `steps` None: those of the
    recipe; 0: no fine-tuning."""

    budget: Budget
    core: str = "cortex-m7"
    steps: int | None = None
    seed: int = 1
    threads: int = 2


def run(
    folder: Folder, checkpoint_path: Path, sources: Sources, request: Request
) -> dict[str, Any]:
    """Choose, rebuild, tune and write, unless what it is made from is unchanged; returns
    compress.json's content."""
    folder = dataclasses.replace(folder, precision=COMPRESSED)
    whole = pipeline.load_float(folder.model, checkpoint_path)
    dataset = pipeline.dataset_of(folder, whole, sources)
    key = artifacts.key(
        code=artifacts.code_hash(
            f"{__name__}:_make",
            artifacts.TASKS,
            "compress.tasks.*.training",
            "compress.tasks.*.tuning",
            artifacts.FAMILIES,
            *artifacts.TASK_DATA,
        ),
        checkpoint=checkpoint_path,
        calibration=dataset.calibration,
        training=(
            training_sessions(sources, folder, whole) if sources.data else []
        ),  # the simulated ones follow from the code
        request=dataclasses.asdict(request),
    )
    record = folder.path / "compress.json"
    if artifacts.is_whole(record) and artifacts.recorded_key(record) == key:
        log.info(f"{folder.checkpoint}: unchanged")
        return dict(json.loads(record.read_text(encoding="utf-8")))
    artifacts.forget(record)
    report = _make(folder, checkpoint.load(checkpoint_path), sources, dataset.calibration, request)
    report |= {"key": key, "simulated": dataset.simulated}
    write_json(record, report)
    artifacts.seal(record, folder.checkpoint)
    return report


def training_sessions(sources: Sources, folder: Folder, graph: g.Graph) -> list[Path]:
    """Sessions to tune on: the simulated ones, or those that are for training in the user's data;
    without any, what calibrates."""
    collection, data = tasks.collection_of(graph), sources.data
    if data is None:
        return recordings.ensure(folder.build / collection.folder, "train", collection)
    found = pipeline.dataset_of(folder, graph, sources)
    if found.train:
        return [*found.train]
    if (data / "train").is_dir() and not (sources.split or sources.users):
        return listing.in_folder(data / "train", collection)
    return found.calibration


def _make(
    folder: Folder,
    loaded: Checkpoint,
    sources: Sources,
    calibration: Sequence[Path],
    request: Request,
) -> dict[str, Any]:
    if "tendon" in loaded.hyper_parameters:
        raise CheckpointError(
            "this network has been compressed already; give the checkpoint that it was made from"
        )
    graph, core = dataclasses.replace(lower(loaded), name=folder.model), CORES[request.core]
    log.info(f"calibrating on {', '.join(path.name for path in calibration)}")
    signals = Calibration(graph, calibration)
    ranges = observe(graph, signals)
    findings = signals.findings + unlike(graph, ranges, calibration)
    for words in findings:
        once(f"warning: calibration: {words}")
    fixed = _other_tables(graph, ranges, request.budget), cost.other_cycles(graph, core)
    layers, budget = _layers(
        graph, ranges, core, rebuild.rankable(loaded, graph), request.budget, fixed
    )
    measured = sensitivity.sensitivities(graph, layers, signals.longest())
    choice = choose.choose(layers, measured, budget, *fixed)
    tendon = rebuild.entries(layers, choice.forms)
    model = rebuild.rebuild(loaded, graph, ranges, tendon)
    tuned = _improve(folder, loaded, graph, model, tendon, sources, calibration, request)
    rebuild.save(folder.checkpoint, loaded, model, tendon)
    return {
        "version": VERSION,
        "model": folder.model,
        "checkpoint": loaded.sha256,
        "compressed": checkpoint.sha256(folder.checkpoint),
        "calibration": [path.name for path in calibration],
        "calibration_findings": findings,
        "request": dataclasses.asdict(request),
        "tendon": tendon,
        "layers": [_row(*row, measured) for row in zip(layers, choice.forms, strict=True)],
        "estimated": _estimated(layers, choice, *fixed),
        "macs_per_s": {
            "before": _macs(graph),
            "after": _macs(lower(checkpoint.load(folder.checkpoint))),
        },
        "tuned": None if tuned is None else dataclasses.asdict(tuned) | {"kept": tuned.kept},
    }


def _other_tables(graph: g.Graph, ranges: Ranges, budget: Budget) -> int:
    """Bytes of tables beside the matrices: of a linked image, or as they are counted."""
    if budget.other_tables is not None:
        return budget.other_tables
    return cost.table_bytes(quantize(graph, ranges, "w8a16").ops)


def _layers(
    graph: g.Graph,
    ranges: Ranges,
    core: Core,
    rankable: Sequence[str],
    budget: Budget,
    fixed: tuple[int, float],
) -> tuple[list[Layer], Budget]:
    """The matrices with their forms, and what they may take. Where the large ones cannot become
    small enough, the small ones can have four bits too, and nothing is left of the flash."""
    layers = candidates.layers(graph, ranges, core, rankable)
    try:
        choose.choose(layers, {}, budget, *fixed)
    except BudgetError:
        layers = candidates.layers(graph, ranges, core, rankable, least=0)
        return layers, dataclasses.replace(budget, share=1.0)
    return layers, budget


def tuning_for(loaded: Checkpoint, tendon: dict[str, Any], request: Request) -> Tuning | None:
    """How a network is fine-tuned, if it is: where something was changed and its task tunes such
    networks, by default or because steps are given."""
    if request.steps == 0 or not (tendon["ranks"] or tendon["bits"]):
        return None
    found = tuning_of(loaded.task)
    if found is None or not found.possible(loaded.model):
        log.info(f"not fine-tuned: the {loaded.task} task has no recipe for such a network")
        return None
    return found if found.BY_DEFAULT or request.steps is not None else None


def _improve(
    folder: Folder,
    loaded: Checkpoint,
    graph: g.Graph,
    model: Any,
    tendon: dict[str, Any],
    sources: Sources,
    calibration: Sequence[Path],
    request: Request,
) -> Tuned | None:
    """Fine-tune the rebuilt network in place, if it is worth it and if it helps; None where that
    was not asked."""
    recipes = tuning_for(loaded, tendon, request)
    if recipes is None:
        return None
    task = tasks.named(loaded.task)
    whole, before = (
        check.float_error(loaded, calibration),
        check.integer_error(loaded, model, tendon, calibration),
    )
    if whole is None or before is None:
        log.info("not fine-tuned: the calibration sessions do not say whether it would help")
        return None
    if request.steps is None and before <= whole * (1 + ENOUGH):
        return Tuned(0, task.metric, task.unit, whole, before, None)
    kept = copy.deepcopy(model.state_dict())
    sessions = training_sessions(sources, folder, graph)
    steps = _tune(recipes, folder, loaded, graph, model, tendon, sessions, request)
    tuned = Tuned(
        steps,
        task.metric,
        task.unit,
        whole,
        before,
        check.integer_error(loaded, model, tendon, calibration),
    )
    if not tuned.kept:
        model.load_state_dict(kept)
    return tuned


def _tune(
    recipes: Tuning,
    folder: Folder,
    loaded: Checkpoint,
    graph: g.Graph,
    model: Any,
    tendon: dict[str, Any],
    training: Sequence[Path],
    request: Request,
) -> int:
    """Fine-tune the rebuilt network in place; returns the steps."""
    state = folder.path / "tune.state"
    said = json.dumps(
        [
            loaded.sha256,
            tendon,
            dataclasses.asdict(request),
            *(checkpoint.sha256(p) for p in training),
        ]
    )
    origin = hashlib.sha256(said.encode()).hexdigest()
    state.parent.mkdir(parents=True, exist_ok=True)
    return recipes.tune(
        model,
        loaded.model,
        tendon["bits"],
        training,
        recipes.recipe(request.steps, request.seed),
        state,
        origin,
        request.threads,
        graph,
    )


def _row(layer: Layer, chosen: Form, measured: Sensitivity) -> dict[str, Any]:
    """One matrix: what it is, what each form would take and do, and which was chosen."""
    known = measured.get(layer.module, {})
    return {
        "module": layer.module,
        "rows": layer.matrix.rows,
        "inputs": layer.matrix.inputs,
        "bands": layer.matrix.copies,
        "weights": layer.weights,
        "frames_per_s": layer.matrix.per_second,
        "sensitivity": dict(known),
        "forms": [_form(form, known) for form in layer.forms],
        "chosen": layer.forms.index(chosen),
    }


def _form(form: Form, known: Mapping[str, float]) -> dict[str, Any]:
    return dataclasses.asdict(form) | {
        "title": form.title,
        "error": form.error,
        "harm": sensitivity.harm(form, known),
    }


def _estimated(
    layers: Sequence[Layer], choice: choose.Choice, other_bytes: int, other_cycles: float
) -> dict[str, Any]:
    """Bytes of tables and cycles a second, before (8 bits everywhere) and after."""
    whole = choose.Choice(tuple(layer.forms[0] for layer in layers))
    return {
        "tables": {"before": whole.bytes() + other_bytes, "after": choice.bytes() + other_bytes},
        "cycles_per_s": {
            "before": whole.cycles() + other_cycles,
            "after": choice.cycles() + other_cycles,
        },
    }


def _macs(graph: g.Graph) -> float:
    return sum(
        op.macs(graph.tensors[op.inputs[0]].features) * float(graph.tensors[op.output].rate)
        for op in graph.ops
    )


def text(report: dict[str, Any]) -> str:
    """What a user reads on the console."""
    lines = [f"{'layer':66}{'matrix':>12}  {'chosen':22}{'KB':>7}{'error':>9}{'harm':>9}"]
    harms = [row["forms"][row["chosen"]]["harm"] for row in report["layers"]]
    for row in report["layers"]:
        form = row["forms"][row["chosen"]]
        share = form["harm"] / (sum(harms) or 1.0)
        size = f"{row['inputs']}→{row['rows']}"
        lines.append(
            f"{row['module']:66}{size:>12} "
            f" {form['title']:22}{form['bytes'] / 1000:7.1f}{form['error']:9.2%}{share:9.0%}"
        )
    for name, unit, scale in (
        ("tables", "KB of tables", 1e3),
        ("cycles_per_s", "M cycles/s by rule", 1e6),
    ):
        both = report["estimated"][name]
        lines.append(f"{both['before'] / scale:,.0f} -> {both['after'] / scale:,.0f} {unit}")
    macs = report["macs_per_s"]
    lines.append(
        f"{macs['before'] / 1e6:,.1f} -> {macs['after'] / 1e6:,.1f} million multiply-accumulates a"
        " second"
    )
    return "\n".join([*lines, tuning(report)])


def tuning(report: dict[str, Any]) -> str:
    """What was tuned, in one line."""
    tuned = report["tuned"]
    if tuned is None:
        return "no fine-tuning"
    whole, before = f"{tuned['whole']:.2f} {tuned['unit']}", f"{tuned['before']:.2f}"
    on = f"{tuned['metric']} on the calibration sessions {whole}, compressed to integers {before}"
    if tuned["after"] is None:
        return f"{on}: no fine-tuning needed"
    verdict = "" if tuned["kept"] else ": worse, and not kept"
    return f"{on}, after {tuned['steps']} steps of fine-tuning {tuned['after']:.2f}{verdict}"


def request(args: argparse.Namespace, core: str, cycles: float | None) -> Request:
    """What these arguments ask for."""
    return Request(Budget(args.flash, cycles), core, args.steps, args.seed, args.threads)


def remember(folder: Folder, sources: Sources, given: Path) -> None:
    """Note what a compressed network was made from; `given`: the whole checkpoint."""
    artifacts.compressed_from(folder, sources.checkpoint)
    artifacts.remember(folder, sources, given)
