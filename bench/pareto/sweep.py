"""All jobs of a sweep in parallel: on this machine's cores, on a cluster, or wherever joblib's
backend sends them.

Three waves, each of jobs that do not need each other: models are quantized while the float networks
read the sessions; every precision is built and placed on a board; the integer networks read the
sessions. Within a wave the long jobs go first.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

import joblib

from bench.pareto import FLOAT, clusters, work
from bench.pareto.clusters import Outcomes, Worker
from bench.pareto.jobs import Job, Outcome, Result, Setting
from compress.artifacts import COMPRESSED
from compress.errors import TendonError, UsageError
from compress.frontend.families import PUBLISHED
from compress.report.progress import Bar

log = logging.getLogger(__name__)

CLUSTERS = {"dask": clusters.dask, "ray": clusters.ray}


@dataclass(frozen=True)
class Backend:
    """Where jobs run: on a cluster, `dask` or `ray`, at the address of its scheduler, or in a
    backend of joblib by name (none: processes here, or an enclosing parallel_config), so many at a
    time (none: as many as there are cores)."""

    name: str | None = None
    jobs: int | None = None
    scheduler: str | None = None


@dataclass(frozen=True)
class Swept:
    """Results by job, and what failed, by the job's name."""

    results: dict[Job, Result]
    failures: dict[str, str]


def run(setting: Setting, backend: Backend, worker: Worker = work.run) -> Swept:
    """Every job of the sweep; one that fails is named and takes only those with it that need its
    result."""
    results: dict[Job, Result] = {}
    failures: dict[str, str] = {}
    waves = _waves(setting)
    with (
        _where(backend) as outcomes,
        Bar(total=sum(map(len, waves)), desc=f"pareto {setting.task}", unit="job") as bar,
    ):
        for wave in waves:
            ready = [job for job in wave if _needs(job) is None or _needs(job) in results]
            bar.update(len(wave) - len(ready))
            for outcome in outcomes(worker, setting, ready):
                if outcome.result is None:
                    failures[outcome.job.name] = outcome.error
                    log.warning(f"failed: {outcome.job.name}: {outcome.error}")
                else:
                    results[outcome.job] = outcome.result
                bar.set_postfix_str(outcome.job.name, refresh=False)
                bar.update()
    return Swept(results, failures)


@contextlib.contextmanager
def _where(backend: Backend) -> Iterator[Outcomes]:
    """What runs the jobs of a wave."""
    if backend.name not in CLUSTERS:
        if backend.scheduler:
            raise UsageError(
                f"SCHEDULER={backend.scheduler}: of BACKEND=dask or BACKEND=ray, found BACKEND="
                f"{backend.name or ''}"
            )
        with _parallel(backend) as parallel:
            yield functools.partial(_in_parallel, parallel)
        return
    if backend.jobs is not None:
        raise UsageError(
            f"JOBS={backend.jobs}: is for this machine; with BACKEND={backend.name} the workers of"
            " the cluster say how many jobs run at a time"
        )
    with CLUSTERS[backend.name](backend.scheduler) as outcomes:
        yield outcomes


def _in_parallel(
    parallel: joblib.Parallel, worker: Worker, setting: Setting, jobs: list[Job]
) -> Iterator[Outcome]:
    try:
        yield from parallel(joblib.delayed(worker)(setting, job) for job in jobs)
    except BrokenProcessPool as error:
        raise TendonError(
            f"a worker process ended in the middle of a job ({error}); most often memory is short:"
            " give a smaller JOBS= and repeat, what is finished is kept"
        ) from error


@contextlib.contextmanager
def _parallel(backend: Backend) -> Iterator[joblib.Parallel]:
    """joblib's Parallel in the backend that was asked for; jobs one by one, since a short one says
    nothing about the next."""
    options: dict[str, Any] = {"n_jobs": backend.jobs or -1}
    if backend.name is not None:
        options["backend"] = backend.name
    try:
        with joblib.parallel_config(**options):
            active, _ = joblib.parallel.get_active_backend()
            # of one that does not, the bar moves by waves
            streams = active.supports_return_generator
            opened = joblib.Parallel(
                return_as="generator_unordered" if streams else "list", batch_size=1
            )
    except (ImportError, ValueError) as error:
        raise TendonError(f"BACKEND={backend.name}: joblib cannot use it: {error}") from error
    with opened as parallel:
        yield parallel


def _waves(setting: Setting) -> list[list[Job]]:
    models = sorted(setting.checkpoints, key=_work, reverse=True)
    integer = [(m, p) for m in models for p in setting.precisions_of(m) if p != FLOAT]
    floats = [
        Job(m, FLOAT, s) for m in models for s in setting.heldout if FLOAT in setting.precisions
    ]
    return [
        [*(Job(m) for m in models), *floats],
        [Job(m, p) for m, p in integer],
        [Job(m, p, s) for m, p in integer for s in setting.heldout],
    ]


def _work(model: str) -> float:
    """How long a model's jobs take, relative to others; an unknown one comes first."""
    return PUBLISHED[model].gmacs_per_s if model in PUBLISHED else float("inf")


def _needs(job: Job) -> Job | None:
    """The job without whose result this one cannot begin."""
    if job.precision in ("", FLOAT):
        return None
    if job.session is not None:
        return Job(job.model, job.precision)
    return None if job.precision == COMPRESSED else Job(job.model)
