"""The reports of a sweep, one per task: what the error of its networks is called, and which figures
of a point it has.

Everything else of a report is the same for all: points, fronts, table, pictures, page.
"""

from __future__ import annotations

from dataclasses import dataclass

from compress.tasks import TASKS, Task

COSTS = {
    "macs_per_s": "multiply-accumulates per second of signal",
    "instructions_per_s": "executed instructions per second of signal",
    "flash": "bytes of flash",
    "ram": "bytes of RAM",
}
TRIVIAL = {
    "hold_initial": "the initial pose, held",
    "mean_pose": "the mean pose of the calibration session",
}
SHARED = (
    "Filled: measured here, on the held-out sessions. Pale bars: 95 % intervals of a bootstrap over"
    " sessions; all points share the sessions, so differences are surer than the bars. "
)
IMAGE = "of the linked image, on the smallest emulated board that holds it."
COUNTED = "Counted on the emulated core; not cycles."


@dataclass(frozen=True)
class Report:
    """One task's. `factor`: errors over amounts × this is the error in the task's unit. `keys`:
    attribute of a point -> its key in JSON and CSV, where they differ; `absent`: attributes that
    have none. `published`: decoder -> attribute of `models.Published`. `word`, `axis`: the error in
    prose and on an axis; the rest are sentences for readers."""

    task: Task
    stem: str
    factor: float
    keys: dict[str, str]
    absent: frozenset[str]
    published: dict[str, str]
    word: str
    axis: str
    runs: str
    work: str
    how_to_read: str
    captions: dict[str, str]
    notes: tuple[str, ...] = ()

    @property
    def metric(self) -> str:
        return self.task.metric

    @property
    def unit(self) -> str:
        return self.task.unit

    @property
    def decodes(self) -> bool:
        """Whether a point has a decoder, which may need a character model."""
        return "decoder" not in self.absent

    @property
    def about(self) -> str:
        """Name of the file with what its points share: sweep.json beside pareto.json."""
        return f"{self.stem.replace('pareto', 'sweep', 1)}.json"


TYPING = Report(
    TASKS["typing"],
    stem="pareto",
    factor=100.0,
    keys={"error": "cer", "low": "cer_low", "high": "cer_high", "amount": "characters"},
    absent=frozenset(TRIVIAL),
    published={"greedy": "value", "beam+lm": "value_with_lm"},
    word="error rate",
    axis="character error rate, %",
    runs="runs of 25 characters",
    work=(
        "one MAC per weight and output frame, six per complex state; a decoder's work on the host"
        " is in no cost"
    ),
    how_to_read=(
        f"{SHARED}Thin lines join the decoders of a network; what costs nearly the same is moved"
        " apart. Dark line and rings: the Pareto front of what was measured here; dashed: of one"
        " decoder. Hollow grey: published, from real recordings of other people; not comparable in"
        " height, and on no front."
    ),
    captions={
        "macs_per_s": "Dense layers and state spaces; a decoder's work on the host is not in it.",
        "instructions_per_s": f"{COUNTED} Nothing is published about it: the strip has rates only.",
        "flash": f"Weights, code and constants {IMAGE}",
        "ram": f"State, arena, line buffers and stack {IMAGE}",
    },
)
POSE = Report(
    TASKS["pose"],
    stem="pareto-pose",
    factor=1.0,
    keys={"error": "mae", "low": "mae_low", "high": "mae_high", "amount": "samples"},
    absent=frozenset({"decoder", "lm"}),
    published={"": "value"},
    word="angle error",
    axis="mean absolute error of joint angles, °",
    runs="runs of one second",
    work="one MAC per weight and output frame",
    how_to_read=(
        f"{SHARED}What costs nearly the same is moved apart. Dark line and rings: the Pareto front"
        " of what was measured here. Lines across: predictors that read no sEMG, over the samples"
        " a network is scored on; above them it knows nothing."
    ),
    captions={
        "macs_per_s": "Convolutions, dense layers and LSTM cells.",
        "instructions_per_s": f"{COUNTED} Mean over steps after the start-up.",
        "flash": f"Weights, code and constants {IMAGE}",
        "ram": f"State, arena, line buffers and stack {IMAGE}",
    },
    notes=(
        (
            "float is the float graph as a stream, like the integers; the published forward over a"
            " whole window is another figure"
        ),
    ),
)
REPORTS = (TYPING, POSE)
