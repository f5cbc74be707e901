"""`drift`: a network minute by minute in one closed loop: do the integers leave the floats behind?

A network that is fed its own output could let an error of rounding grow with the stream: its task
says so by a `loop`. Integers are those of native C.
"""

from __future__ import annotations

import argparse
import logging
from html import escape
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from bench import markup, results
from compress import cli, tasks
from compress.data import recordings
from compress.data.recording_file import SAMPLE_RATE
from compress.errors import TendonError, UsageError
from compress.files import sha256, write_json, write_text
from compress.report.drawing import BLUE, GREEN, ORANGE, SOFT, STYLE, Picture, svg
from compress.tasks.recorded import Followed, Loop
from compress.tasks.task import Task
from host import engines

log = logging.getLogger(__name__)

MINUTE = 60 * SAMPLE_RATE


def run(args: argparse.Namespace) -> int:
    """Both networks over one recording; writes drift.json and drift.html; exit code 1 when the
    integers drift."""
    made = engines.prepare(cli.folder(args), cli.sources(args))
    task = tasks.of(made.integer)
    loop = loop_of(task, args.model)
    path = (
        args.input
        or recordings.ensure(args.build / task.collection.folder, loop.split, task.collection)[0]
    )
    recorded = task.read(made.real, path)
    log.info(f"{path.name}: {recorded.seconds:.0f} s in one closed loop, float graph and native C")
    real = engines.infer_float("graph", made.real, made.checkpoint, recorded.signal)
    exact = engines.infer("native", made, recorded.signal)
    streams = [task.followed(made.integer, frames, recorded) for frames in (real, exact)]
    found = {
        "model": args.model,
        "precision": made.folder.precision,
        "graph": made.integer.hash(),
        "checkpoint": sha256(made.checkpoint),
        "recording": {"name": path.name, "sha256": sha256(path)},
        "simulated": task.collection.is_simulated(path),
        "allowed": loop.allowed,
        "minutes": minutes(streams[0], streams[1], loop),
    }
    write_json(made.folder.path / "drift.json", found)
    page = made.folder.path / "drift.html"
    write_text(page, html(found, task))
    print(f"{text(found, task)}\nreport: {page}")
    results.record(args, measurement(found, task))
    return 1 if drifts(found) else 0


def loop_of(task: Task, model: str) -> Loop:
    """The task's closed loop; TendonError for a task without one."""
    if task.loop is None:
        loops = [other.loop.says for other in map(tasks.named, tasks.names()) if other.loop]
        raise UsageError(
            f"MODEL={model}: drift is measured of networks that say {' or '.join(loops)}, this one"
            f" is for {task.name}"
        )
    return task.loop


def minutes(real: Followed, exact: Followed, loop: Loop) -> list[dict[str, float]]:
    """Of each whole minute: mean absolute errors of floats and integers, and the mean distance
    between them, in the task's unit."""
    found = []
    for minute, (a, b) in enumerate(zip(real.pieces(MINUTE), exact.pieces(MINUTE), strict=True), 1):
        valid = a.mask
        if valid.any() and len(valid) == MINUTE:
            errors = {
                name: float(s.error[valid].mean()) for name, s in (("float", a), ("quantized", b))
            }
            found.append({"minute": minute} | errors | {"apart": float(a.apart(b).mean())})
    if len(found) < 2:
        seconds = len(real.mask) / SAMPLE_RATE
        raise TendonError(
            f"drift: expected two whole minutes with {loop.known} or more, found {len(found)}"
            f" in {seconds:.0f} s"
        )
    return found


def drift(found: dict[str, Any]) -> float:
    """How much more the integers lose against the floats in the last minute than in the first, in
    the task's unit."""
    first, last = (m["quantized"] - m["float"] for m in (found["minutes"][0], found["minutes"][-1]))
    return float(last - first)


def drifts(found: dict[str, Any]) -> bool:
    """Whether that is more than is allowed."""
    return drift(found) > float(found["allowed"])


