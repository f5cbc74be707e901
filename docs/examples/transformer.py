"""Windows: a transformer encoder over 200 ms, one answer every 50 ms."""

import torch
from torch import nn

SAMPLE_RATE = 1000  # Hz
ELECTRODES = 8
TASK = "classes"
CLASSES = ["rest", "fist", "open", "pinch"]
WINDOW, STRIDE = 200, 50  # samples


class Network(nn.Module):
    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.patches = nn.Conv1d(ELECTRODES, width, 10, stride=10)
        self.place = nn.Parameter(0.02 * torch.randn(1, WINDOW // 10, width))
        layer = nn.TransformerEncoderLayer(
            width, nhead=4, dim_feedforward=64, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, num_layers=2, enable_nested_tensor=False)
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, len(CLASSES)))

    def forward(self, x):  # (batch, electrodes, samples) -> (batch, outputs)
        y = self.encoder(self.patches(x).transpose(1, 2) + self.place)
        return self.head(y.mean(1))


def network():
    return Network()
