"""A sweep whose jobs are made up, of imports that a worker does quickly."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from bench.pareto import FLOAT
from bench.pareto.jobs import Job, Outcome, Setting


def fake(_: Setting, job: Job) -> Outcome:
    return Outcome(job, {"name": job.name})


def setting(folder: Path) -> Setting:
    """Of one network whose jobs are made up."""
    for name in ("a", "c", "s0", "s1"):
        (folder / name).write_text(name)
    sessions = (folder / "s0", folder / "s1")
    models, precisions = {"a": folder / "a"}, (FLOAT, "w8a16")
    return Setting(
        folder / "build",
        models,
        (folder / "c",),
        sessions,
        precisions,
        ("",),
        Path("lm"),
        task="pose",
    )


def ends(setting: Setting, job: Job) -> Outcome:
    """As a job that takes more memory than there is."""
    if job.precision == "w8a16":
        os.kill(os.getpid(), signal.SIGKILL)
    return fake(setting, job)