def text(found: dict[str, Any], task: Task) -> str:
    """What a user reads on the console."""
    outputs, unit = task.loop.outputs if task.loop else "outputs", task.unit
    lines = [f"  minute   float   integers   difference   between the {outputs}"]
    for m in found["minutes"]:
        difference = f"{m['quantized'] - m['float']:+.4f}{unit}"
        lines.append(
            f"  {m['minute']:6}  {m['float']:5.2f}{unit}     {m['quantized']:5.2f}{unit}   "
            f" {difference:>9}   {m['apart']:16.3f}{unit}"
        )
    where = " (simulated recording)" if found["simulated"] else ""
    return "\n".join(
        [*lines, f"  {'DRIFT' if drifts(found) else 'no drift'}: {_lost(found, unit)}{where}"]
    )


def _lost(found: dict[str, Any], unit: str) -> str:
    first, last = (found["minutes"][i]["minute"] for i in (0, -1))
    return (
        f"integers lose {drift(found):+.4f}{unit} more in minute {last} than in minute {first};"
        f" {found['allowed']}{unit} allowed"
    )


def measurement(found: dict[str, Any], task: Task) -> results.Measurement:
    """What is kept where it is asked for: every minute."""
    about = f"{found['model']} {found['precision']}"
    columns = {"minute": "", "float": ".3f", "integers": ".3f", "difference": "+.4f"}
    rows = [
        (m["minute"], m["float"], m["quantized"], m["quantized"] - m["float"], m["apart"])
        for m in found["minutes"]
    ]
    table = results.Table(f"In {task.unit}", columns | {"between the two": ".3f"}, rows)
    return results.Measurement(
        f"drift-{about.replace(' ', '-')}",
        f"A closed loop minute by minute: {about}",
        f"float graph and native C, {'a simulated' if found['simulated'] else 'a'} recording",
        [table],
        {
            "recording": found["recording"]["name"],
            "verdict": f"{'DRIFT' if drifts(found) else 'no drift'}: {_lost(found, task.unit)}",
            "checkpoint": found["checkpoint"],
            "graph": found["graph"],
        },
    )


def html(found: dict[str, Any], task: Task) -> str:
    """The page. The same report gives the same page."""
    look, word = ("bad", "DRIFT") if drifts(found) else ("good", "NO DRIFT")
    badge = f'<p><span class="badge {look}">{word}</span> {_lost(found, task.unit)}</p>'
    note = "<p><b>All errors are from a simulated recording.</b></p>" if found["simulated"] else ""
    facts = {
        "recording": f"{found['recording']['name']}, SHA-256 {found['recording']['sha256']}",
        "checkpoint": found["checkpoint"],
        "graph": found["graph"],
        "integers": "native C, equal to the reference and to the boards word for word",
    }
    title = f"{found['model']} {found['precision']}, minute by minute"
    picture = markup.figure(_picture(found, task))
    body = f"<h1>{escape(title)}</h1>{badge}{note}{picture}{markup.facts(facts)}"
    return markup.document(title, body)


def _picture(found: dict[str, Any], task: Task) -> Picture:
    x = [m["minute"] for m in found["minutes"]]
    lost = [m["quantized"] - m["float"] for m in found["minutes"]]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 5.2), layout="constrained")
        errors, difference = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        errors.plot(x, [m["float"] for m in found["minutes"]], "o-", color=GREEN, label="float")
        errors.plot(
            x,
            [m["quantized"] for m in found["minutes"]],
            "s--",
            color=BLUE,
            markersize=4,
            label="integers",
        )
        errors.set_ylim(bottom=0)
        errors.set_ylabel(f"mean absolute {task.costs().word}, {task.unit}")
        errors.legend(frameon=False)
        difference.bar(x, lost, color=BLUE, width=0.6)
        difference.axhline(
            lost[0] + found["allowed"],
            color=ORANGE,
            linewidth=1,
            label="allowed in the last minute",
        )
        difference.axhline(0, color=SOFT, linewidth=0.8)
        difference.set_ylabel(f"integers minus float, {task.unit}")
        difference.set_xlabel("minute of the stream")
        difference.set_xticks(x)
        difference.legend(frameon=False)
    return Picture(
        "Does the closed loop drift?",
        svg(figure, "drift"),
        "Every minute of one stream, which was never begun anew.",
    )
