"""`quantize`: checkpoint and recordings -> graph.npz and float.npz, scored in quantize.json; remade
when a key changes."""

from __future__ import annotations

import argparse
import contextlib
import functools
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from compress import artifacts, cli, evaluate, scoring, tasks
from compress import graph as g
from compress.artifacts import COMPRESSED, Folder, Sources
from compress.data import datasets
from compress.data.datasets import Dataset
from compress.errors import CheckpointError, GraphError, RecordingError, TendonError, UsageError
from compress.files import read_json, replace_atomically, sha256, write_json
from compress.frontend.families import HYPER_PARAMETERS
from compress.graph import latency, macs
from compress.quantization.calibrate import Ranges
from compress.quantization.precisions import PRECISIONS
from compress.quantization.quantize import quantize
from compress.quantization.signals import Calibration, ranges_of, refuse_shared
from compress.reading.words import counted
from compress.report import quantized
from compress.report.said import once
from compress.tasks import groups

log = logging.getLogger(__name__)

GIVEN = "CALIBRATION= names it"
_DEFAULT = Sources()
SCORES = (  # what networks are judged by says nothing about their integers
    "compress.scoring",
    "compress.tasks.*.scores",
    "compress.tasks.*.text",
    "compress.tasks.costs",
    "compress.tasks.distances",
    "compress.tasks.groups",
    "compress.tasks.statistics",
    "compress.tasks.text",
)


def run(
    folder: Folder, checkpoint_path: Path, sources: Sources = _DEFAULT, in_full: bool = True
) -> dict[str, Any]:
    """Quantize, score on the held-out sessions, write the artifacts; returns quantize.json's
    content. `in_full`: as in `family`."""
    if _known(folder, checkpoint_path) is None:  # what cannot be scored is refused before the rest
        graph = any_graph(folder, checkpoint_path)
        look(graph, dataset_of(folder, graph, sources))
    integer = graphs(folder, checkpoint_path, sources, in_full)
    dataset = dataset_of(folder, integer, sources)
    key = artifacts.key(
        graph=integer.provenance["key"],
        heldout=dataset.heldout,
        scored=dataset.scored,
        groups=[[*dataset.users], [*dataset.generalization], [*dataset.notes]],
        code=_code_of("run", *artifacts.TASK_DATA),
    )
    whole = artifacts.is_whole(folder.quantize_json)
    if whole and key == artifacts.recorded_key(folder.quantize_json):
        log.info(f"{folder.quantize_json}: unchanged")
        return read_report(folder)
    real, signals_from = g.load(folder.float_graph), dataset.calibration
    report = scoring.score(real, integer, dataset) | {
        "key": key,
        "calibration": [p.name for p in signals_from],
        "calibration_findings": integer.provenance.get("findings", []),
    }
    calibration = Calibration(real, signals_from)
    report["layers"] = evaluate.layers(real, integer, calibration.longest())
    artifacts.forget(folder.quantize_json)
    _write_generalization(folder, report)
    write_json(folder.quantize_json, report)
    artifacts.seal(folder.quantize_json, *filter(Path.is_file, [folder.generalization_csv]))
    return report


def _write_generalization(folder: Folder, report: dict[str, Any]) -> None:
    """The csv beside the report, or none."""
    if report["generalization"]:
        content = groups.csv_of("generalization", report["generalization"])
        replace_atomically(folder.generalization_csv, content)
    else:
        folder.generalization_csv.unlink(missing_ok=True)


def graphs(
    folder: Folder, checkpoint_path: Path, sources: Sources = _DEFAULT, in_full: bool = False
) -> g.Graph:
    """Make both graphs unless what they are made from is unchanged; returns the integer one. Scores
    nothing. `in_full`: as in `family`."""
    _check(folder, checkpoint_path)
    if sources.calibration and not _may_be_scored(folder, checkpoint_path, sources):
        return family([folder], checkpoint_path, [sources.calibration], GIVEN, sources, in_full)[0]
    dataset = dataset_of(folder, any_graph(folder, checkpoint_path), sources)
    if in_full:
        for note in dataset.notes:
            log.info(note)
    elif dataset.notes:
        log.info(f"{counted(len(dataset.notes), 'note')} on the recordings: see quantize.json")
    calibration, why = dataset.calibration, dataset.why
    return family([folder], checkpoint_path, calibration, why, sources, in_full)[0]


