"""Hyper-parameters of a checkpoint are data: what a network needs of them is read with what is
expected, what it does not need is left alone, and nothing of them runs."""

from __future__ import annotations

import argparse
import collections
import datetime
import functools
import io
import os
import pathlib
import re
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf, nodes
from torch import nn

from compress.errors import CheckpointError
from compress.frontend import checkpoint
from compress.frontend.families import build
from compress.frontend.own import named, weights
from tests.compress.test_pose_networks import tiny
from tests.regressions.small_network import SMALL, is_loaded, low, refused

# --- interpolations -------------------------------------------------------------------------------


def configured(**changes: Any) -> Callable[[dict[str, Any]], None]:
    """All hyper-parameters as a configuration, with some changed."""

    def change(content: dict[str, Any]) -> None:
        content["hyper_parameters"] = OmegaConf.create(content["hyper_parameters"] | changes)

    return change


def test_interpolations_that_no_network_needs_are_not_resolved(
    saved: Any, published: dict[str, Any]
) -> None:
    schedule = {"max_epochs": "${trainer.max_epochs}", "missing": "???"}
    assert is_loaded(saved(configured(lr_scheduler=schedule)), published)
    node = OmegaConf.create(schedule)
    assert is_loaded(saved(lambda c: c["hyper_parameters"].update(s=node), "b.ckpt"), published)


@pytest.mark.parametrize(
    "text", ["${oc.env:SECRET}", "${oc.decode:${oc.env:SECRET}}", "${mine:3}", "a${oc.env:SECRET}b"]
)
def test_no_resolver_is_run_and_no_variable_read(
    text: str, saved: Any, published: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("a resolver was run")

    OmegaConf.register_new_resolver("mine", never, replace=True)
    monkeypatch.setenv("SECRET", "gelu")
    path = saved(configured(root=text))
    assert is_loaded(path, published)
    assert checkpoint.load(path).hyper_parameters["root"] == text
    found = refused(saved(configured(model_LF=low(activation=text)), "b.ckpt"))
    assert "model_LF.activation: expected a text, found the interpolation" in found
    assert "names a resolver; none is ever run" in found
    OmegaConf.clear_resolver("mine")


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 6, "model_LF": low(d_model="${width}")},
        {"a": {"b": [1, 6]}, "model_LF": low(d_model="${a.b[1]}")},
        {"a": {"b": {"6": 6}}, "key": "b", "model_LF": low(d_model="${a.${key}.6}")},
        {"a": "${b}", "b": "${c}", "c": 6, "model_LF": low(d_model="${a}")},
        {"model_LF": low(d_model="${.size}", size=6)},
        {"model_LF": low(d_model="${..size}"), "size": 6},
        {"low": low(d_model="${size}"), "size": 6, "model_LF": "${low}"},
        {"kind": "S4D", "model_LF": low(S4_model="${kind}", activation="g${rest}"), "rest": "elu"},
    ],
)
@pytest.mark.parametrize("as_config", [True, False])
def test_what_is_needed_is_resolved_within_the_hyper_parameters(
    changes: dict[str, Any], as_config: bool, saved: Any, published: dict[str, Any]
) -> None:
    change = configured(**changes) if as_config else lambda c: c["hyper_parameters"].update(changes)
    assert is_loaded(saved(change), published)


def test_a_node_that_was_cut_out_is_resolved_in_its_own_tree(
    saved: Any, published: dict[str, Any]
) -> None:
    whole = OmegaConf.create({"width": 6, "net": {"low": low(d_model="${width}")}})
    path = saved(lambda c: c["hyper_parameters"].update(model_LF=whole.net.low))
    assert is_loaded(path, published)


def test_what_is_needed_and_not_stored_is_refused_by_its_key(saved: Any) -> None:
    found = refused(saved(configured(model_LF=low(d_model="${trainer.width}"))))
    assert "model_LF.d_model: expected a whole number" in found
    assert "the interpolation '${trainer.width}', whose key is not stored" in found
    h = tiny()
    h["network_conf"]["decoder"]["hidden_size"] = "${nowhere}"
    found = refused(saved(lambda c: c.update(hyper_parameters=OmegaConf.create(h)), "b.ckpt"))
    assert "network_conf.decoder.hidden_size: expected a whole number" in found


