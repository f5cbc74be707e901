"""The commands that measure, compare and report, and their options. Nothing here is slow to import
(see compress/cli)."""

from __future__ import annotations

import argparse

from bench.pareto import FLOAT
from compress.cli import Command, options
from compress.cli.options import path
from compress.frontend.families import HYPER_PARAMETERS
from compress.quantization.precisions import PRECISIONS
from export import boards
from export.cli import add_compiler_argument
from host.lm import SHIPPED
from host.names import DECODERS

CROSSCHECK_SECONDS = 30.0  # where there are so many
LOAD = 0.6  # of the board's clock that a compressed network may take: the rest is for others
STREAMED_SECONDS = 15.0
SHELLS = ("bash", "zsh", "tcsh")  # that shtab knows


def add_no_arguments(_: argparse.ArgumentParser) -> None:
    """A command without options."""


def add_hil_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `hil`: those of a stream, --input, --format, --tflm, --latency, --compiler,
    --lm."""
    _add_stream_arguments(parser, None, ", all of --input")
    parser.add_argument(
        "--input",
        type=path,
        help=(
            "a recording, or a .npy of the shape that the network's task says, which is compared"
            " word for word and not scored (default: the held-out recordings)"
        ),
    )
    options.add_format_arguments(parser)
    options.add_latency_argument(parser)
    add_compiler_argument(parser)
    _add_lm_argument(parser, "none")


def add_demo_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `demo`: those of a stream, --lm."""
    _add_stream_arguments(parser)
    _add_lm_argument(parser, "the shipped one")


def _add_stream_arguments(
    parser: argparse.ArgumentParser, seconds: float | None = STREAMED_SECONDS, besides: str = ""
) -> None:
    """Those of a graph, --board, --port, --seconds."""
    options.add_graph_arguments(parser)
    parser.add_argument(
        "--board",
        default="virtual-f405",
        help=f"one of {', '.join(boards.names())} (default: %(default)s)",
    )
    parser.add_argument(
        "--port", help="its serial port: device, socket://host:port (default: started here)"
    )
    parser.add_argument(
        "--seconds",
        type=options.seconds,
        default=seconds,
        help=f"how much signal to stream (default: {STREAMED_SECONDS:g}{besides})",
    )


def _add_lm_argument(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--lm",
        type=path,
        help=f"KenLM character model for a second reading (default: {default})",
    )


def add_crosscheck_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `crosscheck`: those of a graph, --input, --seconds, --board, --port,
    --record."""
    options.add_graph_arguments(parser)
    parser.add_argument(
        "--input",
        type=path,
        help="a recording or .npy (default: the first held-out sessions)",
    )
    parser.add_argument(
        "--seconds",
        type=options.seconds,
        default=CROSSCHECK_SECONDS,
        help="how much signal, of as many recordings as it takes (default: %(default)s)",
    )
    parser.add_argument(
        "--board",
        help=(
            f"one of {', '.join(boards.names())} (default: the smallest emulated one that is"
            " enough)"
        ),
    )
    parser.add_argument(
        "--port", help="its serial port: device, socket://host:port (default: started here)"
    )
    options.add_record_argument(parser)


def add_faults_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `faults`: those of a graph, --frames, --resets, --flips, --board, --seed,
    --record."""
    options.add_graph_arguments(parser)
    for name, count, what in (
        ("frames", 100_000, "frames to damage on the line of a process"),
        ("resets", 100, "resets in the middle of a stream, frames of before outliving them"),
        ("flips", 40, "bits to flip in the image of an emulated board"),
    ):
        parser.add_argument(
            f"--{name}",
            type=options.whole(0, 10**9),
            default=count,
            help=f"{what} (default: %(default)s)",
        )
    parser.add_argument(
        "--board",
        default="virtual-f405",
        help="whose image is flipped: an emulated one (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=options.whole(0, 10**9),
        default=0,
        help="of what is drawn (default: %(default)s)",
    )
    options.add_record_argument(parser)


def add_speed_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `bench`: --build, --cmsis-nn, --record."""
    options.add_build_argument(parser)
    help_text = (
        "folder of CMSIS-NN, with a library or sources, to measure beside ours (default: recorded"
        " figures)"
    )
    parser.add_argument("--cmsis-nn", type=path, help=help_text)
    options.add_record_argument(parser)


def add_profile_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `profile`: those of a graph, --board, --latency, --port, --record."""
    options.add_graph_arguments(parser)
    parser.add_argument(
        "--board",
        default="virtual-f405",
        help=f"one of {', '.join(boards.names())} (default: %(default)s)",
    )
    options.add_latency_argument(parser)
    parser.add_argument(
        "--port", help="its serial port: device, socket://host:port (default: emulated here)"
    )
    options.add_record_argument(parser)


def add_drift_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `drift`: those of a graph, --input, --record."""
    options.add_graph_arguments(parser)
    parser.add_argument(
        "--input",
        type=path,
        help="a session of two minutes or more (default: a simulated one of ten)",
    )
    options.add_record_argument(parser)


def add_validate_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `validate`: checkouts of the programs, --record."""
    parser.add_argument("--coremark", type=path, help="checkout of github.com/eembc/coremark")
    parser.add_argument(
        "--cmsis-nn", type=path, help="checkout of github.com/ARM-software/CMSIS-NN"
    )
    parser.add_argument("--aes", type=path, help="checkout of github.com/jnk0le/cortexm-AES")
    options.add_record_argument(parser)


