"""Decoding a stream frame by frame gives the text of the whole, and no character is ever taken
back."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.tasks.typing import scores
from compress.tasks.typing.charset import BLANK
from compress.tasks.typing.text import ALPHABET
from host.decode import StreamDecoder
from tests.conftest import Cases

LABELS = st.lists(st.sampled_from([0, 1, 2, 97, BLANK]), max_size=80)


@pytest.mark.parametrize("index", range(4))
def test_a_stream_reads_what_the_published_greedy_decoder_reads(cases: Cases, index: int) -> None:
    case = json.loads((cases / "typing/decode.json").read_text())[index]
    decoder = StreamDecoder(ALPHABET)
    decoder.extend(np.load(cases / "typing/decode.npz")[case["emissions"]])
    assert decoder.text == case["greedy"]


@given(LABELS, st.integers(0, 80))
def test_frame_by_frame_equals_the_whole_however_it_is_cut(labels: list[int], cut: int) -> None:
    frames = np.eye(BLANK + 1)[np.array(labels, dtype=int)].reshape(-1, BLANK + 1)
    decoder = StreamDecoder(ALPHABET)
    first = decoder.extend(frames[:cut])
    assert first == decoder.text == scores.greedy(frames[:cut])
    assert first + decoder.extend(frames[cut:]) == decoder.text == scores.greedy(frames)
    assert len(decoder.times) == len(decoder.text)
    assert all(labels[t] != BLANK for t in decoder.times)
    decoder.reset()
    assert (decoder.text, decoder.times, decoder.frames) == ("", [], 0)


def test_the_boards_words_read_like_their_log_probabilities() -> None:
    words = np.random.default_rng(0).integers(-32768, 0, (500, BLANK + 1)).astype(np.int16)
    decoder = StreamDecoder(ALPHABET)
    decoder.extend(words)
    assert decoder.text == scores.greedy(words / 1024.0)