def _may_be_scored(folder: Folder, checkpoint_path: Path, sources: Sources) -> bool:
    """Whether what CALIBRATION= names could be held out too: of a folder, or of simulated sessions
    that are there."""
    if sources.data is not None or sources.calibration is None:
        return True
    if folder.network is not None or sources.calibration.suffix.lower() == ".npy":
        return False
    collection = tasks.collection_of(any_graph(folder, checkpoint_path))
    return (folder.build / collection.folder / "heldout").is_dir()


def any_graph(folder: Folder, checkpoint_path: Path) -> g.Graph:
    """What the network takes and gives, and which task it is for: the graph on disk, else a float
    one. What cannot be lowered is refused here, before recordings are made."""
    known = _known(folder, checkpoint_path)
    return known or load_float(folder.model, checkpoint_path, folder.window)


def dataset_of(folder: Folder, graph: g.Graph, sources: Sources = _DEFAULT) -> Dataset:
    """What calibrates, and what is held out. A network file with a signal to calibrate on needs no
    more: that signal is both, and nothing is scored."""
    collection, calibration = tasks.collection_of(graph), sources.calibration
    if calibration is not None and not calibration.is_file():  # before recordings are simulated
        raise RecordingError(f"CALIBRATION={calibration}: no such file")
    if folder.network is not None and sources.data is None and calibration is not None:
        simulated = calibration.suffix.lower() != ".npy" and collection.is_simulated(calibration)
        return Dataset([calibration], [calibration], simulated, scored=False, why=GIVEN)
    found = datasets.find(sources.data, folder.build, collection, sources.split, sources.users)
    if calibration is not None:
        found = replace(found, calibration=[calibration], why=GIVEN)
    if sources.data is not None or calibration is not None:  # the simulated sets share nothing
        refuse_shared(graph, found.calibration, found.heldout, found.why)
    return found


def look(graph: g.Graph, dataset: Dataset) -> None:
    """RecordingError for held-out recordings that a glance tells to be unfit for scores."""
    for path in dataset.heldout if dataset.scored else ():
        tasks.of(graph).look(path)


def _known(folder: Folder, checkpoint_path: Path) -> g.Graph | None:
    """The graph on disk, if this code made it from this checkpoint: it says what the network is
    for, without torch."""
    known = {} if artifacts.damage(folder.graph) else g.provenance(folder.graph)
    if known.get("checkpoint") == sha256(checkpoint_path) and known.get("code") == _graph_code():
        with contextlib.suppress(GraphError):
            return g.load(folder.graph)
    return None


def family(
    folders: list[Folder],
    checkpoint_path: Path,
    signals_from: list[Path],
    why: str = "",
    sources: Sources | None = None,
    in_full: bool = False,
) -> list[g.Graph]:
    """The integer graphs of one model at several precisions, made where something changed;
    calibration is observed once. `why`: how what calibrates was chosen. What there is to say of it
    is said where a graph is made, of graphs that are there already `in_full` or in a word. The
    folders remember `sources`, where they are said."""
    made_now = False

    @functools.cache
    def observed() -> tuple[g.Graph, Ranges, list[str]]:
        nonlocal made_now
        made_now = True
        real = load_float(folders[0].model, checkpoint_path, folders[0].window)
        log.info(f"calibrating on {', '.join(p.name for p in signals_from)}")
        precisions = [folder.precision for folder in folders]
        return real, *ranges_of(real, signals_from, precisions, why)

    def remember() -> None:
        if sources is not None:
            whole = None if folders[0].precision == COMPRESSED else checkpoint_path
            artifacts.remember(folders[0], sources, whole, calibrated)

    own = sources is not None and sources.data and not sources.calibration
    calibrated = {str(p.resolve()): sha256(p) for p in signals_from} if own else {}
    if folders:
        artifacts.check_calibrated(folders[0], sources, calibrated)
    made = [_graph(folder, checkpoint_path, signals_from, observed, remember) for folder in folders]
    _warn(made, folders, in_full or made_now)
    return made


def _warn(made: list[g.Graph], folders: list[Folder], in_full: bool) -> None:
    """What there is to say of calibration: all of it, or how much, and where it stands."""
    said = dict.fromkeys(w for graph in made for w in graph.provenance.get("findings", []))
    for words in said if in_full else ():
        once(f"warning: calibration: {words}")
    if said and not in_full:
        again = f"make quantize MODEL={folders[0].network or folders[0].model}"
        once(f"{counted(len(said), 'warning')} of calibration; `{again}` says them")


