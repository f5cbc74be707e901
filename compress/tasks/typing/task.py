"""Typing on a keyboard: emg2qwerty sessions, log-probabilities of characters, the character error
rate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress import graph as g
from compress.data import on_disk
from compress.data.clock import Segment
from compress.graph.samples import Signal
from compress.tasks import distances
from compress.tasks.costs import CostWords
from compress.tasks.recorded import Cut, Recorded, Shown
from compress.tasks.shape import Shape
from compress.tasks.task import Array, Runs, Task
from compress.tasks.typing import charset, scores
from compress.tasks.typing.session import BANDS, ELECTRODES, SAMPLE_RATE, Session
from compress.tasks.typing.simulated import COLLECTION
from compress.tasks.typing.text import TypedText
from compress.tasks.wiring import Wiring

if TYPE_CHECKING:
    from compress.report.drawing import Picture


@dataclass(frozen=True)
class Typed:
    """What was typed: the text, and each key press (seconds from the first sample, character)."""

    text: str
    keys: list[tuple[float, str]]


class Typing(Task):
    """Frames are log-probabilities (frames, 99), or anything with the same arg-max."""

    name = "typing"
    metric, unit, points = TypedText.metric, TypedText.unit, "points"
    headline, title = "Error rate (CER)", "Character error rate"
    collection = COLLECTION
    network = Shape(Fraction(SAMPLE_RATE), BANDS * ELECTRODES, charset.BLANK + 1)
    array = f"(samples, {BANDS}, {ELECTRODES})"
    factor = 100.0
    text = TypedText()

    def wiring(self, graph: g.Graph) -> Wiring:
        return Wiring(
            samples=(
                "as emg2qwerty's recordings have them (Sivakumar et al. 2024, arXiv:2410.20081):"
                " high-pass filtered when they were recorded, nothing else. Their repository"
                " (facebookresearch/emg2qwerty, emg2qwerty/data.py) gives neither cut-off nor order"
                " nor unit; the README.md of their BIDS edition (NEMAR nm000104) gives 40 Hz, a"
                " recorder of 20 to 850 Hz, and no order. How many volts one unit is, neither says:"
                " match the amplitudes of a recording"
            ),
            electrodes=(
                f"value {ELECTRODES} * band + electrode: band 0 is the left wrist's (emg_left), 1"
                f" the right one's, electrodes 0 to {ELECTRODES - 1} around it. Which electrode is"
                " 0 and which way they count, the repository does not say; electrodes.tsv of the"
                " BIDS edition places 0 at the ulnar styloid, 1 to 7 across the back of the wrist,"
                " 8 at the radial styloid, 9 to 15 across the palm side, on either wrist, and its"
                " README.md says that the polarity is reversed between the two. Check it against a"
                " recording"
            ),
            outputs=(
                "natural logarithms of the probabilities of the characters; the last is the blank"
                " of CTC"
            ),
            names=charset.WORDS,
        )

    def look(self, path: Path) -> None:
        with Session(path) as session:
            session.look()

    @contextmanager
    def cut(self, graph: g.Graph, path: Path, labels: bool) -> Iterator[Cut]:
        with Session(path) as session:
            session.check(labels)
            yield Cut(session.segments, lambda segment: self._part(session, segment))

    def _part(self, session: Session, segment: Segment) -> Recorded:
        start, stop = segment.start, segment.stop
        samples = on_disk.stretch(session, "samples", start, stop)
        keys = [(at / SAMPLE_RATE, key) for at, key in session.keys(start, stop)]
        typed = Typed(session.text(start, stop), keys)
        return Recorded(session.path, Signal(samples), typed, start=start)

    def opened(self, graph: g.Graph, path: Path) -> Session:
        return Session(path)

    def electrode(self, graph: g.Graph, index: int) -> str:
        return f"{('left', 'right')[index // ELECTRODES]} electrode {index % ELECTRODES}"

    def from_array(self, array: Array) -> Array:
        if array.ndim != 3 or array.shape[1:] != (BANDS, ELECTRODES):
            raise ValueError(
                f"expected numbers of shape {self.array}, found {array.dtype} {array.shape}"
            )
        return array.reshape(len(array), BANDS * ELECTRODES)

    def agreement(self, first: Sequence[Array], second: Sequence[Array]) -> float | None:
        return distances.agreement(first, second)

    def runs(self, graph: g.Graph, frames: Array, recorded: Recorded) -> Runs:
        return self.text.runs(self.text.of(recorded.target), self.text.read(frames))

    def error(
        self, graph: g.Graph, frames: Sequence[Array], recorded: Sequence[Recorded]
    ) -> float | None:
        texts = self._texts(recorded)
        return scores.score(frames, texts).cer if any(texts) else None

    def interval(
        self, graph: g.Graph, frames: Sequence[Array], recorded: Sequence[Recorded]
    ) -> tuple[float, float]:
        return scores.bootstrap_rate(frames, self._texts(recorded))

    def difference(
        self,
        graph: g.Graph,
        first: Sequence[Array],
        second: Sequence[Array],
        recorded: Sequence[Recorded],
    ) -> tuple[float, float]:
        return scores.bootstrap_difference(first, second, self._texts(recorded))

    def details(
        self, graph: g.Graph, frames: Sequence[Array], recorded: Sequence[Recorded]
    ) -> dict[str, Any]:
        texts = self._texts(recorded)
        return scores.score(frames, texts).as_dict() if any(texts) else {}

    def amount(self, recorded: Sequence[Recorded]) -> tuple[int, str]:
        return sum(map(len, self._texts(recorded))), "characters"

    def say(self, details: dict[str, Any]) -> list[tuple[str, str]]:
        if not details:
            return []
        missed, made_up, confused = (details[name] for name in ("IER", "DER", "SER"))
        kinds = f"missed {missed:.2f}, made up {made_up:.2f}, confused {confused:.2f} %"
        return [("board, by kind", kinds)]

    def picture(self, shown: Shown) -> Picture | None:
        from compress.tasks.typing import pictures  # matplotlib is slow to import

        return pictures.stretch(shown)

    def costs(self) -> CostWords:
        return CostWords(
            stem="pareto",
            keys={"error": "cer", "low": "cer_low", "high": "cer_high", "amount": "characters"},
            published={"greedy": "value", "beam+lm": "value_with_lm"},
            word="error rate",
            axis="character error rate, %",
            runs="runs of 25 characters",
            work=(
                "one MAC per weight and output frame, six per complex state; a decoder's work on"
                " the host is in no cost"
            ),
            how_to_read=(
                "Thin lines join the decoders of a network; what costs nearly the same is moved"
                " apart. Dark line and rings: the Pareto front of what was measured here; dashed:"
                " of one decoder. Hollow grey: published, from real recordings of other people; not"
                " comparable in height, and on no front."
            ),
            macs="Dense layers and state spaces; a decoder's work on the host is not in it.",
            instructions="Nothing is published about it: the strip has rates only.",
        )

    def _texts(self, recorded: Sequence[Recorded]) -> list[str]:
        return [self.text.of(r.target) for r in recorded]
