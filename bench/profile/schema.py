"""What profile.json holds. Plain JSON; names as ST Edge AI's reports have them where those have
such a figure.

Counts are of one step unless their name says otherwise; `executed` and `split` are of all `steps`
of the run, exact whole numbers that sum up. `None` stands for what a board cannot tell:
instructions and their split on silicon, cycles where no core is modelled.
"""

from __future__ import annotations

from typing import Any, TypedDict

VERSION = 1


class Cost(TypedDict):
    """Time of something. `split`: class (classes.py) -> executed instructions. `instructions`: mean
    of a step. `cycles`: modelled or measured, Report.cycles_are says which; `dur_ms` with the
    board's clock. `percent`: of the network's instructions, on silicon of its cycles."""

    executed: int | None
    instructions: float | None
    split: dict[str, int] | None
    cycles: float | None
    dur_ms: float | None
    percent: float


class LayerRow(Cost):
    """One operator (layers.py). `input` and `output`: frames and features of a step. `per_unit`:
    instructions, on silicon cycles, per `unit`, which is MAC where it multiplies and value
    elsewhere. `floor`: instructions of its inner loop at least, and `floor_is` why so many. Bytes:
    `weights` (ro), `activations` (rw), `live` the arena in use meanwhile, `state` what it keeps.
    `cumul`: `percent` of it and all before it."""

    c_id: int
    m_id: int
    name: str
    type: str
    kernel: str
    calls: int
    input: list[int]
    output: list[int]
    rate_hz: float
    macc: int
    macc_per_s: float
    units: int
    unit: str
    per_unit: float | None
    cycles_per_macc: float | None
    floor: float | None
    floor_is: str
    cumul: float
    weights: int
    activations: int
    live: int
    state: int


class OtherRow(Cost):
    """What belongs to no layer, and why it is there."""

    name: str


class Totals(Cost):
    """All layers and what model_step does beside them, without interrupts. `instructions_per_s`: of
    signal. `waits`: modelled cycles by what the core does in them, issue `instructions` or wait for
    something; they sum up to `cycles`."""

    macc: int
    macc_per_s: float
    instructions_per_s: float | None
    per_macc: float | None
    cycles_per_macc: float | None
    duty_percent: float | None
    floor: float
    waits: dict[str, float]


class Memory(TypedDict):
    """Bytes. `weights`, `activations` (the arena) and `state` of the network; `flash_total`,
    `ram_total` and `regions` of the linked image (None for a board without limits). `peak`: the
    layer at which most of the arena is in use."""

    weights: int
    activations: int
    activations_lower_bound: int
    state: int
    peak: str
    flash_total: int | None
    ram_total: int | None
    regions: dict[str, Any]


class Report(TypedDict):
    """profile.json. `counts`: what the board's counter counts. `others`: of model_step, but of no
    layer. `outside`: what fell into a step and is not of the network, interrupts. `counted`:
    everything the counter saw, all of these together."""

    version: int
    model: str
    precision: str
    board: str
    board_title: str
    board_status: str
    emulated: bool
    checkpoint: str
    graph: str
    compiler: str
    flags: str
    clock_hz: int
    recording: str
    simulated: bool
    steps: int
    steps_per_s: float
    frames_per_step: int
    counts: str
    cycles_are: str
    bit_exact: bool
    words: int
    layers: list[LayerRow]
    others: list[OtherRow]
    outside: list[OtherRow]
    total: Totals
    counted: int
    memory: Memory
    findings: list[str]
