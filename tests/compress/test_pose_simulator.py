"""The simulated hand: anatomy, movement, muscles ahead of it, an arm like the typist's, and
sessions the reader accepts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import welch

from compress.data import listing, metadata, recordings
from compress.data.recording_file import SUMS
from compress.data.simulator import gestures, hand, hand_muscles, session
from compress.data.simulator.arm import LIMIT, STEP
from compress.data.simulator.gestures import STAGES
from compress.data.simulator.muscles import ECU, EXTENSOR, FLEXOR, GRID, MUSCLES
from compress.data.simulator.pose import PoseRecording, simulate, stage_of, write
from compress.data.simulator.typist import INDEX, LITTLE, MIDDLE
from compress.errors import RecordingError
from compress.tasks.pose.session import JOINTS, PoseSession
from compress.tasks.pose.simulated import COLLECTION as POSE
from compress.tasks.typing.simulated import COLLECTION as TYPING

FLEXION = [i for i, name in enumerate(JOINTS) if name.endswith("FE")]


@pytest.fixture(scope="module")
def recording() -> PoseRecording:
    return simulate("train", 0, 20.0, seed=7)


def moved(stage: str, seconds: float = 60.0, seed: int = 3) -> np.ndarray:
    return gestures.motion(stage, seconds, np.random.default_rng(seed))


def posture(**changes: float) -> hand.Posture:
    flexion = np.full(5, hand.REST)
    for finger, value in changes.items():
        if finger.startswith("finger"):
            flexion[int(finger[-1])] = value
    return hand.Posture(
        flexion, np.zeros(5), changes.get("spread", 0.0), changes.get("opposition", 0.0)
    )


def test_the_same_seed_gives_the_same_samples(recording: PoseRecording) -> None:
    again = simulate("train", 0, 20.0, seed=7)
    np.testing.assert_array_equal(again.emg, recording.emg)
    np.testing.assert_array_equal(again.joint_angles, recording.joint_angles)


@pytest.mark.parametrize(
    "other",
    [("train", 6, 7), ("heldout", 0, 7), ("calibration", 0, 7), ("long", 0, 7), ("train", 0, 8)],
)
def test_another_session_split_or_seed_gives_another_movement(
    recording: PoseRecording, other: tuple[str, int, int]
) -> None:
    different = simulate(other[0], other[1], 20.0, seed=other[2])
    assert different.stage == recording.stage
    assert abs(np.corrcoef(different.emg[:, 0], recording.emg[:, 0])[0, 1]) < 0.1
    assert np.abs(different.joint_angles - recording.joint_angles).mean() > np.radians(5)


@settings(max_examples=200, deadline=None)
@given(
    flexion=st.lists(st.floats(-1, 2), min_size=5, max_size=5),
    shape=st.lists(st.floats(-2, 2), min_size=5, max_size=5),
    spread=st.floats(-3, 3),
    opposition=st.floats(-2, 3),
)
def test_no_posture_leaves_the_joints_ranges(
    flexion: list[float], shape: list[float], spread: float, opposition: float
) -> None:
    angles = hand.angles(hand.Posture(np.array(flexion), np.array(shape), spread, opposition))
    assert (angles >= hand.LOW - 1e-9).all() and (angles <= hand.HIGH + 1e-9).all()


def test_the_last_joint_follows_at_two_thirds() -> None:
    angles = moved("FreeMovement")
    for finger in range(1, 5):
        np.testing.assert_allclose(
            angles[4 * finger + 3], 2 / 3 * angles[4 * finger + 2], atol=1e-9
        )


def test_a_finger_drags_its_neighbours_along_and_ring_and_little_finger_most() -> None:
    rest = hand.coordinates(hand.angles(posture()))[0]
    moves = np.stack(
        [hand.coordinates(hand.angles(posture(**{f"finger{f}": 0.9})))[0] - rest for f in range(5)]
    )
    share = moves / moves.diagonal()[:, None]  # (finger meant, finger moved)
    assert (moves.diagonal() > 0.3).all() and (share >= 0).all()
    assert share[4, 3] > share[1, 2] > share[1, 3] > share[1, 4] and 0.2 < share[4, 3] < 0.6
    assert (share[0, 1:] < 0.1).all()


@pytest.mark.parametrize("stage", STAGES)
def test_movement_is_smooth_within_range_and_as_fast_as_fingers_are(stage: str) -> None:
    angles = moved(stage)
    assert angles.shape == (20, 60 * GRID)
    assert (angles >= hand.LOW[:, None] - 1e-9).all() and (
        angles <= hand.HIGH[:, None] + 1e-9
    ).all()
    speed = np.abs(np.degrees(np.gradient(angles, 1 / GRID, axis=1)))
    assert 100 < speed.max() < 1300  # °/s
    assert 0.2 < np.mean(speed.max(axis=0) < 5) < 0.9  # it holds, and it moves
    frequency, power = welch(angles - angles.mean(axis=1, keepdims=True), GRID, nperseg=1024)
    assert power[:, frequency > 6].sum() < 1e-4 * power.sum()


def test_stages_ask_for_what_their_names_say() -> None:
    fist, single, spread = (moved(s) for s in ("FistOpen", "IndividualFingers", "FingerAbduction"))
    closed = hand.coordinates(fist)[0][1:]
    assert (
        closed.max(axis=1).min() > 0.8
        and closed.min(axis=1).max() < 0.2
        and np.corrcoef(closed)[0, 3] > 0.95
    )
    assert np.abs(np.corrcoef(hand.coordinates(single)[0][1:])[0, 3]) < 0.6
    apart = np.degrees(spread[4] - spread[16])
    assert np.ptp(apart) > 2 * np.ptp(np.degrees(spread[5])) > 0
    thumb = np.degrees(moved("FingerPinches")[1])
    assert np.ptp(thumb) > 20


def test_muscles_pull_before_the_finger_moves_and_hold_what_is_away_from_rest() -> None:
    """One finger bends at 2 s: its flexor leads, its neighbour's is a fifth of it, its extensor
    rests."""
    start, end = (hand.angles(posture(finger2=f)) for f in (hand.REST, 0.9))
    time = np.arange(4 * GRID) / GRID
    part = np.clip((time - 2) / 0.4, 0, 1)
    motion = start[:, None] + (end - start)[:, None] * (part**3 * (10 - 15 * part + 6 * part**2))
    delay = np.full(len(MUSCLES), 0.06)
    excited = hand_muscles.excitation(motion, delay, np.random.default_rng(0))
    before, hold = (
        excited[:, GRID : int(1.8 * GRID)].mean(axis=1),
        excited[:, 3 * GRID :].mean(axis=1),
    )
    flexor = excited[FLEXOR + MIDDLE]
    assert hold[FLEXOR + MIDDLE] > 2 * before[FLEXOR + MIDDLE]
    assert (
        hold[FLEXOR + MIDDLE] > 1.5 * hold[FLEXOR + LITTLE]
        and hold[EXTENSOR + MIDDLE] < 1.4 * before[EXTENSOR + MIDDLE]
    )
    assert (
        flexor[int(2.0 * GRID)] > 1.05 * flexor[int(1.92 * GRID)]
    )  # the joint has not moved yet at 2 s
    assert flexor.max() < 0.5 and excited.min() > 0


def test_stretching_and_spreading_belong_to_other_muscles_than_bending() -> None:
    rest, bent, straight, spread = (
        hand_muscles.synergy(np.repeat(hand.angles(p)[:, None], 9, axis=1))[:, 4]
        for p in (posture(), posture(finger1=0.9), posture(finger1=-0.1), posture(spread=1.0))
    )
    assert (bent - rest)[FLEXOR + INDEX] > 0.05 > (bent - rest)[EXTENSOR + INDEX]
    assert (straight - rest)[EXTENSOR + INDEX] > 0.05 > (straight - rest)[FLEXOR + INDEX]
    assert (spread - rest)[[EXTENSOR + LITTLE, ECU]].min() > 0.03


def test_the_delay_of_each_muscle_is_within_that_of_people() -> None:
    late = hand_muscles.delays(np.random.default_rng(1))
    assert late.shape == (len(MUSCLES),) and 0.05 <= late.min() < late.max() <= 0.08


def test_recordings_have_the_size_and_spectrum_of_the_typing_set(recording: PoseRecording) -> None:
    emg = recording.emg
    assert emg.shape == (40000, 16) and emg.dtype == np.float32 and np.isfinite(emg).all()
    assert (emg / STEP == np.round(emg / STEP)).all() and 5 < np.abs(emg).max() <= LIMIT
    typing = session.simulate("train", 0, 20.0, seed=7).emg[:, 0]
    assert 0.5 < emg.std() / typing.std() < 2.0
    frequency, power = welch(emg, 2000, nperseg=1024, axis=0)
    total = power.mean(axis=1)
    assert total[frequency < 20].sum() < 0.02 * total.sum()
    assert 60 < frequency[np.searchsorted(np.cumsum(total), total.sum() / 2)] < 250


def test_the_signal_is_louder_where_muscles_work() -> None:
    made = simulate("heldout", 1, 20.0, seed=7)  # fists
    flexion = hand.coordinates(made.joint_angles.T.astype(float))[0][1:].mean(axis=0)
    known = (made.joint_angles != 0).any(axis=1)
    closed, relaxed = known & (flexion > 0.9), known & (np.abs(flexion - hand.REST) < 0.1)
    assert made.emg[closed].std() > 1.3 * made.emg[relaxed].std()


def test_some_sessions_lose_track_of_the_hand_for_seconds() -> None:
    lost = [
        (simulate("train", number, 12.0).joint_angles == 0).all(axis=1).mean() * 12.0
        for number in range(6)
    ]
    assert [seconds > 0 for seconds in lost] == [number % 4 == 1 for number in range(6)]
    assert 0.2 < lost[1] < 6.0


def test_the_angles_can_be_read_from_the_signal() -> None:
    """Least squares on envelopes: from 30 s of one hand's fists, the next 10 s far better than
    their mean pose."""
    made = simulate("train", 7, 40.0, seed=7)
    power = np.abs(made.emg).reshape(-1, 40, 16).mean(axis=1)  # 50 frames/s
    smooth = np.log(
        np.stack([np.convolve(p, np.ones(8) / 8)[: len(power)] for p in power.T], axis=1)
    )
    x = np.hstack(
        [*(np.roll(smooth, lag, axis=0) for lag in (0, 3, 6)), np.ones((len(smooth), 1))]
    )[10:]
    y = np.degrees(made.joint_angles[39::40])[10:]
    weights = np.linalg.lstsq(x[:1490], y[:1490])[0]
    error, mean = (
        np.abs(x[1490:] @ weights - y[1490:]).mean(),
        np.abs(y[:1490].mean(axis=0) - y[1490:]).mean(),
    )
    assert error < 0.6 * mean


def test_a_written_session_reads_back_bit_for_bit(tmp_path: Path) -> None:
    made = simulate("train", 1, 8.0, seed=7)
    write(tmp_path / "a.hdf5", made, "a name", 1.7e9)
    with PoseSession(tmp_path / "a.hdf5") as read:
        read.check()
        np.testing.assert_array_equal(read.emg(), made.emg)
        np.testing.assert_array_equal(read.joint_angles(), made.joint_angles)
        np.testing.assert_array_equal(read.no_ik_failure(), (made.joint_angles != 0).any(axis=1))
        assert (
            read.simulated
            and read.stage == stage_of(1) == "FistOpen"
            and read.session_name == "a name"
        )
        assert read.attributes["end"] - read.attributes["start"] == 8.0
    assert [p.name for p in tmp_path.iterdir()] == ["a.hdf5"]


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in POSE.splits:
        monkeypatch.setitem(POSE.splits, name, recordings.Split(2, 4.0))


@pytest.mark.usefixtures("tiny")
def test_ensure_makes_only_what_is_missing_damaged_or_outdated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = recordings.ensure(tmp_path, "heldout", POSE)
    content, times = [p.read_bytes() for p in paths], [p.stat().st_mtime_ns for p in paths]
    assert recordings.ensure(tmp_path, "heldout", POSE) == paths
    assert [p.stat().st_mtime_ns for p in paths] == times
    damaged = bytearray(content[1])
    damaged[len(damaged) // 2] ^= 1
    paths[1].write_bytes(damaged)
    recordings.ensure(tmp_path, "heldout", POSE)
    assert paths[0].stat().st_mtime_ns == times[0] and [p.read_bytes() for p in paths] == content
    assert len((paths[0].parent / SUMS).read_text().splitlines()) == 2
    monkeypatch.setattr(recordings, "SEED", 1)
    recordings.ensure(tmp_path, "heldout", POSE)
    assert paths[0].read_bytes() != content[0]


@pytest.mark.usefixtures("tiny")
def test_sessions_of_all_splits_differ_and_the_table_lists_them(tmp_path: Path) -> None:
    made = {split: recordings.ensure(tmp_path, split, POSE) for split in POSE.splits}
    signals, users = set(), set()
    for path in (p for paths in made.values() for p in paths):
        with PoseSession(path) as session:
            signals.add(session.emg().tobytes())
            users.add(session.user)
    assert len(signals) == 8 and len(users) == 1 and users.pop().startswith("simulated")
    found = listing.splits_of(tmp_path / metadata.NAME, POSE)
    assert found == {"train": made["train"], "val": made["calibration"], "test": made["heldout"]}
    (tmp_path / metadata.NAME).unlink()
    recordings.ensure(tmp_path, "train", POSE)
    assert listing.splits_of(tmp_path / metadata.NAME, POSE) == found


def test_the_plan_shows_every_stage_to_training_and_holds_a_long_session() -> None:
    plan = POSE.splits
    assert {stage_of(n) for n in range(plan["train"].sessions)} == set(STAGES)
    assert plan["heldout"].sessions >= 5 and plan["long"].seconds >= 600


def test_a_split_of_the_other_collection_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        RecordingError, match="expected one of train, calibration, heldout, found 'long'"
    ):
        recordings.ensure(tmp_path, "long", TYPING)
