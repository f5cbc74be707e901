"""The twenty joints of a hand: how far they go, and how a posture of five fingers turns into their
angles.

Ranges are those of active movement in healthy adults: American Academy of Orthopaedic Surgeons,
"Joint Motion" (1965), and Hume, Gellman, McKellop, Brumfield, "Functional range of motion of the
joints of the hand" (J Hand Surg 1990). The last joint of a finger follows the middle one at two
thirds (Rijpkema and Girard 1991); neighbours drag each other along, ring and little finger most
(Zatsiorsky, Li, Latash 2000; Häger-Ross and Schieber 2000). Flexion is positive, and of AA the
direction towards the thumb. Joints come in the order of `pose_session.JOINTS`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FINGERS = 5  # thumb, index, middle, ring, little
REST = 0.25  # flexion of a finger that no muscle moves
DISTAL = 2 / 3  # of a finger's last joint over its middle joint

# Degrees. Thumb: CMC FE, CMC AA, MCP FE, IP FE; each finger: MCP AA, MCP FE, PIP FE, DIP FE.
_LOW = np.array(
    [
        [-20, -10, -10, -15],
        [-20, -20, -5, -5],
        [-15, -20, -5, -5],
        [-20, -20, -5, -5],
        [-25, -20, -5, -5],
    ],
    float,
)
_HIGH = np.array(
    [[45, 60, 55, 80], [20, 90, 105, 75], [15, 90, 105, 75], [20, 90, 105, 75], [25, 90, 105, 75]],
    float,
)
_OPEN = np.array(
    [[-8, 10, 0, 2], [2, -8, 4, 0], [0, -8, 4, 0], [-2, -8, 4, 0], [-4, -8, 4, 0]], float
)
_CLOSED = np.array(
    [[32, 10, 42, 60], [0, 78, 98, 0], [0, 82, 100, 0], [0, 84, 98, 0], [0, 82, 92, 0]], float
)
_SPREAD = np.array(
    [0, 14, 4, -11, -18], float
)  # degrees of MCP AA when the fingers are spread fully
_OPPOSED = 38.0  # degrees of thumb CMC AA from beside the palm to opposite the little finger
_DRAGGED = np.array(
    [
        [1.00, 0.00, 0.00, 0.00, 0.00],
        [0.03, 0.83, 0.10, 0.03, 0.01],
        [0.01, 0.12, 0.68, 0.15, 0.04],
        [0.01, 0.05, 0.16, 0.58, 0.20],
        [0.01, 0.03, 0.06, 0.22, 0.68],
    ]
)

LOW, HIGH = np.radians(_LOW).ravel(), np.radians(_HIGH).ravel()  # (20,) rad


@dataclass(frozen=True)
class Posture:
    """What a person means to do with the hand.

    flexion: (5,) from 0 straight to 1 closed; shape: (5,) from −1 (hook: outer joints bent,
    knuckles straight) to 1 (table top: knuckles bent, the rest straight); spread: −1 (fingers
    pressed together) to 1; opposition of the thumb: 0 to 1.
    """

    flexion: np.ndarray
    shape: np.ndarray
    spread: float
    opposition: float


def angles(posture: Posture) -> np.ndarray:
    """Joint angles (20,) rad of a posture, neighbours dragged along, within the joints' ranges."""
    flexion = _DRAGGED @ posture.flexion
    near, far = flexion + 0.3 * posture.shape, flexion - 0.3 * posture.shape
    degrees = _OPEN + (_CLOSED - _OPEN) * near[:, None]
    degrees[0, 3] = _OPEN[0, 3] + (_CLOSED[0, 3] - _OPEN[0, 3]) * far[0]
    degrees[0, 1] = _OPEN[0, 1] + _OPPOSED * posture.opposition
    degrees[1:, 2] = _OPEN[1:, 2] + (_CLOSED[1:, 2] - _OPEN[1:, 2]) * far[1:]
    # Bent knuckles hold the fingers together: their collateral ligaments are tight then.
    degrees[1:, 0] = _OPEN[1:, 0] + _SPREAD[1:] * posture.spread * (
        1 - 0.8 * np.clip(near[1:], 0, 1)
    )
    degrees = np.clip(degrees, _LOW, _HIGH)
    degrees[1:, 3] = DISTAL * degrees[1:, 2]
    return np.radians(degrees).ravel()


def coordinates(motion: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Flexion (5, …), shape (5, …), outward abduction of the fingers (4, …) and opposition (…) of
    angles (20, …) rad."""
    degrees = np.degrees(motion).reshape(FINGERS, 4, *motion.shape[1:])
    near = np.stack([_share(degrees, 0, 0), *(_share(degrees, f, 1) for f in range(1, FINGERS))])
    far = np.stack([_share(degrees, 0, 3), *(_share(degrees, f, 2) for f in range(1, FINGERS))])
    spread = np.stack([(degrees[f, 0] - _OPEN[f, 0]) / _SPREAD[f] for f in range(1, FINGERS)])
    return (near + far) / 2, (near - far) / 0.6, spread, (degrees[0, 1] - _OPEN[0, 1]) / _OPPOSED


def _share(degrees: np.ndarray, finger: int, joint: int) -> np.ndarray:
    """How far a joint is on its way from open to closed."""
    start, end = _OPEN[finger, joint], _CLOSED[finger, joint]
    return np.asarray((degrees[finger, joint] - start) / (end - start))
