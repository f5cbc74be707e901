"""What `export` and `firmware` do with the graph of a checkpoint. Each format is imported where it
is written."""

from __future__ import annotations

import argparse

from compress import artifacts, cli, pipeline
from compress import graph as g
from compress.artifacts import Folder
from compress.errors import UsageError
from export import boards, build, compilers
from export.cli import FORMATS
from export.exported import as_exported

LONGEST = 60  # of the name of a network


def graph_of(args: argparse.Namespace) -> tuple[g.Graph, Folder]:
    """The integer graph of these options, made when something changed, and where it lies."""
    folder, sources = cli.folder(args), cli.sources(args)
    boards.load_board(args.board)  # before anything long begins
    path = artifacts.checkpoint_for(folder, sources)
    return pipeline.graphs(folder, path, sources, in_full=True), folder


def exported_graph_of(args: argparse.Namespace) -> tuple[g.Graph, Folder]:
    """The same, called as --name says, in steps as --latency says. What it computes, and so its
    hash, has no name."""
    name = args.name
    if name is not None and not any(map(str.isalnum, name)):
        raise UsageError(f"NAME={name}: expected letters or digits")
    if name is not None and (len(name) > LONGEST or not name.isprintable() or "/" in name):
        raise UsageError(
            f"NAME={name!r}: expected up to {LONGEST} characters of one line, and no '/'"
        )
    graph, folder = graph_of(args)
    return as_exported(graph, folder, args.board, args.latency, name), folder


def export(args: argparse.Namespace) -> None:
    """What --format names, from the graph."""
    if args.format != "c" and args.name is not None:
        raise UsageError(f"NAME={args.name} FORMAT={args.format}: only C has names; leave it out")
    if args.format != "c" and args.latency:
        raise UsageError(
            f"LATENCY={args.latency:g} FORMAT={args.format}: expected 0; its steps are of one"
            " output frame"
        )
    print(f"wrote {WRITERS[args.format](args)}")


def _c(args: argparse.Namespace) -> str:
    graph, folder = exported_graph_of(args)
    return f"{build.make_project(graph, folder, args.board)}"


def _onnx(args: argparse.Namespace) -> str:
    from export.onnx import make_onnx

    return f"{make_onnx(*graph_of(args))}: float.onnx, qdq.onnx"


def _tflite(args: argparse.Namespace) -> str:
    from export.tflite import FORMS, make_tflite

    return f"{make_tflite(*graph_of(args)).parent}: {', '.join(FORMS)}"


def _tflm(args: argparse.Namespace) -> str:
    from export.tflm import build as tflm_build

    return f"{tflm_build.make_tflm(*graph_of(args), args.board)}"


WRITERS = dict(zip(FORMATS, (_c, _onnx, _tflite, _tflm), strict=True))


def firmware(args: argparse.Namespace) -> None:
    """The image of either project."""
    if args.format == "tflm":
        from export.tflm import build as tflm_build
        from export.tflm import library

        cli.refuse_latency(args)
        if args.name is not None:
            raise UsageError(f"NAME={args.name} FORMAT=tflm: its network is called model")
        compilers.refuse(args.compiler)
        library.find(args.tflm, boards.load_board(args.board))
        print(f"built {tflm_build.make_firmware(*graph_of(args), args.board, args.tflm)}")
        return
    graph, folder = exported_graph_of(args)
    print(f"built {build.make_firmware(graph, folder, args.board, args.compiler)}")
