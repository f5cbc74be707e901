"""Exact counts of one function of an emulated image: what executed, per instruction and per
segment, and what memory saw of it.

A QEMU plugin (plugin.c) watches a function, `model_step`, from its first instruction to the one
after its call. `Watch` says what it watches, `arguments` makes QEMU's command line of that,
`read_counts` reads what came out:

    chip = chips.of_image(load_board("virtual-f405"), image) watch = Watch(code, 20, chip.memory,
    boundaries=tuple(c.returns_to for c in calls(code, "model_step"))) … run QEMU with
    arguments(build_plugin(folder), watch, out) … counts = wait_for(out, 60)
    counts.segments[i].executed   # instructions of the i-th call, by address; the last segment is
    what follows the last boundary modelling.model(code, counts.segments[i], chip).cycles

A segment is what was executed since the boundary before, whichever that was: a call inside a loop
adds to its own segment each time it returns, and what prepares a call belongs to that call. Counts
are sums over all steps; segments sum up to the whole.
"""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path

from bench.cycles.instructions import Instruction, address_of, return_addresses
from compress import artifacts
from compress.errors import TendonError

PLUGIN = Path(__file__).parent / "plugin.c"
STEP = "model_step"
IN_LINE = 16  # instructions executed in a line before the next one is needed, and more


@dataclass(frozen=True)
class Cache:
    """`sets` × `ways` lines of `line` bytes, the least recently used replaced; what is written is
    allocated too."""

    sets: int
    ways: int
    line: int


@dataclass(frozen=True)
class Region:
    """Addresses of data that are counted together, and the memory of the chip they stand for;
    `cached` ones go through the data cache."""

    name: str
    origin: int
    size: int
    cached: bool


@dataclass(frozen=True)
class Memory:
    """What the plugin simulates: both caches, and the data regions; the first region that has an
    address counts it."""

    instructions: Cache
    data: Cache
    regions: tuple[Region, ...] = ()


NO_CACHES = Memory(Cache(1, 1, 4), Cache(1, 1, 4))  # where nobody asks what misses


@dataclass(frozen=True)
class Watch:
    """`steps` calls of a function of disassembled code, with the addresses at which segments end
    (none: one segment).

    `cold`: every step begins with an empty data cache.
    """

    code: dict[int, Instruction]
    steps: int
    memory: Memory
    function: str = STEP
    boundaries: tuple[int, ...] = ()
    cold: bool = False


@dataclass
class Traffic:
    """Accesses of one region of memory; misses of the data cache where it is cached, and dirty
    lines written back for them."""

    reads: int = 0
    writes: int = 0
    read_misses: int = 0
    write_misses: int = 0
    writebacks: int = 0


@dataclass(frozen=True)
class Jumps:
    """Of one instruction: how often another than the next one followed; how often two bits of its
    own history said otherwise, and (conditional branches only) two bits for each history of the
    last 12 conditional branches; how often it went to another address than the time before, returns
    to their call aside."""

    taken: int
    mispredicted: int
    surprised: int
    elsewhere: int

    def __add__(self, other: Jumps) -> Jumps:
        return Jumps(
            self.taken + other.taken,
            self.mispredicted + other.mispredicted,
            self.surprised + other.surprised,
            self.elsewhere + other.elsewhere,
        )


NO_JUMPS = Jumps(0, 0, 0, 0)


@dataclass
class Counts:
    """What the plugin saw over `steps` calls. Addresses are those of the image.

    `traffic`: one per region of the Watch's memory, and a last one for everywhere else.
    `next_line_misses[n]`: lines of instructions that were missing when the line before them ended,
    after n instructions in it; `jumped_misses`: after a jump.
    """

    steps: int = 0
    unaligned_reads: int = 0
    unaligned_writes: int = 0
    jumped_misses: int = 0
    next_line_misses: list[int] = field(default_factory=lambda: [0] * (IN_LINE + 1))
    traffic: list[Traffic] = field(default_factory=list)
    executed: dict[int, int] = field(default_factory=dict)
    jumps: dict[int, Jumps] = field(default_factory=dict)
    segments: list[Counts] = field(default_factory=list)

    @property
    def instructions(self) -> int:
        return sum(self.executed.values())

    @property
    def taken(self) -> int:
        """Jumps of any kind: branches taken, calls, returns, interrupts."""
        return sum(jumps.taken for jumps in self.jumps.values())


