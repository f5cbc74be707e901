"""A model file is a model of these characters or is refused in a sentence; the shipped one comes
from train prompts alone."""

from __future__ import annotations

import math
import re
from pathlib import Path

import kenlm
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.tendon import main as tendon
from compress.data.simulator.text import split_of
from compress.errors import TendonError
from compress.tasks.typing import text as typing_text
from compress.tasks.typing.charset import CHARSET, KEYS, encode
from compress.tasks.typing.text import ALPHABET, key_runs, keys_of
from host import character_model, lm
from host.character_model import START
from host.lm import build, kneser_ney

KENLM_MAGIC = b"mmap lm http://kheafield.com/code format version 5\n\0"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trigram model of 150 prompts."""
    path = tmp_path_factory.mktemp("lm") / "small.arpa"
    assert tendon(["lm", "--output", str(path), "--prompts", "150", "--order", "3"]) == 0
    return path


def tokens(text: str) -> list[str]:
    return [KEYS[label] for label in encode(text)]


# --- how the model hears --------------------------------------------------------------------------


def test_characters_are_heard_as_the_published_decoder_does(small: Path) -> None:
    """Runs of known characters between <s> and </s>; a character outside the vocabulary costs </s>,
    or <unk> outside a run."""
    model, plain = character_model.load(small, ALPHABET), kenlm.Model(str(small))
    expected = plain.score(" ".join(tokens("old")), eos=True) + plain.score(
        "<unk>", bos=False, eos=False
    )
    expected += plain.score(" ".join(tokens("house")), eos=False)
    state, total = START, 0.0
    for label in encode("old  house"):
        scores, states = model.extend(np.array([state]), np.array([label]))
        state, total = int(states[0, 0]), total + scores[0, 0]
    assert total == pytest.approx(expected, abs=1e-5)
    after = plain.score(" ".join(tokens("house")), eos=True) - plain.score(
        " ".join(tokens("house")), eos=False
    )
    assert model.ends([START, state]) == pytest.approx([0.0, after], abs=1e-5)


def test_the_same_file_is_loaded_once_and_a_changed_one_again(small: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.arpa"
    copy.write_bytes(small.read_bytes())
    first = character_model.load(copy, ALPHABET)
    assert character_model.load(copy, ALPHABET) is first
    copy.write_bytes(small.read_bytes().replace(b"\n\n", b"\n\n\n", 1))
    assert character_model.load(copy, ALPHABET) is not first


# --- what is refused ------------------------------------------------------------------------------


def refused(path: Path) -> str:
    with pytest.raises(TendonError) as error:
        character_model.load(path, ALPHABET)
    assert str(path) in str(error.value)
    return str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "no such file; expected a KenLM character model" in refused(tmp_path / "none.arpa")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\\data\\\n",
        b"hello\n",
        KENLM_MAGIC,
        KENLM_MAGIC + bytes(4096),
        KENLM_MAGIC + b"\xff" * 4096,
        bytes(range(256)) * 64,
    ],
)
def test_no_model_at_all_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.bin"
    path.write_bytes(content)
    assert "KenLM cannot read it" in refused(path)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    where=st.floats(0, 0.98),
    what=st.sampled_from([None, b"\x00", b"\xff", b"\t", b"\n", b"-", b"9"]),
)
def test_a_damaged_file_is_refused_or_still_a_model(
    small: Path, tmp_path: Path, where: float, what: bytes | None
) -> None:
    """Cut off anywhere it is refused; with one byte changed it is refused or gives numbers, and
    never ends this process."""
    content, path = small.read_bytes(), tmp_path / "damaged.arpa"
    at = int(where * len(content))
    path.write_bytes(content[:at] if what is None else content[:at] + what + content[at + 1 :])
    if what is None:
        refused(path)
        return
    try:
        model = character_model.load(path, ALPHABET)
    except TendonError as error:
        assert str(path) in str(error)
        return
    scores, _ = model.extend(np.array([START]), np.arange(len(KEYS)))
    assert np.isfinite(scores).all()


@pytest.mark.parametrize(
    ("counts", "reason"),
    [(b"3=99999999999", "allocate"), (b"2=-5", "crashes"), (b"3=7", "header|end|EOF")],
)
def test_wrong_counts_neither_end_this_process_nor_fill_memory(
    small: Path, tmp_path: Path, counts: bytes, reason: str
) -> None:
    path = tmp_path / "counts.arpa"
    path.write_bytes(
        re.sub(b"ngram " + counts[:1] + rb"=\d+", b"ngram " + counts, small.read_bytes())
    )
    assert re.search(reason, refused(path), re.IGNORECASE)


def test_a_model_of_words_or_of_other_tokens_is_refused(tmp_path: Path) -> None:
    words = tmp_path / "words.arpa"
    words.write_text(kneser_ney.arpa(*kneser_ney.model([["the", *map(chr, range(97, 123))]], 2)))
    assert "it is a model of words" in refused(words)
    digits = tmp_path / "digits.arpa"
    digits.write_text(kneser_ney.arpa(*kneser_ney.model([list("0123456789")], 2)))
    assert "it lacks a b c" in refused(digits)


# --- the shipped model ----------------------------------------------------------------------------


def test_the_shipped_model_is_what_the_command_makes(tmp_path: Path) -> None:
    path = tmp_path / "again.arpa"
    assert tendon(["lm", "--output", str(path)]) == 0
    assert path.read_bytes() == lm.SHIPPED.read_bytes()
    assert len(path.read_bytes()) < 400_000


def test_its_prompts_are_of_the_train_split(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(typing_text, "keys_of", lambda prompt: seen.append(prompt) or prompt)
    build.arpa(prompts=200, order=2)
    assert len(seen) == 200 and {split_of(prompt) for prompt in seen} == {"train"}


def test_every_context_shares_out_exactly_one(small: Path) -> None:
    """KenLM's own numbers: after any text, all tokens, </s> and <unk> together have probability
    one."""
    model = kenlm.Model(str(small))
    vocabulary = [*[key for key in KEYS if key in model], "</s>", "<unk>"]
    for text in ("", "t", "th", "the", "zq", "House", "1:", "don't"):
        state = kenlm.State()
        model.BeginSentenceWrite(state)
        for token in tokens(text):
            after = kenlm.State()
            model.BaseScore(state, token, after)
            state = after
        total = sum(10 ** model.BaseScore(state, token, kenlm.State()) for token in vocabulary)
        assert total == pytest.approx(1.0, abs=2e-3), text


@given(st.lists(st.text("ab", min_size=1, max_size=6), min_size=1, max_size=8), st.integers(2, 4))
def test_any_runs_give_probabilities_that_sum_to_one(runs: list[str], order: int) -> None:
    probabilities, gamma = kneser_ney.model(runs, order)
    words = [gram[0] for gram in probabilities[0]]

    def p(gram: tuple[str, ...]) -> float:
        if gram in probabilities[len(gram) - 1]:
            return probabilities[len(gram) - 1][gram]
        return gamma.get(gram[:-1], 1.0) * p(gram[1:])

    assert all(
        math.isclose(sum(p((*context, word)) for word in words), 1.0, rel_tol=1e-9)
        for context in gamma
    )


def test_a_prompt_is_typed_with_its_shifts() -> None:
    assert keys_of('Say "No" 2:1!') == '⇧Say ⇧"⇧No⇧" 2⇧:1⇧!⏎'
    assert list(key_runs(iter(["⇧Go on⏎"]))) == [["G", "o"], ["o", "n"]]


# --- the command ----------------------------------------------------------------------------------


def test_saved_frames_are_decoded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = np.full((12, 99), -20.0, np.float32)
    frames[
        np.arange(12),
        [CHARSET.index("o"), 98, CHARSET.index("l"), 98, CHARSET.index("d"), *[98] * 7],
    ] = 0.0
    np.save(tmp_path / "frames.npy", frames)
    for decoder in ("greedy", "beam", "beam+lm"):
        assert (
            tendon(["decode", "--input", str(tmp_path / "frames.npy"), "--decoder", decoder]) == 0
        )
        assert capsys.readouterr().out == "old\n"


@pytest.mark.parametrize("content", [np.zeros((4, 98)), np.zeros((4, 99), np.int16), np.zeros(99)])
def test_frames_that_are_none_are_refused(
    tmp_path: Path, content: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "frames.npy", content)
    assert tendon(["decode", "--input", str(tmp_path / "frames.npy")]) == 1
    assert "expected log-probabilities, float (frames, 99)" in capsys.readouterr().err
