"""The simulator: same seed same samples, plausible muscles, texts that splits do not share,
sessions the reader accepts."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import welch

from compress.data import recordings
from compress.data.simulator import electrodes, motor_units, muscles
from compress.data.simulator.arm import LIMIT, STEP
from compress.data.simulator.session import Recording, simulate, write
from compress.data.simulator.text import SPLITS, Writer, split_of
from compress.data.simulator.typist import KEYBOARD, LEFT, LITTLE, RIGHT, THUMB, Stroke, Typist
from compress.errors import RecordingError
from compress.tasks.typing import charset
from compress.tasks.typing.session import SUMS, Session
from compress.tasks.typing.simulated import COLLECTION as TYPING


@pytest.fixture(scope="module")
def session() -> Recording:
    return simulate("train", 0, 40.0, seed=7)


def test_the_same_seed_gives_the_same_samples(session: Recording) -> None:
    again = simulate("train", 0, 40.0, seed=7)
    np.testing.assert_array_equal(again.emg, session.emg)
    assert again.strokes == session.strokes and again.prompts == session.prompts


@pytest.mark.parametrize("other", [("train", 1, 7), ("heldout", 0, 7), ("train", 0, 8)])
def test_another_session_split_or_seed_gives_another_recording(
    session: Recording, other: tuple[str, int, int]
) -> None:
    different = simulate(other[0], other[1], 40.0, seed=other[2])
    assert different.prompts[0] != session.prompts[0]
    assert abs(np.corrcoef(different.emg[:, 0, 0], session.emg[:, 0, 0])[0, 1]) < 0.1


def test_splits_share_no_prompt() -> None:
    texts = {}
    for split in SPLITS:
        writer = Writer(np.random.default_rng(0))
        texts[split] = set(itertools.islice(writer.prompts(split), 400))
        assert all(split_of(text) == split for text in texts[split])
    assert all(a.isdisjoint(b) for a, b in itertools.combinations(texts.values(), 2))


def test_prompts_are_english_in_the_published_characters() -> None:
    prompts = list(itertools.islice(Writer(np.random.default_rng(1)).prompts("train"), 500))
    assert all(charset.clean(p) == p for p in prompts)
    text = "".join(prompts).lower()
    assert set("abcdefghijklmnopqrstuvwxyz .,?!\"'0123456789") <= set(text)
    assert 0.08 < text.count("e") / len(text) < 0.13 and text.count("z") < text.count("e") / 10
    assert 0.5 < np.mean([p[0].isupper() or p[0] == '"' for p in prompts]) < 0.9


def test_every_character_has_a_key_and_each_finger_its_keys() -> None:
    assert set(charset.CHARSET) - {"⇧"} <= set(KEYBOARD)
    assert (KEYBOARD["f"].hand, KEYBOARD["f"].out, KEYBOARD["f"].up) == (LEFT, 0.0, 0.0)
    assert KEYBOARD["T"] == KEYBOARD["t"] and KEYBOARD["t"].up == 1.0 and KEYBOARD["t"].out < 0
    assert (
        KEYBOARD["p"].finger == LITTLE
        and KEYBOARD["p"].hand == RIGHT
        and KEYBOARD[" "].finger == THUMB
    )


def test_a_typist_overlaps_strokes_pauses_errs_and_corrects() -> None:
    typist = Typist(np.random.default_rng(2))
    strokes, prompts = typist.session(Writer(np.random.default_rng(3)).prompts("train"), 600.0)
    gaps = np.diff([s.start for s in strokes])
    assert (gaps >= 0).all() and strokes[-1].end < 600
    assert 3.5 < len(strokes) / 600 < 5.5
    assert 0.05 < np.mean([a.end > b.start for a, b in itertools.pairwise(strokes)]) < 0.5
    assert (gaps > 0.5).sum() > len(prompts)
    typed: list[str] = []
    for c in (s.character for s in strokes if s.name not in ("Key.shift",)):
        if c == "⌫":
            typed.pop()
        else:
            typed.append(c)
    wanted = "".join(text + "⏎" for text, _, _ in prompts)
    assert wanted.startswith("".join(typed)) and len(wanted) - len(typed) < 120
    assert 0.005 < np.mean([s.character == "⌫" for s in strokes]) < 0.06


def test_shift_is_held_by_the_other_hand_when_a_capital_goes_down() -> None:
    strokes, _ = Typist(np.random.default_rng(4)).session(
        Writer(np.random.default_rng(5)).prompts("train"), 120.0
    )
    for shift, letter in itertools.pairwise(strokes):
        if shift.name == "Key.shift":
            assert shift.key.hand != letter.key.hand and shift.start < letter.start < shift.end


def test_small_units_are_recruited_first_and_fire_within_their_limits() -> None:
    units = motor_units.pool(np.random.default_rng(6))
    first = units.muscle == 1
    ramp = np.tile(
        np.linspace(0, 0.6, 5 * muscles.GRID, dtype=np.float32), (len(muscles.MUSCLES), 1)
    )
    times, owners = motor_units.fire(units, ramp, np.random.default_rng(7))
    start = np.array([times[owners == u].min(initial=9.0) for u in np.flatnonzero(first)])
    assert (np.diff(units.threshold[first]) > 0).all() and np.corrcoef(
        start, units.threshold[first]
    )[0, 1] > 0.95
    assert np.corrcoef(units.size[first], units.threshold[first])[0, 1] > 0.7
    intervals = np.diff(np.sort(times[owners == np.flatnonzero(first)[0]]))
    assert intervals.min() > 0.3 / 56 and 0.1 < intervals[-40:].std() / intervals[-40:].mean() < 0.3


def test_rendering_is_the_sum_of_shifted_action_potentials() -> None:
    rng = np.random.default_rng(8)
    waves = rng.standard_normal((3, 44, 16)).astype(np.float32)
    times, owners = rng.uniform(-0.02, 35.02, 200), rng.integers(0, 3, 200)
    expected = np.zeros((70000 + 200, 16))
    for time, owner in zip(times, owners, strict=True):
        at = int(np.round(time * 2000)) - 22 + 100
        expected[at : at + 44] += waves[owner]
    np.testing.assert_allclose(
        electrodes.render(times, owners, waves, 70000), expected[100:-100], atol=1e-4
    )


def test_near_units_are_larger_and_sharper_than_deep_ones() -> None:
    pool = motor_units.pool(np.random.default_rng(9))
    two = motor_units.Pool(
        *(
            np.array(x)
            for x in (
                [0, 0],
                [0.1, 0.1],
                [1.0, 1.0],
                [0.0, 0.0],
                [4.0, 16.0],
                [4000.0] * 2,
                [0.0, 0.0],
            )
        )
    )
    near, deep = electrodes.action_potentials(two, electrodes.Ring(0.0, 0.0, np.ones(16)))
    assert np.ptp(near[:, 0]) > 4 * np.ptp(deep[:, 0])
    assert np.ptp(near[:, 0]) / np.ptp(near[:, 4]) > np.ptp(deep[:, 0]) / np.ptp(deep[:, 4])
    assert np.abs(near[:, 0]).argmax() in range(15, 30) and pool.muscle.size == sum(
        m.units for m in muscles.MUSCLES
    )


def test_keys_of_one_finger_drive_muscles_differently() -> None:
    drives = [muscles.synergy(Stroke(c, c, KEYBOARD[c], 0, 0.1)) for c in "rfvtgb45"]
    for a, b in itertools.combinations(drives, 2):
        assert np.abs(a - b).max() > 0.03


def test_recordings_have_the_size_and_spectrum_of_surface_emg(session: Recording) -> None:
    emg = session.emg
    assert emg.shape == (80000, 2, 16) and emg.dtype == np.float32 and np.isfinite(emg).all()
    assert 0.6 < emg.std() < 2.0 and 5 < np.abs(emg).max() <= LIMIT
    assert (emg / STEP == np.round(emg / STEP)).all()
    frequency, power = welch(emg.reshape(-1, 32), 2000, nperseg=1024, axis=0)
    total = power.mean(1)
    assert total[frequency < 20].sum() < 0.02 * total.sum()
    assert 60 < frequency[np.searchsorted(np.cumsum(total), total.sum() / 2)] < 250


def test_typing_is_louder_than_resting(session: Recording) -> None:
    first = int(session.strokes[0].start * 2000)
    busy = session.emg[first : first + 6000].std()
    assert busy > 1.5 * session.emg[200 : first - 600].std()


def test_a_written_session_reads_back_bit_for_bit(session: Recording, tmp_path: Path) -> None:
    write(tmp_path / "a.hdf5", session, "a name", 1.7e9)
    with Session(tmp_path / "a.hdf5") as read:
        read.check()
        np.testing.assert_array_equal(read.emg(), session.emg)
        assert read.text() == "".join(s.character for s in session.strokes)
        assert read.name == "a name" and read.duration_mins == pytest.approx(40 / 60)
    assert [p.name for p in tmp_path.iterdir()] == ["a.hdf5"]


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, split in TYPING.splits.items():
        monkeypatch.setitem(
            TYPING.splits, name, dataclasses.replace(split, sessions=2, seconds=12.0)
        )


@pytest.mark.usefixtures("tiny")
def test_ensure_makes_only_what_is_missing_damaged_or_outdated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = recordings.ensure(tmp_path, "heldout", TYPING)
    content = [p.read_bytes() for p in paths]
    times = [p.stat().st_mtime_ns for p in paths]
    assert (
        recordings.ensure(tmp_path, "heldout", TYPING) == paths
        and [p.stat().st_mtime_ns for p in paths] == times
    )
    damaged = bytearray(content[1])
    damaged[len(damaged) // 2] ^= 1
    paths[1].write_bytes(damaged)
    with pytest.raises(RecordingError, match="SHA-256"):
        Session(paths[1])
    recordings.ensure(tmp_path, "heldout", TYPING)
    assert paths[0].stat().st_mtime_ns == times[0]
    with Session(paths[1]) as healed:
        healed.check()
    assert [p.read_bytes() for p in paths] == content
    assert len((paths[0].parent / SUMS).read_text().splitlines()) == 2
    monkeypatch.setattr(recordings, "SEED", 1)
    recordings.ensure(tmp_path, "heldout", TYPING)
    assert paths[0].read_bytes() != content[0]


@pytest.mark.usefixtures("tiny")
def test_sessions_of_all_splits_differ(tmp_path: Path) -> None:
    paths = [p for split in TYPING.splits for p in recordings.ensure(tmp_path, split, TYPING)]
    names, signals = set(), set()
    for path in paths:
        with Session(path) as session:
            names.add(session.name)
            signals.add(session.emg().tobytes())
    assert len(names) == len(signals) == len(paths) == 6


def test_the_held_out_plan_holds_enough_characters() -> None:
    plan = TYPING.splits["heldout"]
    typed = 0
    for number in range(plan.sessions):
        rng = np.random.default_rng(number)
        typed += len(Typist(rng, 1.08).session(Writer(rng).prompts("heldout"), plan.seconds)[0])
    assert typed >= 3600


def test_an_unknown_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="expected one of train"):
        recordings.ensure(tmp_path, "test", TYPING)
