"""Scoring is the published one, and its intervals and distances mean what they say."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.errors import TendonError
from compress.tasks import distances
from compress.tasks.typing import scores
from compress.tasks.typing.charset import BLANK, CHARSET, encode
from tests.conftest import Cases

TEXT = st.text(alphabet=CHARSET, max_size=60)


def emissions(text: str) -> np.ndarray:
    """Log-probabilities whose greedy text is `text`: every character one frame, with a blank after
    it."""
    best = np.stack([encode(text), np.full(len(text), BLANK)], axis=1).reshape(-1)
    return np.log(np.eye(BLANK + 1, dtype=np.float32)[best] * 0.9 + 0.001)


@pytest.mark.parametrize("index", range(4))
def test_greedy_text_and_rates_match_the_published_decoder(cases: Cases, index: int) -> None:
    case = json.loads((cases / "typing/decode.json").read_text())[index]
    frames = np.load(cases / "typing/decode.npz")[case["emissions"]]
    assert scores.greedy(frames) == case["greedy"]
    assert scores.error_rates(case["target"], case["greedy"]).as_dict() == pytest.approx(
        case["greedy_rates"], abs=1e-12
    )


def test_corrections_are_characters_and_are_not_applied() -> None:
    assert scores.greedy(emissions("Wheat⌫ and")) == "Wheat⌫ and"
    assert scores.error_rates("Wheat⌫", "Whea").counts == (2, 0, 0, 6)


def test_a_missed_character_is_an_insertion_and_a_made_up_one_a_deletion() -> None:
    assert scores.error_rates("abc", "ac").counts == (1, 0, 0, 3)
    assert scores.error_rates("abc", "abxc").counts == (0, 1, 0, 3)
    assert scores.error_rates("abc", "axc").counts == (0, 0, 1, 3)


@given(TEXT)
def test_greedy_reads_back_any_text_and_only_a_blank_parts_repeats(text: str) -> None:
    frames = emissions(text)
    assert scores.greedy(frames) == text
    assert scores.greedy(np.repeat(frames, 3, axis=0)) == text
    merged = "".join(c for i, c in enumerate(text) if i == 0 or c != text[i - 1])
    assert scores.greedy(frames[::2]) == merged


def test_no_frames_are_no_text() -> None:
    assert scores.greedy(np.empty((0, BLANK + 1))) == ""


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=4))
def test_segments_hold_every_error_and_every_character_once(pairs: list[tuple[str, str]]) -> None:
    for target, prediction in pairs:
        counted = scores.segment_errors(target, prediction, 7)
        assert counted.sum() == scores.error_rates(target, prediction).errors
        assert scores.segment_lengths(target, 7).sum() == len(target)
        assert len(counted) == len(scores.segment_lengths(target, 7))


def test_rates_pool_sessions_before_dividing() -> None:
    targets = ["abcd", "abcdefghijkl"]
    rates = scores.score([emissions("abcx"), emissions("abcdefghijkl")], targets)
    assert rates.cer == pytest.approx(100 / 16)


def test_a_signal_without_a_typed_character_has_no_rate() -> None:
    with pytest.raises(TendonError, match="expected at least one typed character"):
        _ = scores.score([emissions("")], [""]).cer
    with pytest.raises(TendonError, match="expected at least one typed character"):
        scores.bootstrap_rate([emissions("a")], [""])


def test_the_interval_of_a_difference_is_seeded_and_holds_it() -> None:
    rng = np.random.default_rng(3)
    text = "".join(rng.choice(list("abcdefgh "), 3000))
    noisy = "".join("x" if rng.random() < 0.05 else c for c in text)
    worse = "".join("y" if rng.random() < 0.03 else c for c in noisy)
    first, second = [emissions(noisy)], [emissions(worse)]
    low, high = scores.bootstrap_difference(first, second, [text])
    difference = scores.score(second, [text]).cer - scores.score(first, [text]).cer
    assert low < difference < high
    assert low > 0
    assert (low, high) == scores.bootstrap_difference(first, second, [text])
    assert scores.bootstrap_difference(first, first, [text]) == (0.0, 0.0)
    low, high = scores.bootstrap_rate(first, [text])
    assert low < scores.score(first, [text]).cer < high


def test_the_interval_covers_the_true_rate_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        text = "".join(rng.choice(list("abcdefgh"), 1000))
        noisy = "".join("x" if rng.random() < 0.1 else c for c in text)
        low, high = scores.bootstrap_rate([emissions(noisy)], [text], resamples=300)
        held += low <= 10.0 <= high
    assert held >= 85


def test_signal_to_noise_is_in_decibels_of_power() -> None:
    x = np.ones(1000)
    assert distances.sqnr_db(x, x * 1.01) == pytest.approx(40.0)
    assert distances.sqnr_db(x, x) == 200.0
    assert distances.sqnr_db(np.zeros(3), np.ones(3)) == -200.0


def test_tensor_errors_follow_their_definitions() -> None:
    x, y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 2.0, 3.0, 6.0])
    found = distances.tensor_errors(x, y)
    assert found["rmse"] == pytest.approx(1.0)
    assert found["mae"] == pytest.approx(0.5)
    assert found["l2r"] == pytest.approx(2 / np.sqrt(30))
    assert found["nse"] == pytest.approx(1 - 4 / 5)
    assert found["cos"] == pytest.approx(38 / np.sqrt(30 * 50))
    assert distances.tensor_errors(np.zeros(3), np.zeros(3)) == {
        "rmse": 0.0,
        "mae": 0.0,
        "l2r": 0.0,
        "nse": 1.0,
        "cos": 1.0,
    }


def test_agreement_is_the_share_of_frames_with_the_same_best_class() -> None:
    a, b = emissions("abcd"), emissions("abce")
    assert distances.agreement([a, a], [a, b]) == pytest.approx(15 / 16)


def test_a_short_text_still_has_an_interval() -> None:
    low, high = scores.bootstrap_rate([emissions("the quick brownxxx")], ["the quick brown fox"])
    assert low < scores.score([emissions("the quick brownxxx")], ["the quick brown fox"]).cer < high
