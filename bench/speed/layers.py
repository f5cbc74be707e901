"""The layers whose speed has a target, with the shapes of the published networks, and what CMSIS-NN
takes for them."""

from __future__ import annotations

from dataclasses import dataclass, field

OPERANDS = "int8×int8"  # of CMSIS-NN's layers


def recorded(operands: str, day: str) -> str:
    """What a recorded count of CMSIS-NN is."""
    return f"CMSIS-NN 99f736a6, {operands}, arm-none-eabi-gcc 12.2.1 -O3, measured {day}"


PEER = recorded(OPERANDS, "2026-11-21")


@dataclass(frozen=True)
class Layer:
    """A dense layer, or a convolution over `windows` outputs. `gap`: values between one frame's
    inputs and the next one's where the network has them elsewhere than end to end.

    `targets`: (core, precision) -> most instructions per MAC; `peer`: core -> instructions of
    CMSIS-NN, as PEER says."""

    shape: str
    channels: int
    out: int
    kernel: int = 1
    stride: int = 1
    windows: int = 1
    gap: int = 0
    targets: dict[tuple[str, str], float] = field(default_factory=dict)
    peer: dict[str, int] = field(default_factory=dict)

    @property
    def inputs(self) -> int:
        """Of one output."""
        return self.kernel * self.channels

    @property
    def width(self) -> int:
        """Frames that one call reads."""
        return (self.windows - 1) * self.stride + self.kernel

    @property
    def dense(self) -> bool:
        return self.width == 1

    @property
    def macs(self) -> int:
        return self.inputs * self.out * self.windows


def _targets(
    dsp: float, wide: float, narrow: float, nibbles: float | None = None
) -> dict[tuple[str, str], float]:
    """Of w8a16 on Armv7E-M, w8a16 and w8a8 on a Cortex-M55, and w4a16 on Armv7E-M."""
    found = {("cortex-m55", "w8a16"): wide, ("cortex-m55", "w8a8"): narrow}
    for core in ("cortex-m4", "cortex-m7"):
        found[core, "w8a16"] = dsp
        if nibbles is not None:
            found[core, "w4a16"] = nibbles
    return found


def _peer(m4: int, m55: int) -> dict[str, int]:
    return {"cortex-m4": m4, "cortex-m55": m55}


SMALL, LARGE = _targets(1.35, 0.42, 0.28, 1.5), _targets(1.25, 0.33, 0.19, 1.3)
LAYERS = (
    Layer("96→192", 96, 192, targets=SMALL, peer=_peer(45_792, 11_929)),
    Layer("150→96", 150, 96, targets=SMALL, peer=_peer(33_504, 8_953)),
    Layer("96→150", 96, 150, targets=SMALL, peer=_peer(35_817, 9_521)),
    Layer("150→99", 150, 99, targets=SMALL, peer=_peer(34_657, 9_517)),
    Layer("96→99", 96, 99, peer=_peer(23_763, 6_481)),
    Layer("256→512", 256, 512, targets=LARGE, peer=_peer(275_392, 69_849)),
    Layer("512→2048", 512, 2048, targets=LARGE, peer=_peer(2_084_040, 524_506)),
    Layer(
        "conv 72ch k4 s4 → 96, 6 outputs",
        72,
        96,
        4,
        4,
        6,
        targets=_targets(1.05, 0.28, 0.19, 1.1),
        peer=_peer(302_619, 47_359),
    ),
    Layer("conv 96ch k3 s3 → 192, 2 outputs", 96, 192, 3, 3, 2, peer=_peer(199_659, 45_254)),
    Layer(
        "conv 192ch k2 s2 → 150, 1 output",
        192,
        150,
        2,
        2,
        1,
        targets=_targets(1.35, 0.36, 0.22, 1.4),
        peer=_peer(168_883, 22_568),
    ),
    Layer(
        "conv 16ch k21 s10 → 64, 10 outputs",
        16,
        64,
        21,
        10,
        10,
        gap=-176,
        peer=_peer(396_301, 54_244),
    ),
    Layer(
        "pointwise 16→36, 24 outputs",
        16,
        36,
        windows=24,
        gap=16,
        targets=_targets(1.6, 0.6, 0.5, 2.1),
        peer=_peer(56_803, 14_924),
    ),
    Layer("pointwise 256→512, 4 outputs", 256, 512, windows=4, peer=_peer(1_222_120, 119_026)),
)
