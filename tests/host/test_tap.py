"""What operators put out, seen from the host: exact, whatever the line does to the frames, and
absent from an ordinary image."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host import protocol as p
from host import tap
from host.boards import ProcessBoard, open_board, open_process
from host.errors import NoTapError, ProtocolError
from host.link import Link
from tests import toy

SCHEDULE = st.lists(
    st.tuples(st.sampled_from((*toy.FAULTS, *[toy.GOOD] * 12)), st.integers(0, 10_000)), max_size=80
)
SAMPLES, OUTPUTS = 0, 1  # operators of the toy model


@pytest.fixture(scope="module")
def board() -> Iterator[ProcessBoard]:
    with open_process(
        toy.posix_image(f"{toy.SANITIZE} -DMODEL_TAP"), toy.MODEL_HASH, toy.QUICK
    ) as board:
        board.link.handshake()
        yield board


def expected_crcs(content: np.ndarray) -> list[list[int]]:
    steps = content.reshape(-1, toy.PER_STEP, toy.INPUTS)
    return [
        [zlib.crc32(x.tobytes()), zlib.crc32(y.tobytes())]
        for x, y in zip(steps, toy.run(content), strict=True)
    ]


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(SCHEDULE, SCHEDULE)
def test_a_harmful_line_changes_nothing_that_the_tap_says(
    board: ProcessBoard, outward: list[tuple[str, int]], inward: list[tuple[str, int]]
) -> None:
    """A lost or doubled question or answer costs a repetition: CRCs of all operators, and a tensor
    larger than what is kept."""
    content = toy.samples(3, seed=6)
    link = Link(
        toy.HarmfulLine(board.line, toy.Tamper(outward), toy.Tamper(inward)),
        toy.MODEL_HASH,
        toy.QUICK,
    )
    link.handshake()
    steps = list(tap.walk(link, content))
    assert [step.crcs.tolist() for step in steps] == expected_crcs(content)
    np.testing.assert_array_equal([step.outputs for step in steps], toy.run(content))
    whole = tap.tensor(link, content, SAMPLES)
    np.testing.assert_array_equal(whole, content[-toy.PER_STEP :].reshape(-1))
    assert len(whole) > tap.watch(link, p.WATCH_TICKS).kept, (
        "the tensor took more than one repetition of its step"
    )


def test_every_step_has_its_own_tensor(board: ProcessBoard) -> None:
    content = toy.samples(4, seed=7)
    for steps in (1, 3, 4):
        found = tap.tensor(board.link, content[: steps * toy.PER_STEP], OUTPUTS)
        np.testing.assert_array_equal(found, toy.run(content)[steps - 1])


def test_what_is_watched_holds_for_the_session_and_ends_with_it(board: ProcessBoard) -> None:
    content, link = toy.samples(2), board.link
    link.reset()
    tap.watch(link, p.WATCH_CRCS)
    link.stream(content[: toy.PER_STEP])
    tap.watch(link, p.WATCH_TICKS)  # too late: as a repetition that was delayed on the line
    link.stream(content[toy.PER_STEP :])
    records = p.TapRecords.parse(link.request(p.TAP_STEP, bytes(4)).payload)
    assert (records.steps, records.crcs.tolist()) == (2, expected_crcs(content)[1])
    link.reset()
    link.stream(content[: toy.PER_STEP])
    assert not p.TapRecords.parse(link.request(p.TAP_STEP, bytes(4)).payload).crcs.any()


def test_a_question_out_of_place_is_refused(board: ProcessBoard) -> None:
    link = board.link
    link.reset()
    for kind, payload, message in (
        (p.TAP_STEP, bytes(4), "not possible now"),  # no step yet
        (p.TAP_WATCH, bytes(11), "length"),
        (
            p.TAP_WATCH,
            np.array([p.WATCH_CRCS, 2, 0], "<u4").tobytes(),
            "length",
        ),  # there are two operators
    ):
        with pytest.raises(ProtocolError, match=message):
            link.request(kind, payload)
    link.stream(toy.samples(1))
    for kind, payload in (
        (p.TAP_STEP, b"\2\0\0\0"),
        (p.TAP_STEP, b""),
        (p.TAP_VALUES, bytes(4)),
    ):  # nothing was to be kept
        with pytest.raises(ProtocolError, match="length"):
            link.request(kind, payload)


def test_an_ordinary_image_says_that_it_has_no_tap() -> None:
    with open_process(toy.posix_image(), toy.MODEL_HASH, toy.QUICK) as board:
        board.link.handshake()
        with pytest.raises(
            NoTapError, match=r"built without -DMODEL_TAP.*make flash BOARD=posix TAP=1"
        ):
            next(tap.walk(board.link, toy.samples(1)))


def test_ticks_of_the_operators_add_up_to_the_step() -> None:
    """On the emulated STM32F405, where a step is executed instructions. Its result counts the tap
    too, the operators do not."""
    toy.need_emulator()
    content = toy.samples(3)
    with open_board(
        "virtual-f405", toy.image("virtual-f405", "-DMODEL_TAP"), toy.MODEL_HASH
    ) as board:
        hello, link = board.link.handshake(), board.link
        ticks = hello.in_counts(
            np.array([step.ticks for step in tap.walk(link, content, p.WATCH_TICKS)])
        )
        link.reset()
        whole = link.stream(
            content
        ).cycles  # nothing but ticks is watched: reading the counter twice per operator
        checked = hello.in_counts(np.array([step.ticks for step in tap.walk(link, content)]))
        crcs = [step.crcs.tolist() for step in tap.walk(link, content)]
    assert crcs == expected_crcs(content)
    assert ticks.shape == (3, 2) and (ticks[:, SAMPLES] < 200).all()
    np.testing.assert_allclose(ticks.sum(1), whole, rtol=0.01)
    np.testing.assert_allclose(
        ticks.sum(1), checked.sum(1), rtol=0.01
    )  # the CRC of 3,072 values would be half as much again