def _graph(
    folder: Folder,
    checkpoint_path: Path,
    signals_from: list[Path],
    observed: Callable[[], tuple[g.Graph, Ranges, list[str]]],
    remember: Callable[[], None],
) -> g.Graph:
    _check(folder, checkpoint_path)
    key = artifacts.key(
        code=_graph_code(),
        model=folder.model,
        checkpoint=checkpoint_path,
        precision=folder.precision,
        window=folder.window,
        calibration=signals_from,
    )
    known = _unchanged(folder, key)
    if known is not None:
        remember()
        log.info(f"{folder.graph}: unchanged")
        return known
    real, ranges, findings = observed()
    integer = quantize(real, ranges, folder.precision)
    if findings:
        integer.provenance["findings"] = findings
    integer.provenance["code"] = _graph_code()
    integer.provenance["key"] = key  # vouches for both files, so the integer graph is written last
    artifacts.forget(folder.quantize_json)  # it speaks of the graph that was there
    artifacts.forget(folder.graph)
    g.save(real, folder.float_graph)
    g.save(integer, folder.graph)
    artifacts.seal(folder.graph, folder.float_graph)
    remember()  # a graph of what is not remembered yet is made again, or was intended
    return integer


def _graph_code() -> str:
    """Digest of the code that decides a graph."""
    return _code_of("family", without=SCORES)


def _code_of(name: str, *data: str, without: tuple[str, ...] = ()) -> str:
    """Digest of the code, and of folders of `data`, that decide what a function here makes of
    checkpoint and recordings."""
    entries = (f"{__name__}:{name}", artifacts.TASKS, artifacts.FAMILIES, *data)
    apart = (*artifacts.SIMULATOR, *artifacts.PAGES, *without)
    return artifacts.code_hash(*entries, without=apart)


def _check(folder: Folder, checkpoint_path: Path) -> None:
    if folder.precision not in PRECISIONS:
        raise UsageError(f"PRECISION={folder.precision}: expected one of {', '.join(PRECISIONS)}")
    if not checkpoint_path.is_file():
        raise CheckpointError(f"{checkpoint_path}: no such checkpoint")


def _unchanged(folder: Folder, key: str) -> g.Graph | None:
    """The integer graph on disk when it has this key and the float graph lies beside it, whole."""
    if not artifacts.is_whole(folder.graph) or g.provenance(folder.graph).get("key") != key:
        return None
    try:
        g.load(folder.float_graph)
        return g.load(folder.graph)
    except GraphError as error:
        log.warning(f"{error.args[0].removesuffix('; quantize again')}: made again")
        return None


def load_float(model: str, path: Path, window: int | None = None) -> g.Graph:
    """The float graph of a checkpoint that must be the model asked for; `window` as in `lower`."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint")
    return _lowered(model, path, sha256(path), window)


@functools.lru_cache(maxsize=1)  # one command asks for the same network several times
def _lowered(model: str, path: Path, _: str, window: int | None) -> g.Graph:
    from compress.frontend import checkpoint  # torch, which a graph that is there does not need
    from compress.frontend.lower import lower

    loaded = checkpoint.load(path)
    if (
        "tendon" in loaded.hyper_parameters
    ):  # compressed by us: its own sizes, of the network it was made from
        return replace(lower(loaded, window), name=model)
    if model in HYPER_PARAMETERS and loaded.name != model:
        raise CheckpointError(
            f"{path}: expected a checkpoint of {model}, found one of {loaded.name} by its"
            " hyper-parameters"
        )
    graph = lower(loaded, window)
    if graph.provenance.get("own"):  # what is published suits its task
        tasks.of(graph).check(graph)
    return graph


def read_report(folder: Folder) -> dict[str, Any]:
    """quantize.json of a folder; TendonError when `make quantize` has not run."""
    content = read_json(folder.quantize_json)
    if not content:
        raise TendonError(
            f"{folder.quantize_json}: missing or damaged; run `make quantize MODEL={folder.model}`"
        )
    return content


def quantize_command(args: argparse.Namespace) -> None:
    """The command."""
    folder, sources = cli.folder(args), cli.sources(args)
    path = artifacts.checkpoint_for(folder, sources)
    print(quantized.text(run(folder, path, sources)))
    print(f"wrote {folder.graph} and {folder.quantize_json}")


def macs_command(args: argparse.Namespace) -> None:
    """The command."""
    folder, sources = cli.folder(args), cli.sources(args)
    path = artifacts.checkpoint_for(folder, sources)
    graph = load_float(folder.model, path, folder.window)
    found = latency.of(graph)
    print(macs.table(graph))
    if found:
        print(latency.text(found))
    if sources.apart:
        return
    artifacts.remember(folder, sources, None if folder.precision == COMPRESSED else path)
    out = folder.root / "macs.json"
    write_json(out, macs.report(graph) | ({"stream_latency": found} if found else {}))
    print(f"wrote {out}")