# --- classes --------------------------------------------------------------------------------------


class AttributeDict(dict):
    """As Lightning's."""


AttributeDict.__module__ = "lightning.fabric.utilities.data"


class Settings:
    """An object of a class that nobody here knows."""

    def __init__(self) -> None:
        self.depth = 3


HARMLESS: dict[str, Any] = {
    "path": pathlib.PosixPath("/data/x"),
    "windows": pathlib.PureWindowsPath("C:\\data"),
    "scalar": np.float64(3.2),
    "whole": np.int32(7),
    "text": np.str_("a"),
    "array": np.arange(6.0).reshape(2, 3),
    "typed": OmegaConf.create({"a": nodes.IntegerNode(3), "b": nodes.PathNode(Path("/x"))}),
    "counts": collections.Counter("aab"),
    "defaults": collections.defaultdict(list, a=[1]),
    "ordered": collections.OrderedDict(a=1),
    "namespace": argparse.Namespace(a=1),
    "size": torch.Size([1, 2]),
    "device": torch.device("cuda:1"),
    "type": torch.float16,
    "version": torch.torch_version.TorchVersion("2.1"),
    "moment": datetime.datetime(2024, 1, 2, 3),
    "span": datetime.timedelta(3),
    "id": uuid.UUID(int=5),
    "class": torch.optim.Adam,
    "function": os.path.join,
    "partial": functools.partial(torch.optim.Adam, lr=0.1),
    "set": {1, 2},
    "range": range(3),
    "complex": 1 + 2j,
    "tensor": torch.ones(3),
    "object": Settings(),
}


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_classes_are_read_as_data(
    name: str, protocol: int, saved: Any, published: dict[str, Any]
) -> None:
    def change(content: dict[str, Any]) -> None:
        content["hyper_parameters"]["extra"] = HARMLESS[name]
        content["callbacks"] = {"State": HARMLESS[name], HARMLESS["class"]: 1}

    path = saved(change, pickle_protocol=protocol)
    assert is_loaded(path, published)
    extra = checkpoint.load(path).hyper_parameters["extra"]
    torch.save({"again": extra}, path)
    assert torch.load(path, weights_only=True) == {"again": extra}  # plain values alone


def test_values_of_other_libraries_are_values(saved: Any, published: dict[str, Any]) -> None:
    def change(content: dict[str, Any]) -> None:
        changes = low(d_model=np.int64(6), dropout_inner=np.float32(0.5), n_layers=2.0)
        content["hyper_parameters"] |= {"model_LF": changes, "offsets": np.array([0])}
        content["hyper_parameters"]["mlp_features"] = (4,)

    assert is_loaded(saved(change), published)


def test_a_call_of_another_class_is_refused_by_its_name(saved: Any) -> None:
    class Odd:
        def __reduce__(self) -> Any:
            return datetime.datetime.strptime, ("1", "%d")

    found = refused(saved(lambda c: c["hyper_parameters"].update(x=Odd())))
    assert "beyond the allow-list ('datetime.datetime.strptime')" in found
    assert "state_dict and hyper_parameters of plain values" in found


def test_an_object_that_is_needed_is_refused_by_the_name_of_its_class(saved: Any) -> None:
    found = refused(saved(lambda c: c["hyper_parameters"].update(model_LF=Settings())))
    assert "model_LF: expected a dict, found an object of" in found and "Settings" in found


def test_a_pickled_network_is_refused_by_the_name_of_its_class(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 3), tmp_path / "a.pt")
    words = "an object of torch.nn.modules.linear.Linear, pickled as a whole"
    with pytest.raises(CheckpointError, match=re.escape(words)):
        weights.stored(tmp_path / "a.pt")
    assert words in refused(tmp_path / "a.pt")


# --- hyper-parameters -----------------------------------------------------------------------------

