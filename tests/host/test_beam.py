"""Beam search: the published texts, frame by frame as at once; what is stable stays; late frames
cost what early ones do."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import kenlm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress.errors import TendonError
from compress.tasks.typing import scores
from compress.tasks.typing.charset import BLANK, CHARSET, KEYS, encode
from compress.tasks.typing.text import ALPHABET
from host import character_model
from host.beam import BeamDecoder
from host.character_model import CharacterModel
from host.decode import StreamDecoder
from host.decoders import NAMES, decode_session, make
from tests.conftest import Cases

DELETE = CHARSET.index("⌫")
FEW = [
    *encode("the "),
    DELETE,
    CHARSET.index("⇧"),
    BLANK,
]  # few enough that alignments of one text meet often


@pytest.fixture(scope="module")
def reuters(cases: Cases) -> CharacterModel:
    return character_model.load(cases / "typing/reuters-3-gram-char-lm.arpa", ALPHABET)


def case(cases: Cases, index: int) -> tuple[dict, np.ndarray]:
    found = json.loads((cases / "typing/decode.json").read_text())[index]
    return found, np.load(cases / "typing/decode.npz")[found["emissions"]]


@pytest.mark.parametrize("index", range(4))
def test_the_published_texts_and_error_rates_without_a_model(cases: Cases, index: int) -> None:
    expected, emissions = case(cases, index)
    decoder = BeamDecoder(ALPHABET, beams=20, top=10)
    decoder.extend(emissions)
    assert decoder.text == decoder.finish() == expected["beam20_top10"]
    assert (
        scores.error_rates(expected["target"], decoder.text).as_dict()
        == expected["beam20_top10_rates"]
    )


@pytest.mark.parametrize("index", range(4))
def test_the_published_texts_and_error_rates_with_a_model(
    cases: Cases, reuters: CharacterModel, index: int
) -> None:
    expected, emissions = case(cases, index)
    decoder = BeamDecoder(ALPHABET, reuters, beams=50, top=10, weight=2.0, bonus=2.0)
    decoder.extend(emissions)
    assert decoder.text == expected["beam50_top10_lm2_bonus2"]
    assert (
        scores.error_rates(expected["target"], decoder.text).as_dict()
        == expected["beam50_top10_lm2_bonus2_rates"]
    )
    by_name = decode_session(
        ALPHABET, "beam+lm", cases / "typing/reuters-3-gram-char-lm.arpa", emissions
    )
    assert by_name == decoder.finish() == expected["beam50_top10_lm2_bonus2"]


# --- the same search, written to be read: no tree, no arrays, every score from the beginning of the


def heard(
    model: kenlm.Model | None, text: tuple[int, ...], weight: float, bonus: float, deletions: bool
) -> float:
    """What the model gives a whole text after its deletions."""
    if model is None:
        return 0.0
    left: list[int] = []
    for label in text:
        if label == DELETE and deletions:
            left = left[:-1]
        else:
            left.append(label)
    start = kenlm.State()
    model.BeginSentenceWrite(start)
    state, total = start, 0.0
    for label in left:
        after = kenlm.State()
        if KEYS[label] in model:
            total += model.BaseScore(state, KEYS[label], after)
        else:
            total += (
                model.BaseScore(state, "</s>", after)
                if state != start
                else model.score("<unk>", bos=False, eos=False)
            )
            after = start
        state = after
    return weight * total + bonus * len(left)


def search(
    frames: np.ndarray, gain: Callable[[tuple[int, ...]], float], beams: int, top: int
) -> str:
    """The published beam search over whole texts."""
    beam: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, -np.inf)}
    for frame in frames:
        following: dict[tuple[int, ...], tuple[float, float]] = {}

        def add(text: tuple[int, ...], blank: float, other: float, into: dict = following) -> None:
            b, o = into.get(text, (-np.inf, -np.inf))
            into[text] = (np.logaddexp(b, blank), np.logaddexp(o, other))

        for text, (blank, other) in beam.items():
            add(text, -np.inf, -np.inf)
            for label in np.argsort(-frame, kind="stable")[:top].tolist():
                p, both = frame[label], np.logaddexp(blank, other)
                if label == BLANK:
                    add(text, both + p, -np.inf)
                    continue
                longer = (*text, label)
                model = gain(longer) - gain(text)
                if text and label == text[-1]:
                    add(text, -np.inf, other + p)
                    add(longer, -np.inf, blank + p + model)
                else:
                    add(longer, -np.inf, both + p + model)
        ranked = sorted(following.items(), key=lambda item: -np.logaddexp(*item[1]))
        beam = dict(ranked[:beams])
    return "".join(CHARSET[label] for label in next(iter(beam)))


def emissions(seed: int, frames: int, sharpness: float = 3.0) -> np.ndarray:
    """Log-probabilities (frames, 99) whose likely classes are FEW."""
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((frames, BLANK + 1))
    logits[:, FEW] += 2.0 + sharpness * rng.random((frames, len(FEW)))
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)


@settings(deadline=None, max_examples=30)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 16),
    st.integers(1, 12),
    st.integers(1, 8),
    st.sampled_from([0.0, 0.5, 2.0]),
    st.sampled_from([0.0, 2.0]),
    st.booleans(),
    st.booleans(),
)
def test_the_tree_finds_what_the_plain_search_finds(
    reuters: CharacterModel,
    seed: int,
    count: int,
    beams: int,
    top: int,
    weight: float,
    bonus: float,
    deletions: bool,
    lm: bool,
) -> None:
    frames = emissions(seed, count)
    decoder = BeamDecoder(
        ALPHABET,
        reuters if lm else None,
        beams=beams,
        top=top,
        weight=weight,
        bonus=bonus,
        deletions=deletions,
    )
    decoder.extend(frames)
    model = kenlm.Model(str(reuters.path)) if lm else None
    assert decoder.text == search(
        frames, lambda text: heard(model, text, weight, bonus, deletions), beams, top
    )


@settings(deadline=None, max_examples=30)
@given(st.text("the sx⇧", max_size=12))
def test_a_mistake_taken_back_costs_nothing(reuters: CharacterModel, typo: str) -> None:
    """The model gives "sh", a mistake, as many ⌫ and "ip" exactly what it gives "ship"."""
    frames = _typed(encode("sh" + typo + "⌫" * len(typo) + "ip").tolist())
    decoder = BeamDecoder(ALPHABET, reuters, beams=1, top=1)
    decoder.extend(frames)
    assert decoder.text == "sh" + typo + "⌫" * len(typo) + "ip"
    plain = kenlm.Model(str(reuters.path))
    given_by_model = decoder._other[0] - frames.max(1).sum()
    assert given_by_model == pytest.approx(
        heard(plain, tuple(encode("ship").tolist()), 2.0, 2.0, deletions=False)
    )


def _typed(labels: list[int]) -> np.ndarray:
    """Frames that say each label without doubt, a blank after each."""
    frames = np.full((2 * len(labels), BLANK + 1), -40.0)
    frames[np.arange(0, len(frames), 2), labels] = -0.01
    frames[1::2, BLANK] = -0.01
    return frames[:-1]


# --- streams --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(0, 40), cut=st.integers(0, 40))
def test_frame_by_frame_equals_the_whole_and_what_is_stable_stays(
    cases: Cases, name: str, seed: int, count: int, cut: int
) -> None:
    lm, frames = cases / "typing/reuters-3-gram-char-lm.arpa", emissions(seed, count)
    stream = make(ALPHABET, name, lm)
    final = ""
    for frame in frames:
        stream.push(frame)
        if isinstance(stream, BeamDecoder):
            assert stream.stable.startswith(final) and stream.text.startswith(stream.stable)
            final = stream.stable
    pieces = make(ALPHABET, name, lm)
    pieces.extend(frames[:cut])
    pieces.extend(frames[cut:])
    assert stream.text == pieces.text
    assert stream.text.startswith(final)
    assert stream.finish() == pieces.finish() == decode_session(ALPHABET, name, lm, frames)
    assert stream.text.startswith(final)
    assert isinstance(stream, StreamDecoder) or stream.stable == stream.text
    stream.reset()
    assert stream.text == "" and stream.frames == 0


@pytest.mark.parametrize("name", NAMES)
def test_the_boards_words_read_like_their_log_probabilities(cases: Cases, name: str) -> None:
    lm = cases / "typing/reuters-3-gram-char-lm.arpa"
    words = np.round(np.maximum(emissions(3, 200) * 1024, -32768)).astype(np.int16)
    assert decode_session(ALPHABET, name, lm, words, scale=2.0**-10) == decode_session(
        ALPHABET, name, lm, words / 1024.0
    )


@pytest.mark.parametrize("name", NAMES)
def test_no_character_is_invented_where_there_are_only_blanks(cases: Cases, name: str) -> None:
    frames = np.full((150, BLANK + 1), -12.0)
    frames[:, BLANK] = -0.001
    assert (
        decode_session(ALPHABET, name, cases / "typing/reuters-3-gram-char-lm.arpa", frames) == ""
    )
    assert (
        decode_session(ALPHABET, name, cases / "typing/reuters-3-gram-char-lm.arpa", frames[:0])
        == ""
    )


def test_a_long_session_costs_no_more_per_frame_than_a_short_one(reuters: CharacterModel) -> None:
    """Counted, not timed: Python calls of every three hundred frames, the text each time, and no
    prefix kept without need."""
    decoder, rng = BeamDecoder(ALPHABET, reuters, beams=10), np.random.default_rng(0)
    calls, characters = [], []
    for _ in range(5):
        logits = (
            rng.standard_normal((300, BLANK + 1))
            + 6.0 * np.eye(BLANK + 1)[np.repeat(rng.choice(FEW, 150), 2)]
        )
        frames = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        calls.append(
            _calls(
                lambda frames=frames: [
                    (decoder.push(frame), decoder.text, decoder.stable) for frame in frames
                ]
            )
        )
        characters.append(len(decoder.text))
        assert _nodes(decoder) <= 10 * characters[-1]
    assert np.diff(characters).min() > 90
    assert max(calls[1:]) < 1.2 * min(calls[1:])


def _calls(action: Callable[[], object]) -> int:
    """Functions entered and left while it runs."""
    count = 0

    def seen(*_: object) -> None:
        nonlocal count
        count += 1

    sys.setprofile(seen)
    try:
        action()
    finally:
        sys.setprofile(None)
    return count


def _nodes(decoder: BeamDecoder) -> int:
    """Prefixes in the tree, which is pruned to the paths of the beam."""
    found = {decoder._path[0]}
    for prefix in decoder._beam:
        while prefix not in found:
            found.add(prefix)
            prefix = prefix.parent
    assert all(child in found for prefix in found for child in prefix.children.values())
    return len(found)


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (np.zeros(98), "expected frames of 99 finite log-probabilities, found shape (98,)"),
        (np.zeros((2, 99)), "found shape (2, 99)"),
        (np.full(99, np.nan), "found 99 others"),
        (np.append(np.zeros(98), -np.inf), "found 1 others"),
    ],
)
def test_a_frame_that_is_none_is_refused(frame: np.ndarray, message: str) -> None:
    with pytest.raises(TendonError, match=message.replace("(", r"\(").replace(")", r"\)")):
        BeamDecoder(ALPHABET).push(frame)


def test_nothing_follows_the_end() -> None:
    decoder = BeamDecoder(ALPHABET)
    assert decoder.finish() == ""
    with pytest.raises(TendonError, match="is finished"):
        decoder.push(np.zeros(99))


@pytest.mark.parametrize(
    ("name", "message"),
    [("beam+lm", "give one with LM=path"), ("abacus", "expected one of greedy, beam")],
)
def test_a_decoder_that_cannot_be_made_says_why(name: str, message: str) -> None:
    with pytest.raises(TendonError, match=message):
        make(ALPHABET, name)