def build_plugin(folder: Path) -> Path:
    """Compile the plugin for this machine; reused when its source is unchanged, which its name
    tells."""
    library = folder / f"qemu_cycles-{artifacts.sha256(PLUGIN)[:16]}.so"
    if artifacts.is_whole(library):
        return library
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        "gcc",
        "-shared",
        "-fPIC",
        "-O2",
        "-Wall",
        "-Wextra",
        "-Werror",
        str(PLUGIN),
        "-o",
        str(library),
    ]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise TendonError(
            f"{PLUGIN.name}: gcc refused it; expected gcc 12 or later:\n{done.stderr[-2000:]}"
        )
    artifacts.seal(library)
    return library


def arguments(plugin: Path, watch: Watch, out: Path) -> list[str]:
    """What to add to QEMU's command line so that it counts into the file `out`."""
    code, memory = watch.code, watch.memory
    first, last = min(code), max(code)
    words = [
        f"out={out.resolve()}",
        f"steps={watch.steps}",
        f"code={first:x}:{last + code[last].size - first}",
    ]
    words.append(f"start={address_of(code, watch.function):x}")
    words += [f"stop={address:x}" for address in return_addresses(code, watch.function)]
    words += [f"boundary={address:x}" for address in watch.boundaries]
    words += [f"region={r.origin:x}:{r.size}:{int(r.cached)}" for r in memory.regions]
    words += ["cold=1"] if watch.cold else []
    words += [
        f"{name}={c.sets}:{c.ways}:{c.line}"
        for name, c in (("icache", memory.instructions), ("dcache", memory.data))
    ]
    words.insert(0, str(plugin.resolve()))
    return ["-plugin", ",".join(word.replace(",", ",,") for word in words)]


def read_counts(path: Path) -> Counts:
    """The plugin's file; TendonError when it is missing or cut short."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    if not lines or lines[-1] != "end":
        raise TendonError(
            f"{path}: expected the counts of a finished profile, found {len(lines)} lines; profile"
            " again"
        )
    steps, segments = int(lines[0].split()[1]), list[Counts]()
    for line in lines[1:-1]:
        name, *values = line.split()
        if name == "segment":
            segments.append(Counts(steps))
        else:
            _read_line(segments[-1], name, values)
    return _sum(segments)


def _read_line(counts: Counts, name: str, values: list[str]) -> None:
    if name == "at":
        address, executed, jumps = int(values[0], 16), int(values[1]), Jumps(*map(int, values[2:]))
        counts.executed[address] = executed
        if jumps != NO_JUMPS:
            counts.jumps[address] = jumps
    elif name == "next_line_misses":
        counts.next_line_misses[int(values[0])] = int(values[1])
    elif name == "region":
        counts.traffic.append(Traffic(*map(int, values)))
    else:
        setattr(counts, name, int(values[0]))


def _sum(segments: list[Counts]) -> Counts:
    """All segments together, which it keeps."""
    whole, executed = Counts(segments[0].steps, segments=segments), Counter[int]()
    for part in segments:
        whole.unaligned_reads += part.unaligned_reads
        whole.unaligned_writes += part.unaligned_writes
        whole.jumped_misses += part.jumped_misses
        whole.next_line_misses = [
            a + b for a, b in zip(whole.next_line_misses, part.next_line_misses, strict=True)
        ]
        executed.update(part.executed)
        for address, found in part.jumps.items():
            whole.jumps[address] = whole.jumps.get(address, NO_JUMPS) + found
    whole.executed = dict(sorted(executed.items()))
    whole.traffic = [
        Traffic(*(sum(getattr(t, f.name) for t in same) for f in fields(Traffic)))
        for same in zip(*(part.traffic for part in segments), strict=True)
    ]
    return whole


def wait_for(path: Path, seconds: float, alive: Callable[[], bool] = lambda: True) -> Counts:
    """Counts as soon as the plugin has written them."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and alive():
        if path.is_file() and path.read_bytes().endswith(b"end\n"):
            break
        time.sleep(0.02)
    return read_counts(path)
