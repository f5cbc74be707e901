"""The commands that go from a checkpoint and recordings to the integer graph."""

from __future__ import annotations

from compress.cli import Command, options

COMMANDS = (
    Command(
        "quantize",
        "checkpoint + calibration recordings -> integer graph and its error rate",
        options.add_graph_arguments,
        "compress.pipeline:quantize_command",
        examples=(
            "tendon quantize --model TC_S4_small",
            "tendon quantize --model path/net.py --checkpoint weights.pt --data ~/recordings",
        ),
        begins=True,
    ),
    Command(
        "macs",
        "multiply-accumulates per layer and per second of signal",
        options.add_model_arguments,
        "compress.pipeline:macs_command",
        examples=("tendon macs --model S4_large",),
        looks=True,
    ),
    Command(
        "recordings",
        "write the simulated recordings that are missing",
        options.add_recordings_arguments,
        "compress.data.recordings:run",
        examples=("tendon recordings --task typing --splits heldout",),
    ),
    Command(
        "train",
        "train a network, on simulated recordings or your own",
        options.add_train_arguments,
        "compress.tasks.train:run",
        examples=(
            "tendon train --model docs/examples/tcn_gru.py",
            "tendon train --model TC_S4_small --data ~/recordings --steps 2000",
        ),
        writes=lambda args: [f"{args.model}.train"],
    ),
    Command(
        "users",
        "one table of several users' networks, and the mean over users",
        options.add_users_arguments,
        "compress.report.users:run",
        examples=('tendon users --reports "build/user*/w8a16/quantize.json"',),
    ),
)
