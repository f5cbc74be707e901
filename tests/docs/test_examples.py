"""The two example files of docs/examples, end to end: trained a little on recordings of the small
simulator, then the same in PyTorch, integers, ONNX, TFLite, TFLite-Micro and on an emulated
board."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.tendon import main as tendon
from compress import graph as g
from compress.artifacts import Folder
from compress.data import own_recording
from compress.data.simulator import activity
from compress.frontend import checkpoint
from compress.frontend.own import named
from compress.graph.samples import to_int16, whole_steps
from compress.interpreter.float import FloatInterpreter
from compress.interpreter.integer import IntegerInterpreter
from compress.quantization.calibrate import observe
from compress.quantization.quantize import quantize
from compress.tasks.distances import sqnr_db
from export.onnx import float_form, qdq_form
from export.tflite import interpreter, step_bytes
from export.tflm.build import make_firmware, make_tflm
from host import onnx_engine, tflite_engines
from tests import toy
from tests.conftest import ROOT
from tests.export.test_drawn_networks import one_step_everywhere, weights_alone

EXAMPLES = ROOT / "docs" / "examples"
BAND = activity.Band(1000.0, 8)
SPLITS = {"train": (2, 20.0), "calibration": (1, 10.0), "heldout": (2, 12.0)}
BOARDS = {"tcn_gru": "virtual-f405", "transformer": "virtual-m7"}
STEPS = {"tcn_gru": 45, "transformer": 60}
LEAST_DB = 35.0
both = pytest.mark.parametrize("name", BOARDS)


@dataclass(frozen=True)
class Example:
    """A trained example and what `make quantize` made of it."""

    name: str
    root: Path

    @property
    def options(self) -> list[str]:
        return [*self.model, "--checkpoint", str(self.trained), "--data", str(self.root / "data")]

    @property
    def model(self) -> list[str]:
        build = ["--build", str(self.root / "build")]
        return ["--model", str(EXAMPLES / f"{self.name}.py"), *build]

    @property
    def trained(self) -> Path:
        return self.root / "build" / self.name / "train" / f"{self.name}.ckpt"

    @property
    def folder(self) -> Folder:
        network = named.named(str(EXAMPLES / f"{self.name}.py"))
        return Folder(self.root / "build", self.name, "w8a16", network=network)

    @cached_property
    def real(self) -> g.Graph:
        return g.load(self.folder.float_graph)

    @cached_property
    def integer(self) -> g.Graph:
        return g.load(self.folder.graph)

    @cached_property
    def samples(self) -> g.Array:
        """(time, electrodes), some seconds that nothing was trained or calibrated on."""
        path = next((self.root / "data" / "heldout").glob("*.npz"))
        return whole_steps(self.real, own_recording.read(path).emg[:6000])

    @cached_property
    def frames(self) -> g.Array:
        """(frames, outputs) of PyTorch, from the first that a whole-sequence forward has."""
        named.named(str(EXAMPLES / f"{self.name}.py"))
        loaded = checkpoint.load(self.folder.path.parent / "network.ckpt")
        with torch.no_grad():
            found = loaded.family.forward(loaded, torch.from_numpy(self.samples), None)
        return found.double().numpy()

    @cached_property
    def words(self) -> g.Array:
        """Of the integers, start-up included."""
        x = to_int16(self.integer, self.samples)
        return IntegerInterpreter(self.integer).run(x[None].astype(np.int64))[0]

    @cached_property
    def one_step(self) -> int:
        """How far the output moves where every operator is within one step."""
        return one_step_everywhere(self.integer, to_int16(self.integer, self.samples), self.words)

    def said(self, path: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder.path / path).read_text())
        return content


def recordings(root: Path) -> None:
    for split, (count, seconds) in SPLITS.items():
        (root / "data" / split).mkdir(parents=True)
        for number in range(count):
            emg, label = activity.classes(split, number, seconds, 1, BAND, 4)
            path = root / "data" / split / f"{split}-{number}.npz"
            np.savez(path, emg=emg, rate=BAND.rate, label=label)


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Example]:
    root = tmp_path_factory.mktemp("examples")
    recordings(root)
    made = {name: Example(name, root) for name in BOARDS}
    for name, example in made.items():
        train = ["train", *example.model, "--data", str(root / "data")]
        assert tendon([*train, "--steps", str(STEPS[name])]) == 0
        assert tendon(["quantize", *example.options]) == 0
    return made


def rms(x: g.Array) -> float:
    return float(np.sqrt((x**2).mean()))


@both
def test_it_tells_classes_apart_on_held_out_recordings_as_integers_too(
    name: str, examples: dict[str, Example]
) -> None:
    said = examples[name].said("quantize.json")
    trivial, metric = said["trivial"]["most_frequent_class"], said["metric"]
    assert metric["quantized"] < 0.6 * trivial
    assert abs(metric["quantized"] - metric["float"]) < 1.0


@both
def test_the_stream_is_the_forward_of_the_module(name: str, examples: dict[str, Example]) -> None:
    example = examples[name]
    found = FloatInterpreter(example.real).run(example.samples[None].astype(np.float64))[0]
    assert example.real.start_up == {"tcn_gru": 0, "transformer": 3}[name]
    assert example.real.provenance["lookahead"] == 0
    found = found[example.real.start_up :]
    assert found.shape == example.frames.shape
    assert np.abs(found - example.frames).max() < 1e-4 * rms(example.frames)


@both
def test_integers_calibrated_on_the_signal_lose_what_its_weights_lose(
    name: str, examples: dict[str, Example]
) -> None:
    example = examples[name]
    signal, begin = example.samples.astype(np.float64), example.real.start_up
    integer = quantize(example.real, observe(example.real, [signal]), "w8a16")
    words = IntegerInterpreter(integer).run(to_int16(integer, signal)[None].astype(np.int64))[0]
    weights = FloatInterpreter(weights_alone(example.real, integer)).run(signal[None])[0]
    found = sqnr_db(example.frames, integer.output.real(words[begin:]))
    assert found >= LEAST_DB
    assert found >= sqnr_db(example.frames, weights[begin:]) - 1.0


@both
def test_onnx_gives_the_floats_and_what_is_close_to_the_integers(
    name: str, examples: dict[str, Example]
) -> None:
    example, begin = examples[name], examples[name].real.start_up
    found = onnx_engine.run(float_form.write(example.real), example.samples)
    assert np.abs(found[begin:] - example.frames).max() < 1e-4 * rms(example.frames)
    found = onnx_engine.run(qdq_form.write(example.integer), example.samples)
    assert sqnr_db(example.integer.output.real(example.words), found) > 55.0


@both
def test_tflite_gives_the_integers_to_a_step_of_each_operator(
    name: str, examples: dict[str, Example]
) -> None:
    example = examples[name]
    x = to_int16(example.integer, example.samples)
    for variables in (True, False):
        content = step_bytes(example.integer, variables)
        found = tflite_engines.run_litert(content, x, name).astype(int)
        assert np.abs(found - example.words).max() <= example.one_step


@both
def test_a_project_around_tflite_micro_computes_the_same(
    name: str, examples: dict[str, Example]
) -> None:
    example = examples[name]
    project = make_tflm(example.integer, example.folder, "virtual-m7")
    x = to_int16(example.integer, example.samples[:1000])
    found = interpreter.run(project / "model/model.tflite", x).astype(int)
    assert len(found) and np.abs(found - example.words[: len(found)]).max() <= example.one_step
    if os.environ.get("TFLM"):
        toy.need("arm-none-eabi-g++")
        tflm = Path(os.environ["TFLM"])
        assert make_firmware(example.integer, example.folder, "virtual-m7", tflm).is_file()


@both
def test_on_the_emulated_board_every_word_is_the_references(
    name: str, examples: dict[str, Example]
) -> None:
    toy.need_emulator()
    assert shutil.which("arm-none-eabi-gcc")
    example, board = examples[name], BOARDS[name]
    assert tendon(["hil", *example.options, "--board", board, "--seconds", "3"]) == 0
    said = example.said(f"c/{board}/hil.json")
    assert said["valid"] and said["bit_exact"] and said["mismatches"] == 0
    assert said["real_time_factor"] > 1.0
