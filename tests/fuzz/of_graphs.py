"""Graph files."""

from __future__ import annotations

import functools
from pathlib import Path

from compress import graph as g
from compress.errors import GraphError
from compress.frontend.lower import lower
from compress.graph import file
from compress.quantization.calibrate import observe
from compress.quantization.quantize import quantize
from tests.compress.test_graph import network
from tests.compress.test_streaming import signal
from tests.fuzz.reader import Reader

TOKENS = (
    *(b'"rate": "1/0"', b'"rate": "-1"', b'"rate": "1e99"', b"NaN", b"Infinity", b"1" * 5000),
    *(b'"features": 1000000000000', b'"segments": []', b'"ops": []', b'"version": 4', b'"name"'),
    *(b'"inputs"', b'"op"', b'"Dense"', b'"initial"', b'"shift"', b'"\\u2028"', b'"hash"'),
)


@functools.cache
def graphs() -> tuple[g.Graph, g.Graph]:
    """A small network in floats and in integers."""
    real = lower(network())
    return real, quantize(real, observe(real, [signal(4000)]), "w8a16")


def save(path: Path, integer: bool) -> None:
    """Write one of the two."""
    g.save(graphs()[integer], path)


def load_with_its_hash(path: Path) -> g.Graph:
    """As if whoever damaged a graph had also corrected its hash."""
    try:
        header, archive = file._opened(path)
        with archive:
            graph = file._rebuild(header, archive)
        g.save(graph, path)
    except Exception as error:
        raise GraphError("it has no hash") from error
    return g.load(path)


READERS = (
    Reader(
        "graph file of its hash",
        "graph.npz",
        functools.partial(save, integer=True),
        load_with_its_hash,
        (GraphError,),
        TOKENS,
    ),
    Reader(
        "graph file",
        "graph.npz",
        functools.partial(save, integer=True),
        g.load,
        (GraphError,),
        TOKENS,
    ),
    Reader(
        "float graph file",
        "float.npz",
        functools.partial(save, integer=False),
        g.load,
        (GraphError,),
        TOKENS,
    ),
    Reader(
        "provenance",
        "graph.npz",
        functools.partial(save, integer=True),
        g.provenance,
        (GraphError,),
        TOKENS,
    ),
)
