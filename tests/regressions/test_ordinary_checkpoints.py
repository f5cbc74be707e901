"""Checkpoints as people have them load, or are refused in a line that names the one thing to do."""

from __future__ import annotations

import collections
import copy
import gzip
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from compress.errors import TendonError
from compress.frontend import checkpoint
from compress.frontend.own import weights
from compress.frontend.stored import arrays as of_numpy
from tests.regressions.small_network import is_loaded, refused


class Settings:
    """An object of a class that nobody here knows."""


class Net(nn.Module):
    """A network of one's own, with a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.norm(self.first(x)))


def renamed(rename: Callable[[str], str]) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        content["state_dict"] = {rename(k): v for k, v in content["state_dict"].items()}

    return change


# --- keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rename", "words"),
    [
        (lambda k: f"_orig_mod.{k}", "begin with '_orig_mod.', which was taken off"),
        (lambda k: f"module.{k}", "begin with 'module.', which was taken off"),
        (lambda k: f"module._orig_mod.{k}", "begin with 'module._orig_mod.'"),
        (lambda k: f"lightning.net.{k}", "begin with 'lightning.net.'"),
        (lambda k: f"model.{k}", "begin with 'model.'"),
        (lambda k: k.replace("model.", "model._orig_mod.", 1), "'_orig_mod' inside its keys"),
        (lambda k: k.replace(".layers.", ".layers.module._orig_mod."), "inside its keys"),
        (lambda k: "net." + k.replace("model.", "model.module.", 1), "begin with 'net.'"),
        (lambda k: k.replace(".0.", "._fsdp_wrapped_module.0."), "'_fsdp_wrapped_module' inside"),
    ],
)
def test_prefixes_of_wrapped_networks_are_taken_off_and_said(
    rename: Callable[[str], str],
    words: str,
    saved: Any,
    published: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert is_loaded(saved(renamed(rename)), published)
    lines = capsys.readouterr().err.splitlines()
    assert any(words in line for line in lines) and len(lines) <= 2


def test_a_network_that_has_such_names_itself_keeps_them(tmp_path: Path) -> None:
    model = nn.ModuleDict({"module": nn.Linear(2, 3), "other": nn.Linear(2, 3)})
    for prefix in ("", "module.", "_orig_mod."):
        path = tmp_path / "a.pt"
        torch.save({prefix + k: v + 1 for k, v in model.state_dict().items()}, path)
        again = copy.deepcopy(model)
        weights.load(again, path, weights.stored(path)[0], "net.py")
        assert torch.equal(again["module"].weight, model["module"].weight + 1)


@pytest.mark.parametrize(
    "beside",
    [
        {"metrics.train_metrics.CER.total": torch.ones(1), "criterion.weight": torch.ones(3)},
        {"val_loss.weight": torch.ones(3), "train_accuracy.tp": torch.ones(3)},
        {"class_weights": torch.ones(3)},
        {"ema_model.last.bias": torch.ones(99), "n_averaged": torch.tensor(3)},
    ],
)
def test_metrics_losses_and_averages_beside_the_weights_are_left_out_and_said(
    beside: dict[str, Any],
    saved: Any,
    published: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert is_loaded(saved(lambda c: c["state_dict"].update(beside)), published)
    assert next(iter(beside)).split(".")[0] in capsys.readouterr().err


@pytest.mark.parametrize("key", ["intruder", "model_LF.s4_layers.2.D", "model.metrics.x", "head.0"])
def test_what_may_be_a_layer_is_not_left_out(key: str, saved: Any) -> None:
    found = refused(saved(lambda c: c["state_dict"].update({key: torch.ones(3)})))
    assert f"extra {key}" in found


def test_of_trained_and_averaged_weights_the_trained_ones_are_taken(
    saved: Any, published: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    def both(trained: str, averaged: str) -> Callable[[dict[str, Any]], None]:
        def change(content: dict[str, Any]) -> None:
            state = content["state_dict"]
            ema = {averaged + k: v + 1 for k, v in state.items()}
            content["state_dict"] = {trained + k: v for k, v in state.items()} | ema

        return change

    for i, names in enumerate(
        [("", "ema."), ("net.", "swa_model.module."), ("model.", "average_model.module.")]
    ):
        assert is_loaded(saved(both(*names), f"{i}.ckpt"), published)
        assert "averaged weights (SWA or EMA) are left out" in capsys.readouterr().err


def test_averaged_weights_alone_are_taken_and_said_to_be(
    saved: Any, published: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    def averaged(content: dict[str, Any]) -> None:
        renamed(lambda k: f"module.{k}")(content)
        content["state_dict"]["n_averaged"] = torch.tensor(12)

    assert is_loaded(saved(averaged), published)
    assert "the weights taken are averaged ones" in capsys.readouterr().err
    assert is_loaded(saved(renamed(lambda k: f"ema.{k}"), "b.ckpt"), published)
    assert "the weights taken are averaged ones" in capsys.readouterr().err


def test_two_sets_of_weights_are_refused(saved: Any) -> None:
    def two(content: dict[str, Any]) -> None:
        state = content["state_dict"]
        content["state_dict"] = {f"{a}.{k}": v for a in "xy" for k, v in state.items()}

    assert "found several: keys that begin with 'x.' or 'y.'" in refused(saved(two))


def test_averages_of_lightning_s_callbacks_are_said(
    saved: Any, published: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    state = {"average_model_state": {"a": torch.ones(1)}, "n_averaged": 3}
    assert is_loaded(saved(lambda c: c.update(callbacks={"SWA": state})), published)
    assert "those of state_dict taken: average_model_state" in capsys.readouterr().err
    assert is_loaded(saved(lambda c: c.update(current_model_state={}), "b.ckpt"), published)
    assert "state_dict holds averaged weights" in capsys.readouterr().err


def test_keys_of_another_network_are_no_wall(saved: Any) -> None:
    found = refused(saved(renamed(lambda k: f"x{hash(k)}")))
    assert "expected keys like" in found and len(found) < 500
    many = {f"k{i}": torch.ones(1) for i in range(300)}
    found = refused(saved(lambda c: c.pop("hyper_parameters") and c.update(many)))
    assert "and 296 more" in found and len(found) < 500
    found = refused(saved(lambda c: c.update(hyper_parameters=many)))
    assert "and 290 more" in found and len(found) < 600


def test_weights_without_hyper_parameters_say_how_to_write_them(
    published: dict[str, Any], tmp_path: Path
) -> None:
    torch.save(published["state_dict"], tmp_path / "a.pt")
    found = refused(tmp_path / "a.pt")
    assert "expected a Lightning checkpoint with 'hyper_parameters'" in found
    assert "torch.save({'state_dict': …, 'hyper_parameters': …}, path)" in found


def test_a_name_from_a_file_does_nothing_to_the_terminal(saved: Any) -> None:
    odd = {"\x1b]0;owned\x07\n\u202e": torch.ones(1)}
    assert "\\x1b]0;owned\\x07\\n\\u202e" in refused(saved(lambda c: c["state_dict"].update(odd)))


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_files_of_the_old_serialization_load(
    protocol: int, saved: Any, published: dict[str, Any]
) -> None:
    how = {"_use_new_zipfile_serialization": False, "pickle_protocol": protocol}
    assert is_loaded(saved(lambda c: None, **how), published)


def test_plain_pickles_and_plain_arrays_load(published: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(published))
    assert is_loaded(tmp_path / "a.pkl", published)


def of_torch_0_4(path: Path, state: dict[str, torch.Tensor]) -> None:
    """A state_dict as Python 2 and PyTorch 0.4.0 wrote it: pairs, and no counters in norms."""

    class Old(dict):
        def __reduce__(self) -> Any:
            return collections.OrderedDict, ([[k, v] for k, v in self.items()],)

    kept = Old({k: v for k, v in state.items() if not k.endswith("num_batches_tracked")})
    torch.save(kept, path, _use_new_zipfile_serialization=False)


def safetensors(path: Path, state: dict[str, torch.Tensor]) -> None:
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for key, value in state.items():
        kind = {torch.float32: "F32", torch.int64: "I64"}[value.dtype]
        raw = value.numpy().tobytes()
        place = [len(data), len(data) + len(raw)]
        header[key] = {"dtype": kind, "shape": list(value.shape), "data_offsets": place}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


WRITERS: dict[str, Callable[[Path, dict[str, torch.Tensor]], object]] = {
    "new": lambda path, state: torch.save(state, path),
    "old": lambda path, state: torch.save(state, path, _use_new_zipfile_serialization=False),
    "0.4": of_torch_0_4,
    "safetensors": safetensors,
    "parameters": lambda p, state: torch.save(
        {k: nn.Parameter(v, False) for k, v in state.items()}, p
    ),
    "beside an average": lambda path, state: torch.save(
        {"model": state, "model_ema": {k: v + 1 for k, v in state.items()}, "epoch": 3}, path
    ),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_weights_of_one_s_own_network_load_from_every_file(writer: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    expected, model = Net().state_dict(), Net()
    WRITERS[writer](tmp_path / "a.pt", expected)
    weights.load(model, tmp_path / "a.pt", weights.stored(tmp_path / "a.pt")[0], "net.py")
    assert all(torch.equal(v, expected[k]) for k, v in model.state_dict().items())


def scripted(path: Path) -> None:
    torch.jit.save(torch.jit.script(Net()), path)


def folder(*names: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        for name in names:
            (path / name).mkdir(parents=True)

    return make


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"x" * 100)


def arrays(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, a=np.ones(3))


OTHERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "nothing": (lambda path: path.write_bytes(b""), "an empty file"),
    "zeros": (lambda path: path.write_bytes(bytes(9999)), "an empty file"),
    "pointer": (
        lambda path: path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0"),
        "git lfs pull",
    ),
    "page": (lambda path: path.write_text("\n<!DOCTYPE html><html>"), "a web page; fetch the file"),
    "gzip": (lambda path: path.write_bytes(gzip.compress(b"x" * 99)), "gunzip"),
    "TorchScript": (scripted, "torch.save(torch.jit.load(path).state_dict()"),
    "ONNX": (lambda path: path.write_bytes(b"\x08\x08\x12\x07pytorch\x1a\x032.1"), "an ONNX model"),
    "HDF5": (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(99)), "an HDF5 file"),
    "compressed": (zipped, "write it again with torch.save"),
    "arrays": (arrays, "arrays of NumPy"),
    "text": (lambda path: path.write_text("weights go here\n"), "something else"),
    "DeepSpeed": (folder("checkpoint", "zero_to_fp32.py"), "deepspeed.utils.zero_to_fp32"),
    "parts": (folder(".metadata", "__0_0.distcp"), "dcp_to_torch"),
    "folder": (folder("last.ckpt"), "give the checkpoint inside of it, like 'last.ckpt'"),
    "empty folder": (folder("."), "found a folder"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_thing_than_a_checkpoint_is_told_what_it_is_and_what_to_do(
    name: str, tmp_path: Path
) -> None:
    make, words = OTHERS[name]
    make(tmp_path / "a.ckpt")
    assert words in refused(tmp_path / "a.ckpt")
    with pytest.raises(TendonError, match=r"a\.ckpt: "):
        weights.stored(tmp_path / "a.ckpt")


# --- tensors --------------------------------------------------------------------------------------

BIAS = "model.6.bias"


def base() -> torch.Tensor:
    return torch.linspace(-1, 1, 99)


REAL: dict[str, Callable[[], torch.Tensor]] = {
    "half": lambda: base().half(),
    "bfloat16": lambda: base().bfloat16(),
    "double": lambda: base().double(),
    "every second": lambda: torch.stack([base(), base()], 1).flatten()[::2],
    "backwards view": lambda: base().flip(0).flip(0),
    "expanded": lambda: torch.ones(1).expand(99),
    "part of a large one": lambda: torch.cat([torch.zeros(1000), base()])[1000:],
    "parameter": lambda: nn.Parameter(base()),
}


@pytest.mark.parametrize("name", REAL)
def test_real_numbers_load_however_they_lie(name: str, saved: Any) -> None:
    path = saved(lambda c: c["state_dict"].update({BIAS: REAL[name]()}))
    assert torch.equal(checkpoint.load(path).model.state_dict()[BIAS], REAL[name]().float())


UNFIT: dict[str, tuple[Callable[[], Any], str]] = {
    "sparse": (lambda: base().to_sparse(), "plain real numbers, found float32, sparse_coo"),
    "rows": (lambda: torch.eye(99).to_sparse_csr(), "shape (99,), found (99, 99)"),
    "quantized": (
        lambda: torch.quantize_per_tensor(base(), 0.1, 0, torch.qint8),
        "plain real numbers, found qint8, quantized",
    ),
    "meta": (lambda: torch.ones(99, device="meta"), "found float32, strided, on meta"),
    "complex": (lambda: base() + 1j, "found complex64"),
    "whole numbers": (
        lambda: torch.ones(99, dtype=torch.int8),
        "floating-point numbers, found int8",
    ),
    "no dimension": (lambda: torch.tensor(1.0), "expected shape (99,), found ()"),
    "a row": (lambda: torch.ones(1, 99), "expected shape (99,), found (1, 99)"),
    "nan": (lambda: base() * torch.nan, "holds NaN or infinite values"),
    "infinite": (lambda: base() / 0, "holds NaN or infinite values"),
    "too large": (lambda: base().double() * 1e300, "holds NaN or infinite values"),
    "conjugate": (lambda: torch.complex(base(), base()).conj().imag, "negative or conjugate"),
    "a list": (lambda: [1.0], "expected a tensor, found [1.0]"),
    "None": (lambda: None, "expected a tensor, found None"),
    "an array": (lambda: np.array([None]), "expected a tensor, found an object of numpy.ndarray"),
    "an object": (Settings, "expected a tensor, found an object of"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_other_tensors_are_refused_by_key_found_and_expected(name: str, saved: Any) -> None:
    make, words = UNFIT[name]
    found = refused(saved(lambda c: c["state_dict"].update({BIAS: make()})))
    assert f"{BIAS}: " in found and words in found and len(found) < 400


# --- old protocols, and arrays instead of tensors -------------------------------------------------


def taken(path: Path, expected: dict[str, torch.Tensor]) -> bool:
    """Whether a network of one's own gets these weights from the file."""
    network = Net()
    weights.load(network, path, weights.stored(path)[0], "net.py")
    return all(torch.equal(v, expected[k]) for k, v in network.state_dict().items())


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_every_protocol_load(tmp_path: Path, protocol: int) -> None:
    state, path = Net().state_dict(), tmp_path / "a.pkl"
    for content in (state, dict(state), {"model": state}):
        path.write_bytes(pickle.dumps(content, protocol))
        assert taken(path, state)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2"])
