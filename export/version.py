"""Versions that generated C is tied to."""

GENERATOR = "0.1.0"
NN_VERSION = 5  # of firmware/nn/nn.h: raised whenever a name, an integer or a packed layout changes
