"""What a report holds (hil.json, and demo.json with `heldout`), and what makes a run valid.

Plain JSON. Times are in seconds unless the name says ms, rates of characters in % of the target's,
angles in degrees; `None` stands for what a board cannot tell. Instructions are executed ones,
counted; cycles and ms of an emulated board are modelled.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

VERSION = 3
LINE_BITS = 10  # start, eight data, stop


class Window(TypedDict):
    """One stretch of a recording, streamed from the zero state."""

    recording: str
    sha256: str
    start_s: float
    stop_s: float
    amount: int


class Metric(TypedDict):
    """The same seconds through every engine. `low` and `high`: 95 % interval of the board's value
    over runs of characters."""

    name: str
    unit: str
    float: float | None
    quantized: float | None
    board: float | None
    low: float | None
    high: float | None


class Language(TypedDict):
    """The same seconds read with a character model: which, how, what to know of it, and per engine
    the CER and each text."""

    name: str
    sha256: str
    caveat: str
    settings: str
    metric: Metric
    text: dict[str, list[str]]


class Spread(TypedDict):
    """Over all output frames."""

    p50: float
    p99: float
    max: float


class Latency(TypedDict):
    """Of one step, from its last sample to its results, without the line. A step computes one
    output frame, or `frames_per_step` of them, the first of which then comes `added_ms` later.
    `deadline_ms`: when the samples of the next step are there.

    `counts`: what the board's counter counts. `ms`: cycles over the clock; `ms_is` says whether
    they are measured or modelled.
    """

    counts: str
    instructions: Spread | None
    cycles: Spread | None
    ms: Spread | None
    ms_is: str
    least_ms: float | None
    most_ms: float | None
    deadline_ms: float
    frames_per_step: int
    added_ms: float
    reference_ms: float
    per_frame: list[int]


class Line(TypedDict):
    """What the serial line did. `real_time_factor`: signal seconds per second; compute alone, and
    the line's own."""

    kind: str
    baud: int
    bytes_sent: int
    bytes_received: int
    sample_bytes: int
    seconds: float
    frames_repeated: int
    polls: int
    resumed: int
    overruns: int
    bytes_dropped: int
    real_time_factor: float
    at_baud_real_time_factor: float | None


class Reset(TypedDict):
    """The board was lost and the run resumed. `frames`: output frames of the stretch received
    before; `cause`: power-on, brown-out, pin, software, watchdog, fault, other or unknown; `text`:
    all that the board says; of a fault, where the image names it, function, file and line."""

    frames: int
    cause: str
    text: str
    function: str
    file: str
    line: int
    pc: int


class Text(TypedDict):
    """What was typed in a recording's streamed seconds, and what each engine read."""

    recording: str
    target: str
    float: str
    quantized: str
    board: str


class Stack(TypedDict):
    """Bytes: the most ever used, and the size."""

    used: int
    size: int


class Report(TypedDict):
    """hil.json. `frames` came back of `frames_expected`; `mismatches` counts output words that
    differ from `reference`: the integer reference for FORMAT=c, TFLite-Micro's interpreter for
    FORMAT=tflm. `bit_exact`: none does, and all came. `users`: the errors of each whose seconds
    were streamed, where recordings say whose they are; `over_users`: their mean, of several.
    `stream_latency`: what the network waits for, of those that say it. `fault_before`: a fault that
    the board remembered when the run began, "" where none; `external_memory`: what it says of
    memory outside the chip, "" where there is none."""

    version: int
    model: str
    precision: str
    board: str
    board_title: str
    board_status: str
    emulated: bool
    checkpoint: str
    graph: str
    graph_on_board: str
    compiler: str
    flags: str
    generator: str
    recordings: list[Window]
    simulated: bool
    seconds: float
    seconds_requested: float
    frames: int
    frames_expected: int
    outputs: int
    task: str
    amount: int
    amount_is: str
    metric: Metric
    users: list[dict[str, Any]]
    over_users: dict[str, Any] | None
    details: dict[str, Any]
    language: Language | None
    published: dict[str, Any] | None
    words: int
    mismatches: int
    first_mismatch: str | None
    bit_exact: bool
    format: str
    format_title: str
    reference: str
    against_integers: dict[str, float]
    arena_used: int
    latency: Latency
    stream_latency: dict[str, Any] | None
    real_time_factor: float | None
    line: Line
    resets: list[Reset]
    fault_before: str
    external_memory: str
    stack: Stack | None
    footprint: dict[str, Any] | None
    plan_differences: list[str]
    macs_per_s: float
    cycles: dict[str, Any] | None
    layers: list[dict[str, Any]]
    quantize: dict[str, Any]
    text: list[Text]
    valid: bool
    why_invalid: list[str]
    heldout: NotRequired[dict[str, Any]]


def validity(report: Report) -> list[str]:
    """Why the run proves nothing, or the wrong thing; empty when it is valid. Accuracy is a result,
    not a condition; that every word equals the reference is one."""
    reasons = []
    if report["graph"] != report["graph_on_board"]:
        reasons.append(
            f"model hash: expected {report['graph']}, the board carries {report['graph_on_board']}"
        )
    if report["frames"] != report["frames_expected"]:
        reasons.append(
            f"output frames: expected {report['frames_expected']}, received {report['frames']}"
        )
    if report["words"] != report["frames_expected"] * report["outputs"]:
        reasons.append(
            f"output words: expected {report['frames_expected'] * report['outputs']} to compare,"
            f" found {report['words']}"
        )
    if report["mismatches"]:
        reasons.append(
            f"output words: {report['mismatches']:,} of {report['words']:,} differ from"
            f" {report['reference']}; {report['first_mismatch']}"
        )
    # each part of a recording ends with its last whole step
    lost_s = len(report["recordings"]) * report["latency"]["deadline_ms"] / 1000.0
    if report["seconds"] <= report["seconds_requested"] - lost_s:
        reasons.append(
            f"seconds: {report['seconds_requested']:g} were requested, the recordings gave"
            f" {report['seconds']:g}"
        )
    stack = report["stack"]
    if stack is not None and stack["used"] >= stack["size"] > 0:
        reasons.append(
            f"stack: {stack['used']} of {stack['size']} bytes were used, it may have overflowed"
        )
    reasons += [f"memory plan: {difference}" for difference in report["plan_differences"]]
    return reasons
