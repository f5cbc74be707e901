"""Forward kinematics moves the landmarks as a hand of rigid bones does, and a file that is no such
hand is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from compress.errors import TendonError
from compress.tasks.pose import kinematics
from compress.tasks.pose.kinematics import (
    FINGERS,
    JOINTS,
    LANDMARKS,
    SIMPLE_HAND,
    Hand,
    landmarks,
    load_hand,
)

HAND = load_hand()
WRIST, PALM = 5, 20
# landmarks of each finger from the palm to the tip; the first moves with no joint of the four
# fingers
CHAINS = {
    "thumb": [6, 7, 0],
    **{f: [8 + 3 * i, 9 + 3 * i, 10 + 3 * i, 1 + i] for i, f in enumerate(FINGERS[1:])},
}
# Buryanov & Kotiuk 2010, mm: metacarpal, phalanges, soft tissue of the tip
LENGTHS = {
    "thumb": (46.2, 31.6, 21.7 + 5.7),
    "index": (68.1, 39.8, 22.4, 15.8 + 3.8),
    "middle": (64.6, 44.6, 26.3, 17.4 + 4.0),
    "ring": (58.0, 41.4, 25.7, 17.3 + 4.0),
    "pinky": (53.7, 32.7, 18.1, 16.0 + 3.7),
}
BASES = {
    "thumb": (20, -8, 20),
    "index": (30, 0, 10),
    "middle": (30, 0, 0),
    "ring": (30, 0, -8),
    "pinky": (30, 0, -16),
}
POSES = hnp.arrays(np.float64, (3, 20), elements=st.floats(-3.0, 3.0))


def one(joint: int, angle: float) -> np.ndarray:
    """Landmarks (21, 3) with one joint bent."""
    return landmarks(np.eye(20)[[joint]] * angle, HAND)[0]


def distal(joint: int) -> set[int]:
    """Landmarks that hang on a joint, by anatomy: those of its finger past it, and the palm's share
    of two knuckles."""
    finger, k = FINGERS[joint // 4], joint % 4
    chain = CHAINS[finger]
    moved = (
        chain[max(k - 1, 0) :] if finger == "thumb" else chain[max(k, 1) :]
    )  # what lies in a joint rests
    return set(moved) | ({PALM} if finger in ("index", "ring") and k < 2 else set())


def test_zero_angles_give_the_rest_positions() -> None:
    rest = np.array(json.loads(SIMPLE_HAND.read_text())["landmark_rest_positions"])
    assert landmarks(np.zeros((2, 20)), HAND) == pytest.approx(np.stack([rest, rest]), abs=1e-12)


@pytest.mark.parametrize("joint", range(20), ids=JOINTS)
def test_a_joint_moves_what_is_distal_to_it_and_nothing_else(joint: int) -> None:
    moved = np.linalg.norm(one(joint, 0.7) - one(joint, 0.0), axis=1) > 1e-9
    assert set(np.flatnonzero(moved)) == distal(joint)


@pytest.mark.parametrize("joint", range(20), ids=JOINTS)
def test_a_joint_moves_a_point_on_a_circle_about_its_axis_by_its_angle(joint: int) -> None:
    tip, axis, centre = joint // 4, HAND.axes[joint], HAND.joints[joint]
    rest, bent = one(joint, 0.0)[tip] - centre, one(joint, 0.9)[tip] - centre
    assert bent @ axis == pytest.approx(rest @ axis, abs=1e-9)
    assert np.linalg.norm(bent) == pytest.approx(np.linalg.norm(rest))
    flat = [v - (v @ axis) * axis for v in (rest, bent)]
    angle = np.arctan2(np.cross(*flat) @ axis, flat[0] @ flat[1])
    assert angle == pytest.approx(0.9, abs=1e-6)


def test_positive_flexion_bends_to_the_palm_and_positive_abduction_goes_towards_the_thumb() -> None:
    for finger in range(1, 5):
        for k in (1, 2, 3):
            assert one(4 * finger + k, 0.5)[finger, 1] < one(4 * finger + k, 0.0)[finger, 1]
        assert one(4 * finger, 0.2)[finger, 2] > one(4 * finger, 0.0)[finger, 2]


def test_a_right_angle_at_each_joint_of_a_finger_curls_it_into_three_sides_of_a_rectangle() -> None:
    pose = np.zeros((1, 20))
    pose[0, 9:12] = np.pi / 2
    pip, dip, tip = (landmarks(pose, HAND)[0, i] for i in CHAINS["middle"][1:])
    knuckle = HAND.joints[8]
    assert pip - knuckle == pytest.approx([0, -44.6, 0], abs=1e-9)
    assert dip - pip == pytest.approx([-26.3, 0, 0], abs=1e-9)
    assert tip - dip == pytest.approx([0, 21.4, 0], abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(POSES)
def test_bones_keep_the_lengths_of_the_paper_in_any_pose(angles: np.ndarray) -> None:
    positions = landmarks(angles, HAND)
    for finger, lengths in LENGTHS.items():
        base = np.broadcast_to(BASES[finger], (len(angles), 1, 3))
        chain = np.concatenate([base, positions[:, CHAINS[finger]]], axis=1)
        found = np.linalg.norm(np.diff(chain, axis=1), axis=-1)
        assert found == pytest.approx(np.tile(lengths, (len(angles), 1)), abs=1e-3)


@settings(max_examples=40, deadline=None)
@given(POSES)
def test_a_left_hand_is_the_mirror_image(angles: np.ndarray) -> None:
    mirror = np.array([1.0, 1.0, -1.0])
    left = Hand(
        -HAND.axes * mirror, HAND.joints * mirror, HAND.landmarks * mirror, HAND.weights
    )  # an axis is a pseudovector
    assert landmarks(angles, left) == pytest.approx(landmarks(angles, HAND) * mirror, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(POSES)
def test_every_time_step_is_on_its_own_and_wrist_and_knuckles_rest(angles: np.ndarray) -> None:
    together = landmarks(angles, HAND)
    alone = np.concatenate([landmarks(a[None], HAND) for a in angles])
    assert together == pytest.approx(alone, abs=1e-12)
    resting = [WRIST, *kinematics.NO_MOVEMENT]
    assert together[:, resting] == pytest.approx(
        np.tile(HAND.landmarks[resting], (3, 1, 1)), abs=1e-9
    )


def test_a_landmark_between_bones_moves_by_their_weights() -> None:
    centre, whole = HAND.joints[5], HAND.landmarks[PALM] - HAND.joints[5]
    turned = np.array([whole[1], -whole[0], whole[2]])  # a right angle about −z
    assert one(5, np.pi / 2)[PALM] == pytest.approx(
        0.9 * HAND.landmarks[PALM] + 0.1 * (centre + turned)
    )


def test_names_are_in_the_published_order() -> None:
    assert len(JOINTS) == 20 and len(LANDMARKS) == 21
    assert [JOINTS[i] for i in (0, 3, 4, 19)] == [
        "THUMB_CMC_FE",
        "THUMB_IP_FE",
        "INDEX_MCP_AA",
        "PINKY_DIP_FE",
    ]
    assert [LANDMARKS[i] for i in kinematics.FINGERTIPS] == [
        "THUMB_FINGERTIP",
        *(f"{f}_FINGER_FINGERTIP" for f in ("INDEX", "MIDDLE", "RING", "PINKY")),
    ]
    assert len(kinematics.MOVING) == 17 and WRIST in kinematics.MOVING


def test_angles_of_another_shape_are_refused() -> None:
    with pytest.raises(TendonError, match=r"expected shape \(T, 20\)"):
        landmarks(np.zeros((20, 3)), HAND)


REMOVED = object()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("joint_rotation_axes", REMOVED, "joint_rotation_axes missing"),
        ("bones", [1], "bones unknown"),
        ("joint_rotation_axes", [[0.0, 0.0, 2.0]] * 22, "unit vectors, found length 2"),
        ("joint_rest_positions", [[0.0, 0.0, 0.0]] * 20, r"shape \(22, 3\), found shape \(20, 3\)"),
        ("joint_rest_positions", [[0.0, 0.0]] + [[0.0, 0.0, 0.0]] * 21, "rows of unequal length"),
        ("joint_rest_positions", [["a", "b", "c"]] * 22, "not numbers"),
        ("joint_rest_positions", [[float("nan"), 0.0, 0.0]] * 22, "NaN"),
        ("joint_parent", [255] + [0] * 21, "tree of five fingers"),
        ("hand_scale", 0, "a number above 0"),
        ("hand_scale", None, "not numbers"),
        ("landmark_rest_bone_weights", [[0.5, 0.0, 0.0]] * 21, "1 in sum"),
        ("landmark_rest_bone_weights", [[1.0, 0.0]] * 21, "shape of the weights"),
        ("landmark_rest_bone_indices", [[17, 1, 1]] * 21, "whole numbers 0…16"),
        ("landmark_rest_bone_indices", [[1.5, 1, 1]] * 21, "whole numbers"),
        ("landmark_rest_bone_indices", [[1, 1, 1]] * 21, "once for landmark PALM_CENTER"),
        ("joint_limits", [[0.0, 1.0]], r"joint_limits: .* shape \(22, 2\)"),
    ],
)
def test_a_file_of_another_layout_is_refused_with_the_key(
    tmp_path: Path, key: str, value: Any, message: str
) -> None:
    content = json.loads(SIMPLE_HAND.read_text())
    if value is REMOVED:
        del content[key]
    else:
        content[key] = value
    path = tmp_path / "hand.json"
    path.write_text(json.dumps(content))
    with pytest.raises(TendonError, match=message):
        load_hand(path)


@pytest.mark.parametrize("content", ["{", "[]", "3"])
def test_a_file_that_is_no_hand_at_all_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "hand.json"
    path.write_text(content)
    with pytest.raises(TendonError, match="expected"):
        load_hand(path)
    with pytest.raises(TendonError, match="in HAND="):
        load_hand(tmp_path / "absent.json")


def test_a_mesh_may_be_there_or_null(tmp_path: Path) -> None:
    content = json.loads(SIMPLE_HAND.read_text())
    content |= {
        "mesh_vertices": [[0.0, 1.0, 2.0]],
        "mesh_triangles": [[0, 0, 0]],
        "dense_bone_weights": None,
    }
    path = tmp_path / "hand.json"
    path.write_text(json.dumps(content))
    assert load_hand(path).weights == pytest.approx(HAND.weights)
