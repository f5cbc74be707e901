"""The exported C compiled for this machine and called in process: the fastest engine that is
bit-exact with the board."""

from __future__ import annotations

import ctypes
import hashlib
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np

from compress import artifacts
from compress.errors import TendonError
from compress.evaluate import HeldOut
from compress.files import visible
from compress.graph import Array, Graph
from compress.graph.kept import Kept
from compress.graph.samples import Signal, blocks, to_int16
from compress.report.progress import Bar
from export.c import emit, memory

HERE = Path(__file__).parent
NN = HERE.parent.parent / "firmware" / "nn"
FLAGS = ("-std=c11", "-O3", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared")
_TAP = ctypes.CFUNCTYPE(None, ctypes.c_uint, ctypes.POINTER(ctypes.c_int16), ctypes.c_uint32)


class NativeModel:
    """One exported model in this process. Its state lives in the library: one instance is one
    stream."""

    def __init__(self, library: Path, graph: Graph) -> None:
        self.graph = graph
        self._library = ctypes.CDLL(str(library))
        self._library.native_state.restype = ctypes.c_void_p
        self.reset()

    def reset(self) -> None:
        """All state to zero."""
        self._library.native_reset()

    def begin_with(self, signal: Signal) -> None:
        """From the zero state, and what the signal brings for extra inputs, if anything."""
        self.reset()
        if signal.initial is not None:
            state = memory.initial_state(self.graph, signal.initial)
            ctypes.memmove(self._library.native_state(), state, len(state))

    def run(self, samples: Array) -> Array:
        """int16 (a multiple of samples_per_step, inputs) -> int16 (frames, outputs); continues the
        stream."""
        samples = np.ascontiguousarray(samples, dtype=np.int16)
        steps = len(samples) // self.graph.samples_per_step
        out = np.empty((steps * self.graph.chunk, self.graph.output.features), dtype=np.int16)
        self._library.native_run(
            samples.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_uint32(steps),
            out.ctypes.data_as(ctypes.c_void_p),
        )
        return out

    def stream(self, samples: Array) -> Array:
        """Real samples (n, inputs), which may lie on disk -> int16 (frames, outputs) of their whole
        steps, many of which stay on disk; continues the stream."""
        steps = len(samples) // self.graph.samples_per_step
        found = Kept(steps * self.graph.chunk, (self.graph.output.features,), np.int16)
        for part in blocks(samples, self.graph.samples_per_step):
            found.append(self.run(to_int16(self.graph, part)))
        return found.array()

    def set_tap(self, callback: Callable[[int, Array], None]) -> None:
        """Call back with (operator index, its int16 output, flat) after every operator; needs a
        library built with taps."""

        sizes = [
            self.graph.tensors[op.output].features * self.graph.frames_per_step(op.output)
            for op in self.graph.ops
        ]
        pieces: dict[int, list[Array]] = defaultdict(
            list
        )  # of what an operator puts out in this step

        def relay(op: int, data: ctypes._Pointer[ctypes.c_int16], count: int) -> None:
            pieces[op].append(np.ctypeslib.as_array(data, shape=(count,)).copy())
            if sum(map(len, pieces[op])) == sizes[op]:
                callback(op, np.concatenate(pieces.pop(op)))

        self._tap = _TAP(relay)  # kept: C holds a pointer to it
        self._library.native_set_tap(self._tap)


def build(
    graph: Graph,
    folder: Path,
    taps: bool = False,
    flags: tuple[str, ...] = FLAGS,
    family: str = "dsp",
) -> Path:
    """Compile the export of an integer graph into `folder`; the file name holds what it was made
    from, so it is reused."""
    files = emit.files(emit.build(graph, family))
    sources = {p.name: p.read_bytes() for p in visible(NN.glob("*.[ch]"))} | {
        "driver.c": (HERE / "driver.c").read_bytes()
    }
    code = artifacts.code_hash("firmware/nn", "host/native")
    made_from = repr((sorted(files.items()), code, flags, taps))
    digest = hashlib.sha256(made_from.encode()).hexdigest()[:16]
    library = folder / f"model-{digest}.so"
    if not artifacts.is_whole(library):
        _compile(
            library, files | sources, [f"{k}.c" for k in emit.kernels(graph, family)], taps, flags
        )
        artifacts.seal(library)
    return library


def load(graph: Graph, folder: Path, taps: bool = False, family: str = "dsp") -> NativeModel:
    """Build when needed and load. Every instance gets a library file of its own, since its state is
    static."""
    library = build(graph, folder, taps, family=family)
    with tempfile.TemporaryDirectory() as private:
        copy = Path(shutil.copy(library, private))
        return NativeModel(copy, graph)


def words(graph: Graph, heldout: HeldOut, folder: Path) -> list[Array]:
    """int16 words (frames, outputs) of each held-out session; the library is built in `folder` when
    it is not there."""
    model, found = load(graph, folder), []
    for signal in Bar(heldout.signals, desc="native C", unit="session"):
        model.begin_with(signal)
        found.append(model.stream(signal.samples))
    return found


def _compile(
    library: Path,
    files: dict[str, bytes],
    kernel_sources: list[str],
    taps: bool,
    flags: tuple[str, ...],
) -> None:
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        for name, content in files.items():
            (Path(folder) / Path(name).name).write_bytes(content)
        network = sorted(Path(name).name for name in files if "/" in name and name.endswith(".c"))
        sources = [*network, "driver.c", *kernel_sources]
        command = ["gcc", *flags, *(["-DMODEL_TAP"] if taps else []), *sources, "-o", library.name]
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, errors="replace", check=False
            )
        except FileNotFoundError as error:
            raise TendonError(
                "gcc was not found: install it (Debian: apt-get install gcc libc6-dev)"
            ) from error
        if done.returncode:
            raise TendonError(f"the exported C does not compile natively:\n{done.stderr}")
        (Path(folder) / library.name).replace(library)
