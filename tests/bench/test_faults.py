"""The campaign of faults, in small: what it counts is what happened, and nothing wrong is
accepted."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from bench.faults import campaign, command, flips
from bench.faults.campaign import Subject
from host.boards import ProcessBoard, open_board, open_process
from tests import toy

STEPS = 6


@pytest.fixture(scope="module")
def subject() -> Subject:
    image = toy.posix_image("-O2")
    samples = [toy.samples(STEPS, seed=seed) for seed in range(4)]

    def start() -> ProcessBoard:
        return open_process(image, toy.MODEL_HASH, campaign.QUICK)

    return Subject(start, [(x, toy.run(x)) for x in samples], toy.MODEL_HASH)


def test_damaged_frames_give_no_wrong_result(subject: Subject) -> None:
    found = campaign.frames(subject, 400)
    assert found["damaged"] >= 400 and found["wrong"] == 0
    assert found["ended"] == {"whole": found["streams"]}
    assert found["accepted"] == STEPS * found["streams"]


def test_frames_that_outlive_a_reset_give_no_wrong_result(subject: Subject) -> None:
    found = campaign.resets(subject, 6)
    assert found["resets"] == {"unseen": 3, "unplugged": 3} and found["wrong"] == 0
    assert found["faults"]["of before a reset"] > 0
    assert found["ended"] == {"whole": found["streams"]} and found["resumed"] >= 6


def test_what_is_wrong_is_counted(subject: Subject) -> None:
    x, words = subject.streams[0]
    other = words.copy()
    other[3, 5] += 1
    found = campaign.frames(dataclasses.replace(subject, streams=[(x, other)]), 1)
    assert (found["wrong"], found["accepted"]) == (found["streams"], STEPS * found["streams"])


def test_a_flipped_bit_of_an_image_gives_no_wrong_result(subject: Subject) -> None:
    toy.need_emulator()
    image = toy.f405_image()

    def open_at(copy: Path) -> ProcessBoard:
        board = open_board("virtual-f405", copy, toy.MODEL_HASH)
        assert isinstance(board, ProcessBoard)
        return board

    found = flips.flips(image, open_at, subject, 6)
    assert found["flips"] == 6 == sum(found["outcomes"].values()) and found["wrong"] == 0
    assert found["outcomes"].get(flips.REFUSED, 0) >= 4


def test_half_of_the_bits_are_in_code(subject: Subject) -> None:
    drawn = flips.bits(toy.f405_image(), 40)
    code = [name for name, _, _ in drawn[::2]]
    assert len(drawn) == len(set(drawn)) == 40 and ".text" in code
    assert not set(code) & {name for name, _, _ in drawn[1::2]}


def test_the_figures_are_said() -> None:
    part = {
        **{"faults": {"lost": 3}, "streams": 2, "ended": {"whole": 2}, "resumed": 1},
        **{"accepted": 24, "wrong": 0, "said": {"the board was reset": 1}},
    }
    said = command.text(
        {
            **{"model": "m", "precision": "w8a16", "seconds": 2.0, "wrong": 0},
            "frames": part | {"damaged": 1000},
            "resets": part | {"resets": {"unseen": 2}},
            "flips": {"flips": 40, "board": "virtual-f405", "outcomes": {"refused": 40}},
        }
    )
    assert "damaged frames         1,000 (3 lost)" in said
    assert "40 in the image for virtual-f405: 40 refused" in said
    assert said.endswith("wrong results accepted 0")


def test_a_subject_has_streams_that_differ() -> None:
    """A frame of one stream in the place of another's would show."""
    a, b = toy.run(toy.samples(3, seed=0)), toy.run(toy.samples(3, seed=1))
    assert not any(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
