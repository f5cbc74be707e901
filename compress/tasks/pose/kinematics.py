"""From joint angles to points on the hand: forward kinematics of a hand model in UmeTrack's layout,
as emg2pose scores with.

A hand has 22 joints, four of each finger (thumb to pinky, from the palm outwards) and two of the
wrist, and 17 bones: the root, the wrist, and three of each finger, which follow its second, third
and fourth joint. A joint turns all that hangs on it about an axis through its rest position; a
landmark moves with up to three bones by weight (linear blend skinning). The wrist's angles are null
in emg2pose, so bones 0 and 1 rest. Lengths are mm, angles rad, of a right hand; a left hand is its
mirror image, at the same distances.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from compress.errors import TendonError
from compress.reading import text
from compress.reading.text import UnreadableError
from compress.reading.words import refuses_in_one_line

Floats = npt.NDArray[np.float64]

FINGERS = ("thumb", "index", "middle", "ring", "pinky")
GROUPS = ("proximal", "mid", "distal")
JOINTS = (
    *("THUMB_CMC_FE", "THUMB_CMC_AA", "THUMB_MCP_FE", "THUMB_IP_FE"),
    *(
        f"{f}_{j}"
        for f in ("INDEX", "MIDDLE", "RING", "PINKY")
        for j in ("MCP_AA", "MCP_FE", "PIP_FE", "DIP_FE")
    ),
)
LANDMARKS = (
    "THUMB_FINGERTIP",
    *(f"{f}_FINGER_FINGERTIP" for f in ("INDEX", "MIDDLE", "RING", "PINKY")),
    *("WRIST_JOINT", "THUMB_INTERMEDIATE_FRAME", "THUMB_DISTAL_FRAME"),
    *(
        f"{f}_{p}_FRAME"
        for f in ("INDEX", "MIDDLE", "RING", "PINKY")
        for p in ("PROXIMAL", "INTERMEDIATE", "DISTAL")
    ),
    "PALM_CENTER",
)
FINGERTIPS = tuple(range(5))
# Knuckles rest with the wrist, so the published distances leave them out; the wrist itself they
# leave in.
NO_MOVEMENT = tuple(
    LANDMARKS.index(f"{f}_PROXIMAL_FRAME") for f in ("INDEX", "MIDDLE", "RING", "PINKY")
)
MOVING = tuple(i for i in range(len(LANDMARKS)) if i not in NO_MOVEMENT)

SIMPLE_HAND = Path(__file__).parent / "data" / "hands" / "simple.json"
DOF = 4  # joints of a finger
BONES = 2 + 3 * len(FINGERS)
NONE = 255  # the layout's "no such joint"

# The tree that the published skinning takes for granted: a file that says otherwise would be
# skinned wrongly without a word.
TREE = {
    "joint_frame_index": (
        [v for f in range(5) for v in (NONE, 2 + 3 * f, 3 + 3 * f, 4 + 3 * f)] + [NONE, 0]
    ),
    "joint_parent": [v for f in range(5) for v in (NONE, 4 * f, 4 * f + 1, 4 * f + 2)] + [NONE, 20],
    "joint_first_child": (
        [v for f in range(5) for v in (4 * f + 1, 4 * f + 2, 4 * f + 3, NONE)] + [21, NONE]
    ),
    "joint_next_sibling": (
        [v for f in range(5) for v in (4 * f + 4, NONE, NONE, NONE)] + [NONE, NONE]
    ),
}
SHAPES: dict[str, tuple[int | None, ...]] = {
    "joint_rotation_axes": (22, 3),
    "joint_rest_positions": (22, 3),
    **{key: (22,) for key in TREE},
    "landmark_rest_positions": (21, 3),
    "landmark_rest_bone_weights": (21, None),
    "landmark_rest_bone_indices": (21, None),
    "hand_scale": (),
}
OPTIONAL: dict[str, tuple[int | None, ...]] = {
    "mesh_vertices": (None, 3),
    "mesh_triangles": (None, 3),
    "dense_bone_weights": (None, BONES),
    "joint_limits": (22, 2),
}


@dataclass(frozen=True, eq=False)
class Hand:
    """Unit axes (20, 3) and rest positions (20, 3) of joints, rest positions (21, 3) and weights
    (21, 17) of landmarks, in mm."""

    axes: Floats
    joints: Floats
    landmarks: Floats
    weights: Floats


def load_hand(path: Path | None = None) -> Hand:
    """The hand model in a file, the simple hand without one; TendonError says what in the file is
    not as published.

    `hand_scale` and the mesh are checked and not used, as published: positions are in mm already.
    """
    return _hand(path or SIMPLE_HAND)


@refuses_in_one_line
def _hand(path: Path) -> Hand:
    fields = _read(path)
    for key, tree in TREE.items():
        if fields[key].tolist() != tree:
            raise _error(
                path,
                key,
                f"the tree of five fingers with four joints, {tree}",
                f"{fields[key].astype(int).tolist()}",
            )
    if not fields["hand_scale"] > 0:
        raise _error(path, "hand_scale", "a number above 0", f"{fields['hand_scale']}")
    lengths = np.linalg.norm(fields["joint_rotation_axes"], axis=1)
    if np.abs(lengths - 1.0).max() > 1e-3:
        worst = int(np.abs(lengths - 1.0).argmax())
        raise _error(
            path,
            "joint_rotation_axes",
            "unit vectors",
            f"length {lengths[worst]:.4g} at joint {worst}",
        )
    return Hand(
        fields["joint_rotation_axes"][: len(JOINTS)],
        fields["joint_rest_positions"][: len(JOINTS)],
        fields["landmark_rest_positions"],
        _weights(path, fields["landmark_rest_bone_indices"], fields["landmark_rest_bone_weights"]),
    )


def landmarks(angles: npt.ArrayLike, hand: Hand) -> Floats:
    """Positions (T, 21, 3) in mm of the landmarks at joint angles (T, 20) in rad."""
    angles = np.asarray(angles, dtype=np.float64)
    if angles.ndim != 2 or angles.shape[1] != len(JOINTS):
        raise TendonError(
            f"joint angles: expected shape (T, {len(JOINTS)}) in rad, found {angles.shape};"
            " transpose them?"
        )
    turns, shifts = _bones(angles, hand)
    turns = np.einsum(
        "lb,tbij->tlij", hand.weights, turns
    )  # (T, landmarks=21, 3, 3): blended before they are applied
    return np.einsum("tlij,lj->tli", turns, hand.landmarks) + np.einsum(
        "lb,tbi->tli", hand.weights, shifts
    )


def _bones(angles: Floats, hand: Hand) -> tuple[Floats, Floats]:
    """Rotation (T, 17, 3, 3) and translation (T, 17, 3) of each bone from its rest."""
    from scipy.spatial.transform import Rotation  # slow to import, and needed only here

    steps = len(angles)
    vectors = angles[:, :, None] * hand.axes  # (T, joints=20, 3), rad about each axis
    turn = (
        Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix().reshape(steps, len(JOINTS), 3, 3)
    )
    shift = hand.joints - np.einsum(
        "tjik,jk->tji", turn, hand.joints
    )  # the rest position stays where it is
    turns = np.tile(np.eye(3), (steps, BONES, 1, 1))
    shifts = np.zeros((steps, BONES, 3))
    for finger in range(len(FINGERS)):
        r, s = turn[:, DOF * finger], shift[:, DOF * finger]
        for k in range(1, DOF):
            joint, bone = DOF * finger + k, 1 + 3 * finger + k
            s = np.einsum("tik,tk->ti", r, shift[:, joint]) + s
            r = r @ turn[:, joint]
            turns[:, bone], shifts[:, bone] = r, s
    return turns, shifts


def _weights(path: Path, bones: Floats, weights: Floats) -> Floats:
    """Weight of every bone for every landmark (21, 17), each row 1 in sum."""
    if bones.shape != weights.shape:
        raise _error(
            path,
            "landmark_rest_bone_indices",
            f"the shape of the weights, {weights.shape}",
            f"{bones.shape}",
        )
    if not np.isin(bones, np.arange(BONES)).all():
        raise _error(
            path,
            "landmark_rest_bone_indices",
            f"whole numbers 0…{BONES - 1}",
            f"{bones.min():g}…{bones.max():g}",
        )
    sums = weights.sum(1)
    if weights.min() < 0 or np.abs(sums - 1.0).max() > 1e-3:
        raise _error(
            path,
            "landmark_rest_bone_weights",
            "weights from 0, 1 in sum for each landmark",
            f"sums {weights.sum(1).tolist()}",
        )
    table = np.zeros((len(LANDMARKS), BONES))
    for row, (b, w) in enumerate(zip(bones.astype(int), weights, strict=True)):
        if len(set(b[w > 0])) < np.count_nonzero(w):
            raise _error(
                path,
                "landmark_rest_bone_indices",
                f"a bone once for landmark {LANDMARKS[row]}",
                f"{b[w > 0].tolist()}",
            )
        table[row, b[w > 0]] = w[w > 0]
    return table


def _read(path: Path) -> dict[str, Floats]:
    """Every field of the file as finite numbers of its shape."""
    try:
        content = text.read_json(path)
    except UnreadableError as error:
        raise TendonError(
            f"{path}: expected a hand model in JSON: {error}; give generic_hand_model.json's path"
            " in HAND="
        ) from error
    keys = set(content) if isinstance(content, dict) else set()
    missing, unknown = sorted(set(SHAPES) - keys), sorted(keys - set(SHAPES) - set(OPTIONAL))
    if missing or unknown:
        raise TendonError(
            f"{path}: expected the keys of UmeTrack's hand model, found"
            f" {', '.join(missing) or 'none'} missing and {', '.join(unknown) or 'none'} unknown;"
            " give generic_hand_model.json's path"
        )
    shapes = {
        key: shape
        for key, shape in {**SHAPES, **OPTIONAL}.items()
        if content.get(key) is not None or key in SHAPES
    }
    return {key: _array(path, key, content[key], shape) for key, shape in shapes.items()}


def _array(path: Path, key: str, value: Any, shape: tuple[int | None, ...]) -> Floats:
    """Finite float64 numbers of a shape whose None stands for any length."""
    wanted = f"finite numbers of shape ({', '.join('any' if n is None else str(n) for n in shape)})"
    try:
        array = np.array(value)
    except ValueError:
        raise _error(path, key, wanted, "rows of unequal length") from None
    if array.dtype.kind not in "if":
        raise _error(path, key, wanted, f"values that are not numbers ({array.dtype})")
    fits = array.ndim == len(shape) and all(
        n in (None, m) for n, m in zip(shape, array.shape, strict=True)
    )
    if not fits or not array.size or not np.isfinite(array).all():
        raise _error(
            path, key, wanted, f"shape {array.shape}" if not fits else "NaN, infinity or nothing"
        )
    return array.astype(np.float64)


def _error(path: Path, key: str, expected: str, found: str) -> TendonError:
    return TendonError(
        f"{path}: {key}: expected {expected}, found {found}; give a hand model in UmeTrack's layout"
    )
