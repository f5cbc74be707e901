"""What `python -m export c|tflm|firmware|onnx|tflite` do with the graph of a checkpoint. Each
imports the format that it writes."""

from __future__ import annotations

import argparse

from compress import artifacts, cli, pipeline
from compress import graph as g
from compress.artifacts import Folder
from compress.errors import TendonError
from export import boards, build, compilers
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
        raise TendonError(f"NAME={name}: expected letters or digits")
    if name is not None and (len(name) > LONGEST or not name.isprintable() or "/" in name):
        raise TendonError(
            f"NAME={name!r}: expected up to {LONGEST} characters of one line, and no '/'"
        )
    graph, folder = graph_of(args)
    return as_exported(graph, folder, args.board, args.latency, name), folder


def c(args: argparse.Namespace) -> None:
    """The C project."""
    graph, folder = exported_graph_of(args)
    print(f"wrote {build.make_project(graph, folder, args.board)}")


def tflm(args: argparse.Namespace) -> None:
    """The project around TFLite-Micro's interpreter."""
    from export.tflm import build as tflm_build

    graph, folder = graph_of(args)
    print(f"wrote {tflm_build.make_tflm(graph, folder, args.board)}")


def firmware(args: argparse.Namespace) -> None:
    """The image of either project."""
    if args.format == "tflm":
        from export.tflm import build as tflm_build
        from export.tflm import library

        cli.refuse_latency(args)
        if args.name is not None:
            raise TendonError(f"NAME={args.name} FORMAT=tflm: its network is called model")
        compilers.refuse(args.compiler)
        library.find(args.tflm, boards.load_board(args.board))
        print(f"built {tflm_build.make_firmware(*graph_of(args), args.board, args.tflm)}")
        return
    graph, folder = exported_graph_of(args)
    print(f"built {build.make_firmware(graph, folder, args.board, args.compiler)}")


def onnx(args: argparse.Namespace) -> None:
    """The step as ONNX, in both forms."""
    from export.onnx import make_onnx

    graph, folder = graph_of(args)
    print(f"wrote {make_onnx(graph, folder)}: float.onnx, qdq.onnx")


def tflite(args: argparse.Namespace) -> None:
    """The step as TFLite files."""
    from export.tflite import FORMS, make_tflite

    print(f"wrote {make_tflite(*graph_of(args)).parent}: {', '.join(FORMS)}")
