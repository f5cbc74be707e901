"""The 98 characters that the published typing networks tell apart, and how keys become them.

The order is that of emg2qwerty: letters, capitals, digits, punctuation, then backspace ⌫, enter ⏎,
space and shift ⇧. Class 98 is the blank of CTC.
"""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np

MODIFIERS = {"Key.backspace": "⌫", "Key.enter": "⏎", "Key.space": " ", "Key.shift": "⇧"}
CHARSET: list[str] = [
    *string.ascii_letters,
    *string.digits,
    *string.punctuation,
    *MODIFIERS.values(),
]
KEYS: list[str] = [*CHARSET[: -len(MODIFIERS)], *MODIFIERS]
BLANK = len(CHARSET)
# the classes in ASCII: what is no letter of one character has a name
WORDS: tuple[str, ...] = (
    *CHARSET[: -len(MODIFIERS)],
    *("backspace", "enter", "space", "shift", "blank"),
)

SUBSTITUTIONS = {"\n": "⏎", "\r": "⏎", "\b": "⌫", "’": "'", "“": '"', "”": '"', "—": "-"}
_LOOKALIKES = SUBSTITUTIONS | dict(zip("‘–‐−×øØłŁđĐı", "'---xoOlLdDi", strict=True))
_LABEL = {character: label for label, character in enumerate(CHARSET)}


def normalize(character: str) -> str:
    """One character as a member of CHARSET, or "" when it has none: typographic quotes and accents
    are simplified."""
    if character in _LABEL:
        return character
    plain = _LOOKALIKES.get(character) or unicodedata.normalize("NFKD", character)[:1]
    return plain if plain in _LABEL else ""


def clean(text: str) -> str:
    """The text with every character normalized; characters outside the set are dropped."""
    return "".join(map(normalize, text))


def key_to_character(key: str) -> str:
    """The character of a key as the key logger names it ("a", "Key.space"); "" for keys outside the
    set."""
    if key in MODIFIERS:
        return MODIFIERS[key]
    return normalize(key) if len(key) == 1 else ""


def encode(text: str) -> np.ndarray:
    """Labels (int32) of the text after `clean`."""
    return np.array([_LABEL[c] for c in clean(text)], dtype=np.int32)


def decode(labels: Iterable[int] | Sequence[int] | np.ndarray) -> str:
    """The text of labels 0…97; a blank or any other number is an IndexError."""
    labels = [int(label) for label in labels]
    if any(not 0 <= label < BLANK for label in labels):
        raise IndexError(f"labels: expected 0…{BLANK - 1}, found {labels}")
    return "".join(CHARSET[label] for label in labels)
