"""What `clock` tells of time stamps alone: gaps, samples lost one by one, another rate or unit,
stamps that are none, and ordinary jitter."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress.data.clock import GAP_S, Clock, Harm, Timing

HZ, EPOCH = 2000, 1.6e9


def regular(samples: int, rate: float = HZ) -> np.ndarray:
    return EPOCH + np.arange(samples) / rate


def timing(stamps: np.ndarray, rate: float = HZ, block: int = 1 << 16) -> Timing:
    clock = Clock(rate)
    for start in range(0, len(stamps), block):
        clock.add(stamps[start : start + block])
    return clock.timing()


def kinds(found: Timing) -> list[str]:
    return [finding.kind for finding in found.findings]


def late(samples: int, packet: int, mean_s: float, seed: int) -> np.ndarray:
    """Stamps of packets that carry when they came: all samples one, and some of them late."""
    rng, packets = np.random.default_rng(seed), -(-samples // packet)
    came = EPOCH + (np.arange(packets) + 1) * packet / HZ + rng.exponential(mean_s, packets)
    return np.repeat(np.maximum.accumulate(came), packet)[:samples]


@settings(max_examples=40, deadline=None)
@given(
    packet=st.integers(1, 128),
    late_s=st.sampled_from([0.0, 0.001, 0.005]),
    seconds=st.integers(4, 60),
    seed=st.integers(0, 99),
)
def test_packets_that_carry_one_stamp_and_come_late_are_ordinary(
    packet: int, late_s: float, seconds: int, seed: int
) -> None:
    found = timing(late(seconds * HZ, packet, late_s, seed))
    assert kinds(found) == [] and found.bounds == ((0, seconds * HZ),)


JITTER = {
    "normal": lambda rng, packets: rng.normal(0, 0.003, packets),
    "exponential": lambda rng, packets: rng.exponential(0.005, packets),
    "uniform": lambda rng, packets: rng.uniform(0, 0.015, packets),
}


def jittered(packet: int, packets: int, jitter: str, seed: int) -> np.ndarray:
    """Stamps at 1000 Hz of packets that carry one each, in order."""
    came = EPOCH + (np.arange(packets) + 1) * packet / 1000
    came += JITTER[jitter](np.random.default_rng(seed), packets)
    return np.repeat(np.maximum.accumulate(came), packet)


@pytest.mark.parametrize("jitter", JITTER)
@pytest.mark.parametrize("packet", [20, 60, 100, 130, 200])
@pytest.mark.parametrize("seconds", [2, 3, 5, 10, 30])
def test_packets_of_any_length_that_jitter_are_ordinary_in_short_recordings_too(
    jitter: str, packet: int, seconds: int
) -> None:
    for seed in range(8):
        stamps = jittered(packet, seconds * 1000 // packet, jitter, seed)
        assert kinds(timing(stamps, 1000)) == []


@pytest.mark.parametrize("jitter", JITTER)
@pytest.mark.parametrize(("packet", "lost_s"), [(100, 0.1), (200, 0.2), (60, 0.5), (200, 0.5)])
@pytest.mark.parametrize("seconds", [3, 5, 10, 30])
def test_a_packet_that_is_lost_among_such_is_a_gap(
    jitter: str, packet: int, lost_s: float, seconds: int
) -> None:
    for seed in range(4):
        packets = seconds * 1000 // packet
        stamps, place = jittered(packet, packets, jitter, seed), (packets // 3 + seed) * packet
        stamps[place:] += lost_s
        found = timing(stamps, 1000)
        assert kinds(found) == ["gap"] and found.bounds[0] == (0, place)


@pytest.mark.parametrize("value", [1e308, -1e308, np.finfo(np.float64).max, 5e-324, 0.0])
def test_stamps_of_one_value_stand_still_however_large_it_is(value: float) -> None:
    with np.errstate(all="raise"):
        assert kinds(timing(np.full(3 * HZ, value))) == ["still"]


@settings(max_examples=100, deadline=None)
@given(
    values=st.lists(st.floats(width=64), min_size=1, max_size=40),
    times=st.integers(1, 200),
    in_order=st.booleans(),
    rate=st.sampled_from([1e-3, 1.0, HZ, 1e12]),
)
def test_no_stamps_at_all_make_a_warning_of_numpy(
    values: list[float], times: int, in_order: bool, rate: float
) -> None:
    stamps = np.repeat(np.sort(values) if in_order else np.array(values), times)
    with np.errstate(all="raise"):
        timing(stamps, rate)


@settings(max_examples=20, deadline=None)
@given(seconds=st.integers(1, 20), spread_s=st.sampled_from([1e-5, 2e-4, 2e-3]))
def test_small_jitter_is_ordinary_even_where_a_stamp_is_before_the_last(
    seconds: int, spread_s: float
) -> None:
    jitter = np.random.default_rng(seconds).normal(0, spread_s, seconds * HZ)
    assert kinds(timing(regular(seconds * HZ) + jitter)) == []


@settings(max_examples=40, deadline=None)
@given(
    at=st.integers(1, 11_999),
    gap_s=st.floats(GAP_S + 1e-3, 1e5),
    unit=st.sampled_from([1.0, 1e3, 1e6, 1e9]),
    block=st.sampled_from([700, 4096, 1 << 16]),
)
def test_a_gap_is_found_at_its_place_with_its_size_in_any_unit_and_block_by_block(
    at: int, gap_s: float, unit: float, block: int
) -> None:
    stamps = regular(12_000)
    stamps[at:] += gap_s
    found = timing(stamps * unit, block=block)
    assert found.bounds == ((0, at), (at, 12_000))
    said_of = next(f for f in found.findings if f.kind == "gap")
    assert said_of.sample == at and said_of.harm is Harm.NONE
    size = float(said_of.words.split()[3])
    assert size == pytest.approx(gap_s, rel=1e-5, abs=2e-3)
    assert f"sample {at}" in said_of.words


@settings(max_examples=30, deadline=None)
@given(
    packet=st.integers(1, 100),
    at=st.integers(20, 100),
    gap_s=st.floats(0.1, 60.0),
    seed=st.integers(0, 9),
)
def test_a_gap_between_packets_is_found_however_these_jitter(
    packet: int, at: int, gap_s: float, seed: int
) -> None:
    stamps, place = late(60_000, packet, 0.002, seed), at * packet
    stamps[place:] += gap_s
    assert timing(stamps).bounds == ((0, place), (place, 60_000))


def test_gaps_again_and_again_are_gaps_and_not_another_rate() -> None:
    there = (np.arange(60_000) % 1000) >= 200  # 0.1 s of every half lost
    found = timing(regular(60_000)[there])
    assert kinds(found) == ["gap"] and len(found.bounds) == 60
    assert found.rate == pytest.approx(HZ, rel=1e-3)
    assert "59 gaps" in found.findings[0].words and "and 54 more" in found.findings[0].words


@pytest.mark.parametrize(
    ("unit", "name"),
    [(1e3, "milliseconds"), (1e6, "microseconds"), (1e9, "nanoseconds"), (HZ, "sample numbers")],
)
@pytest.mark.parametrize("rate", [HZ * 0.99, HZ, HZ * 1.01])
def test_another_unit_is_named_also_by_a_clock_that_is_off(
    unit: float, name: str, rate: float
) -> None:
    found = timing(np.arange(20_000) / rate * unit)
    finding = found.findings[0]
    assert finding.kind == "unit" and name in finding.words and finding.harm is Harm.LABELS
    assert found.rate == pytest.approx(rate, rel=1e-3)


@pytest.mark.parametrize("rate", [200, 500, 1000, 1925.926, 2048, 2148, 4000, 10_240])
def test_another_sampling_rate_is_told_from_the_stamps(rate: float) -> None:
    found = timing(regular(40_000, rate))
    assert kinds(found) == ["rate"] and found.findings[0].harm is Harm.SIGNAL
    assert found.rate == pytest.approx(rate, rel=1e-3)


@pytest.mark.parametrize("off", [-0.01, 0.01, 0.005])
def test_a_clock_that_is_a_little_off_is_said_with_its_size(off: float) -> None:
    found = timing(regular(40_000, HZ * (1 + off)))
    assert kinds(found) == ["clock"] and f"{100 * off:+.2f} %" in found.findings[0].words
    assert found.findings[0].harm is Harm.NONE


def test_stamps_that_stand_still_are_told_from_a_gap() -> None:
    stuck, whole = regular(60_000), np.full(60_000, EPOCH)
    stuck[20_000:26_000] = stuck[20_000]
    assert kinds(timing(stuck)) == ["halt"] and kinds(timing(whole)) == ["still"]
    assert all(f.harm is Harm.LABELS for t in (stuck, whole) for f in timing(t).findings)


def without(samples: np.ndarray, begin_s: float, end_s: float, every: int, rate: int) -> np.ndarray:
    """Stamps of which one of so many is missing for some seconds."""
    there = np.ones(len(samples), bool)
    there[round(begin_s * rate) : round(end_s * rate) : every] = False
    return samples[there]


@pytest.mark.parametrize("rate", [100, 200, HZ])
@pytest.mark.parametrize("every", [2, 3, 10])
@pytest.mark.parametrize("begin_s", [0, 13, 26])
@pytest.mark.parametrize("clock", [0.995, 1.0])
def test_samples_lost_one_by_one_for_seconds_are_said_with_place_and_size_wherever(
    rate: int, every: int, begin_s: int, clock: float
) -> None:
    stamps = without(regular(30 * rate, rate * clock), begin_s, begin_s + 4, every, rate)
    (finding,) = (f for f in timing(stamps, rate).findings if f.kind == "lost")
    assert finding.harm is Harm.SIGNAL
    assert finding.sample / rate == pytest.approx(begin_s, abs=0.15)
    (size,) = re.findall(r"([\d.]+) s of samples are missing", finding.words)
    assert float(size) == pytest.approx(4 / every, rel=0.12)


@settings(max_examples=30, deadline=None)
@given(
    every=st.sampled_from([2, 3, 5]),
    begin_s=st.floats(0, 28),
    packet=st.integers(1, 40),
    seed=st.integers(0, 9),
)
def test_they_are_found_among_packets_that_come_late(
    every: int, begin_s: float, packet: int, seed: int
) -> None:
    stamps, rng = without(regular(30 * HZ), begin_s, begin_s + 2, every, HZ), np.random
    last = stamps[np.minimum(np.arange(len(stamps)) // packet * packet + packet, len(stamps)) - 1]
    late_s = rng.default_rng(seed).exponential(0.001, len(stamps))
    late_s = np.repeat(late_s[::packet], packet)[: len(stamps)]
    found = timing(np.maximum.accumulate(last + late_s))
    lost = [f for f in found.findings if f.kind in ("lost", "gap")]
    assert lost and min(abs(f.sample / HZ - begin_s) for f in lost) < 0.3


@pytest.mark.parametrize(
    ("rate", "kept", "lost"), [(200, 50, 100), (HZ, 55, 46), (HZ, 100, 46), (HZ, 1, 60)]
)
def test_gaps_at_regular_times_are_gaps_whatever_share_is_lost(
    rate: int, kept: int, lost: int
) -> None:
    number = np.arange(8000)
    found = timing(EPOCH + (number + number // kept * lost) / rate, rate)
    if kept == 1:  # no two are neighbours
        assert kinds(found) == ["rate"] and found.rate == pytest.approx(rate / (lost + 1), rel=1e-3)
        return
    assert kinds(found) == ["gap"] and found.rate == pytest.approx(rate, rel=1e-3)
    assert [start for start, _ in found.bounds] == list(range(0, 8000, kept))
    assert f"{lost / rate:.3f} s before sample {kept} " in found.findings[0].words


def test_one_of_ten_lost_all_through_is_not_another_rate_of_the_clock() -> None:
    (finding,) = timing(without(regular(30 * HZ), 0, 30, 10, HZ)).findings
    assert finding.kind == "lost" and "say 1800 samples per second" in finding.words


@pytest.mark.parametrize(("share", "kind"), [(0.9, "lost"), (0.97, "lost"), (1.05, "twice")])
def test_a_rate_that_changes_half_way_is_said_with_its_place(share: float, kind: str) -> None:
    stamps = regular(30 * HZ)
    stamps[15 * HZ :] = stamps[15 * HZ] + np.arange(15 * HZ) / HZ / share
    (finding,) = timing(stamps).findings
    assert finding.kind == kind and finding.harm is Harm.SIGNAL
    assert abs(finding.sample - 15 * HZ) <= 200 and f"say {HZ * share:.4g} samples" in finding.words


def test_samples_that_come_twice_are_said_with_their_place() -> None:
    stamps = regular(30 * HZ)
    stamps = np.concatenate([stamps[:9000], np.repeat(stamps[9000:12000], 2), stamps[12000:]])
    (finding,) = timing(stamps).findings
    assert finding.kind == "twice" and abs(finding.sample - 9000) <= 200
    assert "1.500 s of samples are too many" in finding.words


@pytest.mark.parametrize("change", [-1.0, -EPOCH])
def test_a_stamp_before_an_earlier_one_is_refused(change: float) -> None:
    stamps = regular(9000)
    stamps[5000:] += change
    finding = timing(stamps).findings[0]
    assert (finding.kind, finding.sample, finding.harm) == ("backwards", 5000, Harm.FILE)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e308, -1e308, 0.0, EPOCH + 1e7])
@pytest.mark.parametrize("at", [0, 1, 5000, 65_535, 65_536, 69_999])
def test_a_stamp_that_is_no_time_is_named_with_its_place_and_value(value: float, at: int) -> None:
    stamps = regular(70_000)
    stamps[at] = value
    finding = timing(stamps).findings[0]
    of_the_end = ("far", "backwards")  # nothing behind it tells more
    expected = ("stray", *of_the_end) if at == 69_999 else ("stray",)
    assert finding.kind in (expected if np.isfinite(value) else ("number",))
    assert (finding.sample, finding.harm) == (at, Harm.FILE)
    assert f"found {value!r} at sample {at} " in finding.words


@pytest.mark.parametrize("block", [700, 1 << 16])
@pytest.mark.parametrize(
    ("dtype", "per_s", "bits"),
    [(np.int32, 1e3, 32), (np.uint32, 1e6, 32), (np.uint16, HZ, 16), (np.uint8, HZ, 8)],
)
def test_a_counter_that_begins_again_is_named(
    dtype: type, per_s: float, bits: int, block: int
) -> None:
    limit = int(np.iinfo(dtype).max)
    ticks = (np.arange(9000) * per_s / HZ).astype(np.int64)
    start = limit - int(ticks[100])
    stamps = (start + ticks).astype(np.uint64).astype(dtype)
    finding = timing(stamps, block=block).findings[0]
    assert finding.kind == "wrap" and f"a counter of {bits} bits" in finding.words
    assert 100 <= finding.sample <= 102


@pytest.mark.parametrize("dtype", [np.uint64, np.int64])
@pytest.mark.parametrize(("per_s", "unit"), [(1e6, "microseconds"), (1e9, "nanoseconds")])
def test_integers_of_another_unit_are_named_by_it_gaps_and_all(
    dtype: type, per_s: float, unit: str
) -> None:
    number = np.arange(9000)
    stamps = (int(EPOCH) * int(per_s)) + (number + number // 60 * 60) * int(per_s / HZ)
    found = timing(stamps.astype(dtype))
    assert kinds(found) == ["gap", "unit"] and unit in found.findings[1].words
    assert len(found.bounds) == 150 and found.rate == pytest.approx(HZ, rel=1e-3)


def test_one_stamp_twice_or_a_step_back_by_a_sample_is_ordinary() -> None:
    twice, back = regular(9000), regular(9000)
    twice[5000], back[5000:] = twice[4999], back[5000:] - 1 / HZ
    assert kinds(timing(twice)) == kinds(timing(back)) == []


def test_what_comes_late_for_a_second_and_catches_up_is_ordinary() -> None:
    for begin in (0, 9 * HZ):
        stamps = regular(30 * HZ)
        stamps[begin : begin + HZ // 2] = stamps[begin + HZ // 2]
        assert kinds(timing(stamps)) == []


def test_what_is_kept_of_stamps_does_not_grow_with_their_jitter() -> None:
    clock, rng = Clock(HZ), np.random.default_rng(0)
    for start in range(0, 600_000, 60_000):
        clock.add(EPOCH + np.arange(start, start + 60_000) / HZ + rng.normal(0, 1e-3, 60_000))
    assert sum(kept.size for kept in clock._cells) < 600_000 / 20


@pytest.mark.parametrize("rate", [1e-3, 0.5, 1, 3, 1e6, 1e12])
@pytest.mark.parametrize("samples", [1, 2, 50, 5000])
def test_stamps_of_any_rate_and_any_number_are_judged(rate: float, samples: int) -> None:
    assert kinds(timing(np.arange(samples) / rate, rate)) == []
