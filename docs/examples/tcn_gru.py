"""A stream: a causal separable TCN with a GRU behind it, one answer every 10 ms."""

from torch import nn
from torch.nn import functional

SAMPLE_RATE = 1000  # Hz
ELECTRODES = 8
TASK = "classes"
CLASSES = ["rest", "fist", "open", "pinch"]


class Block(nn.Module):
    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.history = 2 * dilation
        self.filters = nn.Conv1d(channels, channels, 3, dilation=dilation, groups=channels)
        self.mix = nn.Sequential(nn.Conv1d(channels, channels, 1), nn.BatchNorm1d(channels))

    def forward(self, x):
        return functional.relu(x + self.mix(self.filters(functional.pad(x, (self.history, 0)))))


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inward = nn.Sequential(nn.Conv1d(ELECTRODES, 32, 10, stride=10), nn.ReLU())
        self.blocks = nn.Sequential(*(Block(32, 2**i) for i in range(3)))
        self.gru = nn.GRU(32, 24, batch_first=True)
        self.outward = nn.Linear(24, len(CLASSES))

    def forward(self, x):  # (batch, electrodes, samples) -> (batch, outputs, frames)
        y, _ = self.gru(self.blocks(self.inward(x)).transpose(1, 2))
        return self.outward(y).transpose(1, 2)


def network():
    return Network()