def test_arrays_in_place_of_tensors_load(tmp_path: Path, protocol: int, dtype: str) -> None:
    state, path = Net().state_dict(), tmp_path / "a.pkl"
    arrays = {k: v.numpy() for k, v in state.items()}
    if dtype != "<f4":
        arrays = {k: v.astype(dtype, "F") for k, v in arrays.items() if v.ndim} | {
            k: v for k, v in arrays.items() if not v.ndim
        }
    expected = {k: torch.tensor(v.astype(v.dtype.newbyteorder("="))) for k, v in arrays.items()}
    expected = {k: v.float() if v.is_floating_point() else v for k, v in expected.items()}
    for content in (arrays, {"state_dict": arrays}, {"params": arrays}):
        path.write_bytes(pickle.dumps(content, protocol))
        assert taken(path, expected)


def test_the_old_serialization_with_protocol_1_loads_and_with_0_says_what_to_do(
    tmp_path: Path,
) -> None:
    state, path = Net().state_dict(), tmp_path / "a.pt"
    torch.save(state, path, pickle_protocol=1, _use_new_zipfile_serialization=False)
    assert taken(path, state)
    for new in (False, True):
        torch.save(state, path, pickle_protocol=0, _use_new_zipfile_serialization=new)
        with pytest.raises(TendonError, match=r"protocol 0, .*; write it again with torch\.save"):
            weights.stored(path)


def test_a_tab_in_a_key_does_not_reach_the_terminal(tmp_path: Path) -> None:
    torch.save(dict(Net().state_dict()) | {"a\tb": torch.ones(1)}, tmp_path / "a.pt")
    with pytest.raises(TendonError) as error:
        taken(tmp_path / "a.pt", {})
    assert "\t" not in str(error.value) and "a\\tb" in str(error.value)


@pytest.mark.parametrize("shape", [(3, None), (-3,), ("3",), (True,), [3], None])
def test_an_array_whose_shape_is_none_is_no_tensor(shape: object) -> None:
    array = of_numpy.from_buffer(bytes(12), of_numpy.dtype("f4"), shape, "C")
    assert of_numpy.tensor(array) is None