ODD: tuple[Any, ...] = (None, [], [1], -1, 0, 10**9, 2.5, float("nan"), "96", True, {}, b"x")
KEYS = (
    *("mlp_features", "input_mean_pooling", "offsets", "pooling", "norm", "non_linearity"),
    *("model_LF.d_model", "model_LF.d_latent_space", "model_LF.n_layers", "model_LF.d_output"),
    *("model_LF.dt_min", "model_LF.dropout_inner", "model_LF.prenorm", "model_LF.activation"),
    *("model_LF.end_layer_pool_mode", "model_LF._target_", "model_LF.S4_model"),
    *("model_HF.out_channels", "model_HF.strides", "model_HF.kernel_sizes", "model_HF.padding"),
    *("model_HF.norm", "model_HF.activation", "model_HF._target_", "model_HF", "model_LF"),
)


@pytest.mark.parametrize("key", KEYS)
def test_a_hyper_parameter_that_is_something_else_is_refused_by_its_key(
    key: str, saved: Any
) -> None:
    *outer, last = key.split(".")
    for value in ODD:

        def change(content: dict[str, Any], value: Any = value) -> None:
            target = content["hyper_parameters"]
            for part in outer:
                target = target[part]
            target[last] = value

        try:
            checkpoint.load(saved(change))
        except CheckpointError as error:
            said = str(error)
            assert "\n" not in said and len(said) < 1500
            assert last.split("_pool")[0] in said or "does not fit" in said, (value, said)


@pytest.mark.parametrize(
    "key", ["hidden_size", "num_layers", "in_channels", "out_channels", "scale"]
)
def test_so_is_one_of_a_pose_network(key: str, saved: Any) -> None:
    for value in (None, [1], -1, 0, 10**9, float("nan"), "96", True, {}):
        h = tiny()
        h["network_conf"]["decoder"][key] = value
        if key == "scale" and value in (-1, 0, 10**9):
            continue
        found = refused(saved(lambda c, h=h: c.update(hyper_parameters=h)))
        assert f"network_conf.decoder.{key}" in found or "decoder" in found, (value, found)


def test_one_real_state_is_refused_by_its_key_and_three_are_one_complex_state(saved: Any) -> None:
    h = SMALL | {"model_LF": low(d_latent_space=1)}
    path = saved(lambda c: c.update(hyper_parameters=h, state_dict=build(h).state_dict()))
    found = refused(path)
    assert "model_LF.d_latent_space: expected a whole number from 2" in found
    assert "found 1" in found
    h = SMALL | {"model_LF": low(d_latent_space=3)}
    path = saved(lambda c: c.update(hyper_parameters=h, state_dict=build(h).state_dict()))
    assert checkpoint.load(path).model.model_LF.s4_layers[0].kernel.A_imag.shape == (6, 1)


@pytest.mark.parametrize("value", [None, 3, "x", [1], {"ranks": 3}, {"ranks": {3: 1}}])
def test_so_is_what_compression_says(value: Any, saved: Any) -> None:
    if value is None:
        return
    found = refused(saved(lambda c: c["hyper_parameters"].update(tendon=value)))
    assert "tendon.ranks: expected a dict of module path to rank" in found


def test_hyper_parameters_that_are_no_dict_are_refused(saved: Any) -> None:
    for value in (None, 3, [1], "x", Settings()):
        found = refused(saved(lambda c, value=value: c.update(hyper_parameters=value)))
        assert "hyper_parameters" in found and "expected a dict, found" in found


def test_what_a_network_file_said_is_checked(saved: Any) -> None:
    said = {"file": "net.py", "function": "network", "name": "net", "sources": {}}
    said |= {"sample_rate": 1000, "electrodes": 4, "task": "values"}
    said |= {"classes": None, "window": None, "stride": None}
    for key, value in (("sample_rate", -1), ("task", "x"), ("electrodes", None), ("name", 3)):
        h = {named.KEY: said | {key: value}}
        found = refused(saved(lambda c, h=h: c.update(hyper_parameters=h)))
        assert f"{named.KEY}.{key}: expected" in found


def test_nothing_of_a_checkpoint_is_imported(saved: Any, published: dict[str, Any]) -> None:
    """A class of a module that there is not is a name."""
    path = saved(lambda c: c.update(x=Settings, y=Settings()))
    pickled = path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(pickled)) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, raw in content.items():
            archive.writestr(
                name, raw.replace(b"test_ordinary_checkpoints", b"nowhere" + b"_" * 18)
            )
    assert is_loaded(path, published)
