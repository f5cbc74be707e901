"""When a touch typist presses and releases which key, with which finger, and how far the finger has
to reach.

Timing follows Dhakal, Feit, Kristensson, Oulasvirta, "Observations on typing from 136 million
keystrokes" (CHI 2018): log-normal intervals, faster when the hands alternate, slower when one
finger types twice; keys held about 100 ms, so fast strokes overlap (rollover); pauses between words
and sentences; mistakes corrected with backspace. Fingers follow standard touch typing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

LEFT, RIGHT = 0, 1
THUMB, INDEX, MIDDLE, RING, LITTLE = range(5)
_ROWS = [
    ("`1234567890-=", 2.0, -0.5),
    ("qwertyuiop[]\\", 1.0, 1.0),
    ("asdfghjkl;'", 0.0, 1.25),
    ("zxcvbnm,./", -1.0, 1.75),
]
_SHIFTED = dict(zip('~!@#$%^&*()_+{}|:"<>?', "`1234567890-=[]\\;',./", strict=True))
_FINGERS = {
    (LEFT, LITTLE): "`1qaz",
    (LEFT, RING): "2wsx",
    (LEFT, MIDDLE): "3edc",
    (LEFT, INDEX): "45rtfgvb",
    (RIGHT, INDEX): "67yuhjnm",
    (RIGHT, MIDDLE): "8ik,",
    (RIGHT, RING): "9ol.",
    (RIGHT, LITTLE): "0-=p[]\\;'/",
}
_HOME = {(h, f): home for (h, f), home in zip(_FINGERS, "asdfjkl;", strict=True)}
_NEIGHBOURS = {
    "a": "sq",
    "e": "wr",
    "i": "uo",
    "o": "ip",
    "t": "ry",
    "n": "bm",
    "s": "ad",
    "r": "et",
    "l": "k;",
    "h": "gj",
}


@dataclass(frozen=True)
class Key:
    """Where a key is: the hand and finger that press it, and the reach from the finger's home key
    in key widths.

    out: away from the thumb (ulnar); up: away from the body.
    """

    hand: int
    finger: int
    out: float
    up: float


@dataclass(frozen=True)
class Stroke:
    """One key press: the key logger's name and character, the key, and its press and release in
    seconds."""

    name: str
    character: str
    key: Key
    start: float
    end: float


def _keyboard() -> dict[str, Key]:
    places = {c: (x0 + i, y) for row, y, x0 in _ROWS for i, c in enumerate(row)}
    keys = {}
    for (hand, finger), characters in _FINGERS.items():
        hx, hy = places[_HOME[hand, finger]]
        side = 1.0 if hand == RIGHT else -1.0
        for c in characters:
            keys[c] = Key(hand, finger, side * (places[c][0] - hx), places[c][1] - hy)
    keys |= {c.upper(): k for c, k in keys.items() if c.isalpha()}
    keys |= {c: keys[base] for c, base in _SHIFTED.items()}
    keys[" "] = Key(RIGHT, THUMB, 0.0, 0.0)
    keys["⏎"] = Key(RIGHT, LITTLE, 2.0, -0.2)
    keys["⌫"] = Key(RIGHT, LITTLE, 3.0, 2.0)
    keys["⇧0"] = Key(LEFT, LITTLE, 1.2, -1.0)
    keys["⇧1"] = Key(RIGHT, LITTLE, 2.2, -1.0)
    return keys


KEYBOARD = _keyboard()


class Typist:
    """Types prompts with one random generator; `speed` scales every interval."""

    def __init__(
        self, rng: np.random.Generator, speed: float = 1.0, mistakes: float = 0.02
    ) -> None:
        self._rng, self._speed, self._mistakes = rng, speed, mistakes

    def session(
        self, prompts: Iterable[str], seconds: float
    ) -> tuple[list[Stroke], list[tuple[str, float, float]]]:
        """Strokes in order of their press, and (prompt, start, end), from 0 s; the last prompt is
        cut off when time is up."""
        strokes: list[Stroke] = []
        shown: list[tuple[str, float, float]] = []
        now, last = 1.0, seconds - 0.5
        for prompt in prompts:
            begin = now
            typed, now = self._type(prompt + "⏎", now + float(self._rng.uniform(0.5, 1.5)))
            strokes += [stroke for stroke in typed if stroke.end < last]
            shown.append((prompt, begin, min(now, last)))
            if now > last:
                break
        return sorted(strokes, key=lambda s: s.start), shown

    def _type(self, text: str, now: float) -> tuple[list[Stroke], float]:
        strokes: list[Stroke] = []
        previous = KEYBOARD["⏎"]
        for c in self._with_mistakes(text):
            key = KEYBOARD[c]
            now += self._interval(previous, key, c)
            if c.isupper() or c in _SHIFTED:
                now = self._shift(strokes, key, now)
            strokes.append(Stroke(_name(c), c, key, now, now + self._hold()))
            previous = key
        return strokes, now

    def _with_mistakes(self, text: str) -> Iterator[str]:
        """The characters in the order they are typed: now and then a neighbouring key, noticed at
        once or a letter later."""
        for i, c in enumerate(text):
            if c in _NEIGHBOURS and self._rng.random() < 2 * self._mistakes:
                wrong = _NEIGHBOURS[c]
                late = text[i + 1] if self._rng.random() < 0.4 and text[i + 1].islower() else ""
                yield from wrong[int(self._rng.integers(len(wrong)))] + late + "⌫" * (1 + len(late))
            yield c

    def _interval(self, before: Key, key: Key, character: str) -> float:
        if before.hand != key.hand:
            base = 0.155
        elif before.finger != key.finger:
            base = 0.175
        else:
            base = 0.185 if before == key else 0.215
        base += 0.02 * (abs(key.out) + abs(key.up) > 1.5) + 0.03 * (character in " ⌫⏎")
        pause = float(self._rng.uniform(0.2, 0.8)) if self._rng.random() < 0.03 else 0.0
        return (
            max(self._speed * base * float(np.exp(0.22 * self._rng.standard_normal())), 0.07)
            + pause
        )

    def _hold(self) -> float:
        return float(np.clip(0.105 * np.exp(0.25 * self._rng.standard_normal()), 0.05, 0.25))

    def _shift(self, strokes: list[Stroke], key: Key, now: float) -> float:
        """The other hand's little finger holds shift over the stroke; the stroke's time is
        returned."""
        at = now + float(self._rng.uniform(0.09, 0.16))
        strokes.append(
            Stroke(
                "Key.shift",
                "⇧",
                KEYBOARD[f"⇧{1 - key.hand}"],
                now,
                at + float(self._rng.uniform(0.03, 0.09)),
            )
        )
        return at


def _name(character: str) -> str:
    return {" ": "Key.space", "⏎": "Key.enter", "⌫": "Key.backspace"}.get(character, character)
