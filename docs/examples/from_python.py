"""From a module to words of a board, in Python: the cells of a notebook, in order.

Jupyter, VS Code and others run a file whose cells begin with `# %%` as a notebook; Python runs it
as it is.
"""

# %% What it stands on
import logging
from pathlib import Path

import numpy as np
import torch
from torch import nn

from bench import notebook

logging.basicConfig(level=logging.WARNING)  # INFO says more
work = Path("from_python")  # all that is written
rng = np.random.default_rng(1)

# %% Recordings: noise, as strong at each of 4 electrodes as the class says, 250 samples a second
RATE, CLASSES = 250, ["rest", "fist", "open"]
strength = rng.uniform(0.2, 2.0, (len(CLASSES), 4))


def recording(seconds: int) -> tuple[np.ndarray, np.ndarray]:
    """emg (samples, electrodes), label (samples,)."""
    label = np.repeat(rng.permutation(np.arange(seconds) % len(CLASSES)), RATE)
    return rng.normal(size=(len(label), 4)) * strength[label], label


(work / "heldout").mkdir(parents=True, exist_ok=True)
for name in ("monday", "tuesday"):
    emg, label = recording(30)
    np.savez(work / "heldout" / f"{name}.npz", emg=emg, rate=RATE, label=label)
signal = recording(12)[0].T.astype(np.float32)  # (electrodes, samples), as forward takes it


# %% A network: power in steps of 10 samples, its past by a GRU, a score for each class
class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inward = nn.Sequential(nn.Conv1d(4, 16, 10, stride=10), nn.ReLU())
        self.gru = nn.GRU(16, 8, batch_first=True)
        self.outward = nn.Linear(8, len(CLASSES))

    def forward(self, x):  # (batch, electrodes, samples) -> (batch, outputs, frames)
        y, _ = self.gru(self.inward(x).transpose(1, 2))
        return self.outward(y).transpose(1, 2)


torch.manual_seed(1)
network = Network()

# %% Train it a little, on pieces of 4 s
emg, label = recording(60)
x = torch.from_numpy(emg.astype(np.float32)).reshape(15, 4 * RATE, 4).transpose(1, 2)
y = torch.from_numpy(label[9::10]).reshape(15, -1)  # of the newest sample of each frame
optimizer = torch.optim.Adam(network.parameters(), 0.02)
for _ in range(60):
    optimizer.zero_grad()
    nn.functional.cross_entropy(network(x), y).backward()
    optimizer.step()

# %% Trace and quantize
graph = notebook.trace(
    network, sample_rate=RATE, electrodes=4, task="classes", classes=CLASSES, name="small"
)
integer = notebook.quantize(graph, signal)
print(f"{notebook.macs(graph)['macs_per_s']:,.0f} MACs/s")

# %% The float graph is the module; the integers are close to it
with torch.no_grad():
    module = network(torch.from_numpy(signal)[None])[0].T.numpy()  # (frames, outputs)
real = notebook.infer(graph, signal)
assert np.abs(real[graph.start_up :] - module).max() < 1e-4
frames = notebook.infer(integer, signal)
noise = np.square(frames - real).mean() / np.square(real).mean()
print(f"{10 * np.log10(1 / noise):.1f} dB between integers and floats")

# %% Scores on held-out recordings, of the integers beside the floats
found = notebook.score(integer, work / "heldout", against=graph)
print(f"{found['metric']} {found['error']:.2f} {found['unit']}, float {found['against']:.2f}")

# %% C that a person can read, an image, and the board: every word is the reference's
print(notebook.export(integer, work / "made"))
print(notebook.build(integer, work / "made"))
back = notebook.stream(integer, signal[:, : 2 * RATE], folder=work / "made")
expected = notebook.infer(integer, signal[:, : 2 * RATE], engine="integer")
assert back.words.dtype == np.int16 and np.array_equal(back.frames, expected)
print(f"{back.words.size} words of {back.hello.board} equal the reference,", end=" ")
print(f"{back.counts.mean():,.0f} {back.counted} a frame")

# %% A published network that is shipped: 2 bands of 16 electrodes at 2000 Hz, keys as text
typing = notebook.load("TC_S4_small")
both = rng.normal(size=(8000, 2, 16)).astype(np.float32) * 20
keys = notebook.quantize(typing, both)
words = notebook.infer(keys, both[:4000])
assert np.array_equal(words, notebook.infer(keys, both[:4000], engine="integer"))
print(f"{keys.name}: {words.shape} log-probabilities, {keys.hash()[:16]}")
