"""`speed`: every kernel and every network in executed instructions on the emulated cores, of gcc's
code and clang's, beside CMSIS-NN, and their targets."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from bench import results
from bench.speed import cmsis_nn, kernels, networks, peers, peers16, recorded
from bench.speed.kernels import RECORDED, Peers
from bench.speed.layers import LAYERS
from bench.speed.window_rows import OPERATORS
from compress.files import write_json
from export import compilers

log = logging.getLogger(__name__)


def run(args: argparse.Namespace) -> int:
    """Count, print both tables, write kernels.json and networks.json; 1 when a target is missed."""
    out = args.build / "bench"
    beside = measure_peers(args.cmsis_nn, out / "cmsis-nn") if args.cmsis_nn else RECORDED
    with_clang = compilers.have_clang()
    if not with_clang:
        log.warning(f"no clang of {compilers.OLDEST} or later is installed: counts of gcc alone")
    by_kernel = kernels.measure(out, beside, with_clang)
    write_json(out / "kernels.json", by_kernel)
    print(kernels.format_table(by_kernel) + "\n", flush=True)
    by_network = networks.measure(args.build, with_clang=with_clang)
    write_json(out / "networks.json", by_network)
    print(networks.format_table(by_network))
    missed = [row for row in by_kernel + by_network if row["met"] is False]
    print(
        f"\n{_verdict(len(missed))}; the same as JSON: {out / 'kernels.json'} and"
        f" {out / 'networks.json'}"
    )
    results.record(args, recorded.measurement(by_kernel, by_network))
    return 1 if missed else 0


def measure_peers(path: Path, cache: Path) -> Peers:
    """CMSIS-NN's layers on every core there is a library for; the others keep their recorded
    figures."""
    counts: dict[tuple[str, str], int] = {}
    what: dict[str, str] = {}
    for library in cmsis_nn.find(path, cache):
        core = library.core.name
        found = peers.measure(library, LAYERS)
        if peers16.there(library):
            found |= peers16.measure(library, OPERATORS)
        else:
            log.warning(f"{library.archive}: without int16 operators, whose recorded counts stand")
        counts |= {(core, shape): count for shape, count in found.items()}
        what[core] = (
            f"{cmsis_nn.version(path)}, {{operands}}, measured beside on {core}; {library.made}"
        )
    return Peers(counts, what)


def _verdict(missed: int) -> str:
    return f"{missed} targets are MISSED" if missed else "every target is met"
