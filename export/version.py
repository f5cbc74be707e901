"""Versions that generated C is tied to."""

GENERATOR = "0.1.0"
NN_VERSION = 2  # of firmware/nn/nn.h: raised whenever an integer or a packed layout changes
