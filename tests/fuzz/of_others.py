"""What else a user can name, and what a build folder holds."""

from __future__ import annotations

import functools
import shutil
import subprocess
from pathlib import Path

import numpy as np
import torch

from bench import footprint
from compress.errors import CheckpointError, GraphError, TendonError
from compress.files import read_json
from compress.reading import arrays
from compress.reading.text import UnreadableError
from compress.tasks import state
from compress.tasks.pose import kinematics
from compress.tasks.state import Origin
from compress.tasks.text import Alphabet
from export import boards
from export.onnx import lint as onnx_lint
from export.onnx import qdq_form
from export.tflite import lint as tflite_lint
from export.tflite import step_bytes
from host import character_model, image
from tests.fuzz.of_graphs import graphs
from tests.fuzz.reader import Reader

JSON = (b"NaN", b"Infinity", b'"hand_scale": 1e999', b'"joint_parent"', b"[[]]", b"1" * 5000)
TOML = (b"[memory]", b"a.b.c = 1", b"[[x]]", b"1979-05-27", b"inf", b'"""', b"holds = 1", b"{}")
ARPA = (b"\\data\\", b"ngram 1=1000000000000", b"\\1-grams:", b"\\end\\", b"<s>", b"<unk>", b"-99")


REGIONS = {"flash": boards.Memory(0, 1 << 40, ("code", "tables"))}
ARPA_FILE = "\\data\\\nngram 1=30\nngram 2=2\n\n\\1-grams:\n" + "".join(
    f"-1.5\t{token}\t-0.3\n"
    for token in ("<unk>", "<s>", "</s>", "Key.space", *(chr(97 + i) for i in range(26)))
)
ARPA_FILE += "\n\\2-grams:\n-0.5\ta b\n-0.2\t<s> a\n\n\\end\\\n"
LETTERS = Alphabet((*character_model.LETTERS, " "), (*character_model.LETTERS, "Key.space"))


def load_model(path: Path) -> None:
    """A character model, and some of what a search asks it."""
    model = character_model.load(path, LETTERS)
    _, states = model.extend(np.zeros(1, np.int64), np.arange(27))
    model.extend(states[0].astype(np.int64), np.arange(27))
    model.ends(states[0].tolist())


def elf(path: Path) -> None:
    """A program with lines and symbols."""
    source = path.with_suffix(".c")
    source.write_text("int add(int a, int b) { return a + b; }\nint main(void) { return 0; }\n")
    subprocess.run(["gcc", "-g", "-O0", str(source), "-o", str(path)], check=True)


def copy(path: Path, source: Path) -> None:
    """A file of the project."""
    shutil.copy(source, path)


def training_state(path: Path) -> None:
    """Of a training that was interrupted."""
    weights = {"a.weight": torch.ones(4, 3), "a.bias": torch.zeros(4)}
    state.save(path, Origin("recipe", {"DATA": "0" * 64}), {"step": 3, "model": weights})


READERS = (
    Reader(
        "training state",
        "state.pt",
        training_state,
        lambda path: state.load(path, Origin("recipe", {"DATA": "0" * 64})),
        (CheckpointError,),
    ),
    Reader(
        "hand model",
        "hand.json",
        functools.partial(copy, source=kinematics.SIMPLE_HAND),
        kinematics.load_hand,
        (TendonError,),
        JSON,
    ),
    Reader(
        "board",
        "board.toml",
        functools.partial(copy, source=boards.FIRMWARE / "port" / "nucleo-h743zi2" / "board.toml"),
        boards.read_board,
        (TendonError,),
        TOML,
    ),
    Reader(
        "report",
        "quantize.json",
        functools.partial(copy, source=kinematics.SIMPLE_HAND),
        read_json,
        (),
        JSON,
    ),
    Reader(
        "stored arrays",
        "result.npz",
        lambda path: np.savez_compressed(path, values=np.zeros((9, 4)), scale=np.float64(1)),
        arrays.read_archive,
        (UnreadableError,),
    ),
    Reader(
        "ONNX file",
        "x.onnx",
        lambda path: path.write_bytes(qdq_form.write(graphs()[1]).SerializeToString()) and None,
        onnx_lint.check,
        (GraphError,),
        lines=True,
    ),
    Reader(
        "TFLite file",
        "x.tflite",
        lambda path: path.write_bytes(step_bytes(graphs()[1], True)) and None,
        tflite_lint.check,
        (TendonError,),
        lines=True,
    ),
    Reader(
        "character model",
        "x.arpa",
        lambda path: path.write_text(ARPA_FILE) and None,
        load_model,
        (TendonError,),
        ARPA,
        seconds=90,
    ),
    Reader("image", "x.elf", elf, image.read, ()),
    Reader("footprint", "x.elf", elf, lambda path: footprint.read(path, REGIONS), (TendonError,)),
)