def add_pareto_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `pareto`: what is swept, with what, and how; --record."""
    options.add_models_argument(parser, list(HYPER_PARAMETERS))
    parser.add_argument(
        "--checkpoint",
        type=path,
        help="of the one network of --models, instead of the shipped one",
    )
    parser.add_argument(
        "--checkpoints",
        type=path,
        help="folder of <MODEL>.ckpt instead of the shipped ones",
    )
    parser.add_argument(
        "--precisions",
        nargs="+",
        default=[FLOAT, *PRECISIONS],
        choices=(FLOAT, *PRECISIONS),
        metavar="PRECISION",
    )
    parser.add_argument(
        "--decoders",
        nargs="+",
        default=list(DECODERS),
        choices=DECODERS,
        metavar="DECODER",
    )
    parser.add_argument(
        "--lm",
        type=path,
        default=SHIPPED,
        help="KenLM character model for beam+lm (default: %(default)s)",
    )
    options.add_choice_arguments(parser)
    options.add_build_argument(parser)
    parser.add_argument(
        "--jobs",
        type=options.whole(1, 1024),
        help="how many jobs at a time on this machine (default: one per core)",
    )
    parser.add_argument(
        "--backend",
        help="dask, ray, or joblib's: loky, threading, multiprocessing (default: processes here)",
    )
    parser.add_argument(
        "--scheduler",
        help="address of a running dask or ray cluster whose workers see the same files",
    )
    options.add_record_argument(parser)


def add_compress_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `compress`: those of a checkpoint, --data and what is chosen of it, --board,
    what a network may take, --record."""
    options.add_checkpoint_arguments(parser)
    options.add_choice_arguments(parser)
    parser.add_argument(
        "--board",
        default="nucleo-h743zi2",
        help=f"one of {', '.join(boards.names())} (default: %(default)s)",
    )
    parser.add_argument(
        "--ram",
        type=options.size,
        help="bytes of RAM that the image may take: 400K, … (default: the board's)",
    )
    parser.add_argument(
        "--load",
        type=options.real(0.001, 1.0),
        default=LOAD,
        help="share of the board's clock it may take (default: %(default)s)",
    )
    options.add_budget_arguments(parser)
    options.add_record_argument(parser)


def add_completion_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `completion`: which shell."""
    parser.add_argument("shell", choices=SHELLS)


COMMANDS = (
    Command(
        "hil",
        "stream recordings through a board, compare every word, score, time",
        add_hil_arguments,
        "bench.hil.command:run",
        examples=(
            "tendon hil --board virtual-f405 --seconds 5",
            "tendon hil --board nucleo-f446re --port /dev/ttyACM0",
        ),
    ),
    Command(
        "demo",
        "quantize, count, export, build, stream, and report the whole way",
        add_demo_arguments,
        "bench.hil.demo:run",
        examples=("tendon demo --model TC_S4_medium --board virtual-m7",),
    ),
    Command(
        "crosscheck",
        "the same seconds through every engine: SQNR, arg-max, CER, equality",
        add_crosscheck_arguments,
        "bench.crosscheck.command:run",
        examples=("tendon crosscheck --seconds 10",),
    ),
    Command(
        "bench",
        "executed instructions of every kernel and network, against CMSIS-NN",
        add_speed_arguments,
        "bench.speed.command:run",
        examples=("tendon bench --cmsis-nn path/CMSIS-NN",),
        writes=lambda args: ["bench"],
    ),
    Command(
        "profile",
        "every layer on a board: time, memory, what would help",
        add_profile_arguments,
        "bench.profile.command:run",
        examples=("tendon profile --board virtual-m7",),
    ),
    Command(
        "drift",
        "a network in a closed loop of minutes: do the integers drift?",
        add_drift_arguments,
        "bench.drift:run",
        examples=("tendon drift --model tracking_vemg2pose",),
    ),
    Command(
        "validate",
        "the cycle models against published cycles of CoreMark and of AES in assembly",
        add_validate_arguments,
        "bench.validate.command:run",
        examples=("tendon validate --coremark path/coremark",),
    ),
    Command(
        "pareto",
        "error against cost: every network, precision and decoder; a report per task",
        add_pareto_arguments,
        "bench.pareto.command:run",
        examples=(
            "tendon pareto --models TC_S4_small path/net.py",
            "tendon pareto --backend dask --scheduler tcp://host:8786",
        ),
        writes=lambda args: ["pareto", *args.models],
    ),
    Command(
        "docs",
        "write the generated pages of the documentation",
        add_no_arguments,
        "bench.operators:run",
        examples=("tendon docs",),
    ),
    Command(
        "compress",
        "a network within a budget of flash, RAM and cycles, scored",
        add_compress_arguments,
        "bench.compression.command:run",
        examples=("tendon compress --model S4_large --board nucleo-h743zi2 --flash 2M",),
    ),
    Command(
        "faults",
        "damaged frames, resets, flipped bits against a board: wrong results accepted",
        add_faults_arguments,
        "bench.faults.command:run",
        examples=("tendon faults --frames 10000",),
    ),
    Command(
        "completion",
        "a shell's completion of this command, to be sourced",
        add_completion_arguments,
        "bench.tendon:completion",
        examples=("tendon completion bash > ~/.local/share/bash-completion/completions/tendon",),
    ),
)
