"""python -m export c|tflm|firmware|onnx|tflite|check: the integer graph as a project, its firmware
for a board, or files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from compress import artifacts, cli, pipeline
from compress import graph as g
from compress.artifacts import Folder
from export import boards, build, check
from export.onnx import make_onnx
from export.tflite import make_tflite
from export.tflm import build as tflm_build
from export.tflm import library


def main(arguments: list[str] | None = None) -> int:
    """The commands of this package; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m export", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, run, text in (
        ("c", _c, "write a C project that a person can read and take away"),
        ("tflm", _tflm, "write a project around TFLite-Micro's interpreter"),
        ("firmware", _firmware, "write the project and build its image"),
        ("onnx", _onnx, "write the streaming step as ONNX, float and QDQ"),
        ("tflite", _tflite, "write the step as TFLite files"),
    ):
        command = commands.add_parser(name, help=text)
        cli.add_model_arguments(command)
        cli.add_data_arguments(command)
        command.add_argument(
            "--board", default="virtual-f405", help=f"one of {', '.join(boards.names())}"
        )
        if run is _firmware:
            cli.add_format_arguments(command)
        if run in (_c, _firmware):
            cli.add_latency_argument(command)
        command.set_defaults(run=run)
    checking = commands.add_parser(
        "check", help="would an exported model overflow a 32-bit accumulator?"
    )
    checking.add_argument("path", type=Path, help=f"a file ending in {' or '.join(check.CHECKS)}")
    checking.set_defaults(run=lambda args: print(check.check(args.path)))
    return cli.run(parser, arguments)


def _graph(args: argparse.Namespace) -> tuple[g.Graph, Folder]:
    folder = cli.folder(args)
    return (
        pipeline.graphs(
            folder, artifacts.checkpoint_for(folder, args.checkpoint), args.data, args.calibration
        ),
        folder,
    )


def _c(args: argparse.Namespace) -> None:
    graph, folder = _graph(args)
    print(
        "wrote"
        f" {build.make_project(build.in_longest_steps(graph, args.board, args.latency), folder, args.board)}"  # noqa: E501
    )


def _tflm(args: argparse.Namespace) -> None:
    graph, folder = _graph(args)
    print(f"wrote {tflm_build.make_tflm(graph, folder, args.board)}")


def _firmware(args: argparse.Namespace) -> None:
    if args.format == "tflm":
        cli.refuse_latency(args)
        library.find(args.tflm, boards.load_board(args.board))
        print(f"built {tflm_build.make_firmware(*_graph(args), args.board, args.tflm)}")
    else:
        graph, folder = _graph(args)
        print(
            "built"
            f" {build.make_firmware(build.in_longest_steps(graph, args.board, args.latency), folder, args.board)}"  # noqa: E501
        )


def _onnx(args: argparse.Namespace) -> None:
    graph, folder = _graph(args)
    print(f"wrote {make_onnx(graph, folder)}: float.onnx, qdq.onnx")


def _tflite(args: argparse.Namespace) -> None:
    print(f"wrote {make_tflite(*_graph(args))}")


if __name__ == "__main__":
    sys.exit(main())
