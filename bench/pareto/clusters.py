"""Jobs on a Dask or Ray cluster that runs already. A worker that dies loses nothing: the cluster
gives its job to another.

joblib's own backends for these two are not used: where the cluster itself gives up a job, that of
Dask waits for ever, and that of Ray ends the sweep with the first worker that dies.
"""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from bench.pareto import fitness
from bench.pareto.jobs import Job, Outcome, Setting
from compress.errors import TendonError
from compress.reading.words import one_line

Worker = Callable[[Setting, Job], Outcome]
Outcomes = Callable[[Worker, Setting, list[Job]], Iterator[Outcome]]

ANSWERS_S = 10.0  # within which a scheduler answers, and has a worker
ALONE_S = 60.0  # for which a sweep waits without any worker
LIVES = 3  # workers that may die of one job
_LOOKS_S = 2.0
_NEEDS = "workers need this folder with its .venv under the same path (docs/scaling-out.md)"


@contextlib.contextmanager
def dask(address: str | None) -> Iterator[Outcomes]:
    """The Dask cluster with its scheduler at `address`; None: that of the enclosing Client.
    TendonError where none answers, or it has no worker."""
    distributed = _package("dask", "distributed")
    with _dask_client(distributed, address) as client:
        try:
            client.wait_for_workers(1, timeout=ANSWERS_S)
        except TimeoutError:
            raise TendonError(
                f"SCHEDULER={client.scheduler.address}: expected at least one worker, found none"
                f" within {ANSWERS_S:.0f} s; start one: dask worker {client.scheduler.address}"
            ) from None
        yield functools.partial(_on_dask, distributed, client)


@contextlib.contextmanager
def _dask_client(distributed: Any, address: str | None) -> Iterator[Any]:
    if address is None:
        try:
            yield distributed.get_client()
        except ValueError:
            raise TendonError(
                "BACKEND=dask: expected the address of a running scheduler, found none: give"
                " SCHEDULER=tcp://host:8786"
            ) from None
        return
    try:
        client = distributed.Client(address, timeout=ANSWERS_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        last = one_line(error) or type(error).__name__
        raise TendonError(
            f"SCHEDULER={address}: expected a Dask scheduler, none answered within"
            f" {ANSWERS_S:.0f} s ({last}); start one: dask scheduler --port 8786"
        ) from error
    try:
        yield client
    finally:
        client.close(timeout=ANSWERS_S)


def _on_dask(
    distributed: Any, client: Any, worker: Worker, setting: Setting, jobs: list[Job]
) -> Iterator[Outcome]:
    """One wave, as its jobs end."""
    alone_since: float | None = None
    with fitness.asked(setting) as mark:
        futures = {
            client.submit(
                fitness.checked, worker, mark, setting, job, key=f"{job.name} {uuid.uuid4().hex}"
            ): job
            for job in jobs
        }
        while futures:
            try:
                with client.as_current():
                    done = distributed.wait([*futures], _LOOKS_S, "FIRST_COMPLETED").done
            except TimeoutError:
                now = time.monotonic()
                alone_since = None if client.nthreads() else alone_since or now
                if alone_since is not None and now - alone_since > ALONE_S:
                    raise TendonError(
                        f"the cluster has had no worker for {ALONE_S:.0f} s with"
                        f" {len(futures)} jobs left; what is finished is kept. Their logs say"
                        f" why they ended: most often memory is short, or {_NEEDS}"
                    ) from None
                continue
            for future in done:
                yield _outcome(futures.pop(future), future.result)


@contextlib.contextmanager
def ray(address: str | None) -> Iterator[Outcomes]:
    """The Ray cluster at `address`; None: what RAY_ADDRESS says, else one of this machine's cores
    for this sweep. TendonError where none answers."""
    package = _package("ray", "ray")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # it warns of it otherwise
    try:
        _knock(address or os.environ.get("RAY_ADDRESS", ""))
        package.init(address=address, log_to_driver=False, logging_level="error")
    except (OSError, RuntimeError, ValueError) as error:
        raise TendonError(
            f"SCHEDULER={address}: expected a Ray cluster, none answered ({one_line(error)});"
            " start one: ray start --head --port 6379"
        ) from error
    try:
        yield functools.partial(_on_ray, package)
    finally:
        package.shutdown()


def _knock(address: str) -> None:
    """OSError where nothing listens at host:port; Ray itself tries for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), ANSWERS_S).close()


def _on_ray(package: Any, worker: Worker, setting: Setting, jobs: list[Job]) -> Iterator[Outcome]:
    """One wave, as its jobs end."""
    with fitness.asked(setting) as mark:
        run = package.remote(num_cpus=1, max_retries=LIVES)(fitness.checked)
        left = {run.remote(worker, mark, setting, job): job for job in jobs}
        while left:
            done, _ = package.wait([*left])
            for reference in done:
                yield _outcome(left.pop(reference), functools.partial(package.get, reference))


def _outcome(job: Job, result: Callable[[], Outcome | fitness.Unfit]) -> Outcome:
    """What came back; TendonError where the cluster could not run the job, or its worker is no
    use for any."""
    try:
        found = result()
    except Exception as error:  # of the cluster: those of a job are part of its outcome
        cause = getattr(error, "cause", None) or error
        raise TendonError(
            f"{job.name}: the cluster could not run it: {type(cause).__name__}:"
            f" {one_line(cause)}; {_NEEDS}"
        ) from error
    if isinstance(found, fitness.Unfit):
        raise TendonError(f"worker {found.worker}: {found.reason}; {_NEEDS}")
    return found


def _package(extra: str, module: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise TendonError(
            f"BACKEND={extra}: the package {error.name or module} is not installed;"
            f' .venv/bin/python -m pip install -e ".[{extra}]" installs it'
        ) from error
