"""`faults`: its options -> a campaign against the application of this network, and its figures."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench import results
from bench.faults import campaign, flips
from bench.faults.campaign import Subject
from compress import cli
from compress.files import write_json
from compress.interpreter.integer import IntegerInterpreter
from export import build
from host import engines
from host.boards import ProcessBoard, open_board, open_process
from host.engines import Artifacts

STREAMS, STEPS = 6, 12
EMULATED = "virtual-f405"  # whose image is flipped, where it holds the network


def run(args: argparse.Namespace) -> int:
    """Frames and resets on the posix board, bits of an emulated board's image; exit code 0 only
    when nothing wrong was accepted."""
    begin = time.monotonic()
    made = engines.prepare(cli.folder(args), cli.sources(args))
    image = build.make_firmware(made.integer, made.folder, "posix")
    subject = subject_of(made, image)
    report: dict[str, Any] = {
        "version": 1,
        "model": made.integer.name,
        "precision": made.folder.precision,
        "graph": made.integer.hash(),
        "seed": args.seed,
        "frames": campaign.frames(subject, args.frames, args.seed),
        "resets": campaign.resets(subject, args.resets, args.seed),
        "flips": _flips(made, subject, args.board, args.flips, args.seed),
    }
    report["wrong"] = sum(report[part]["wrong"] for part in ("frames", "resets", "flips"))
    report["seconds"] = time.monotonic() - begin
    path = made.folder.path / "faults.json"
    write_json(path, report)
    print(f"{text(report)}\n\nwrote {path}")
    results.record(args, measurement(report))
    return 0 if not report["wrong"] else 1


def subject_of(made: Artifacts, image: Path) -> Subject:
    """Several streams of noise, so that a frame of one is wrong in every other."""
    graph, rng = made.integer, np.random.default_rng(0)
    shape = (STREAMS, STEPS * graph.samples_per_step, graph.input.features)
    samples = np.clip(rng.normal(0.0, 4000.0, shape), -32768, 32767).astype(np.int16)
    words = IntegerInterpreter(graph, STREAMS).run(samples.astype(np.int64)).astype(np.int16)

    def start() -> ProcessBoard:
        return open_process(image, graph.hash(), campaign.QUICK)

    return Subject(start, list(zip(samples, words, strict=True)), graph.hash())


def _flips(made: Artifacts, subject: Subject, board: str, count: int, seed: int) -> dict[str, Any]:
    image = build.make_firmware(made.integer, made.folder, board)
    found = flips.flips(
        image, lambda copy: open_board(board, copy, made.integer.hash()), subject, count, seed
    )
    return {"board": board} | found


def measurement(report: dict[str, Any]) -> results.Measurement:
    """What is kept where it is asked for: what was done, and what came of it."""
    frames, resets, bits = report["frames"], report["resets"], report["flips"]
    rows: list[tuple[str, str, int]] = [
        *(("damaged frames", name, count) for name, count in frames["faults"].items()),
        *(("streams over damaged lines", name, count) for name, count in frames["ended"].items()),
        *(("resets", name, count) for name, count in resets["resets"].items()),
        *(("frames at resets", name, count) for name, count in resets["faults"].items()),
        *(("streams over resets", name, count) for name, count in resets["ended"].items()),
        *(("flipped bits of the image", name, count) for name, count in bits["outcomes"].items()),
        ("in all", "wrong results accepted", report["wrong"]),
    ]
    about = f"{report['model']} {report['precision']}"
    return results.Measurement(
        f"faults-{about.replace(' ', '-')}-{bits['board']}",
        f"Faults on purpose: {about}",
        f"frames and resets against the native process, bits of the image on {bits['board']}"
        " (emulated)",
        [results.Table("", {"of": "", "what": "", "count": ","}, rows)],
        {"seed": str(report["seed"]), "graph": report["graph"], "QEMU": results.emulator()},
    )


def text(report: dict[str, Any]) -> str:
    """The figures."""
    frames, resets, bits = report["frames"], report["resets"], report["flips"]
    rows = [
        f"{report['model']} {report['precision']}: {report['seconds']:.0f} s of faults",
        f"  damaged frames         {frames['damaged']:,} ({_counts(frames['faults'])})",
        *_streams(frames),
        f"  resets                 {_counts(resets['resets'])} ({_counts(resets['faults'])})",
        *_streams(resets),
        f"  flipped bits           {bits['flips']} in the image for {bits['board']}:"
        f" {_counts(bits['outcomes'])}",
        f"  wrong results accepted {report['wrong']}",
    ]
    return "\n".join(rows)


def _streams(part: dict[str, Any]) -> list[str]:
    rows = [
        f"    streams              {part['streams']:,} ({_counts(part['ended'])}), resumed"
        f" {part['resumed']:,} times; {part['accepted']:,} output frames accepted,"
        f" {part['wrong']} wrong"
    ]
    return rows + ([f"    said                 {_counts(part['said'])}"] if part["said"] else [])


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items()) or "none"
