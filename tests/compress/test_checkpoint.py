"""A published checkpoint loads by its own hyper-parameters and computes what was published; all
else is refused, with why."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compress.errors import CheckpointError
from compress.frontend import checkpoint
from compress.frontend.families import HYPER_PARAMETERS, build
from tests.conftest import HYBRID


@pytest.mark.parametrize("name", HYBRID)
def test_published_network_matches_its_recorded_output(name, cases, published_checkpoint):
    loaded = checkpoint.load(published_checkpoint(name))
    case = np.load(cases / f"{name}/io.npz")
    assert loaded.name == name
    assert (
        np.abs(checkpoint.forward(loaded, case["input"].reshape(-1, 32)) - case["output"]).max()
        < 1e-4
    )


@pytest.mark.parametrize("name", HYBRID)
def test_shipped_hyper_parameters_are_the_published_ones(name, published_checkpoint):
    found = checkpoint.load(published_checkpoint(name)).hyper_parameters
    for key, value in HYPER_PARAMETERS[name].items():
        assert found[key] == value, key


def saved(tmp_path: Path, change) -> Path:
    """A small checkpoint after `change(content)`."""
    path = tmp_path / "changed.ckpt"
    model = build(HYPER_PARAMETERS["TC_S4_small"])
    content = {
        "state_dict": dict(model.state_dict()),
        "hyper_parameters": dict(HYPER_PARAMETERS["TC_S4_small"]),
    }
    change(content)
    torch.save(content, path)
    return path


def test_what_is_saved_loads_again_with_the_same_weights(tmp_path):
    model = build(HYPER_PARAMETERS["TC_S4_small"]).eval()
    checkpoint.save(tmp_path / "a.ckpt", model, HYPER_PARAMETERS["TC_S4_small"])
    again = checkpoint.load(tmp_path / "a.ckpt").model.state_dict()
    assert all(torch.equal(v, again[k]) for k, v in model.state_dict().items())


@pytest.mark.parametrize("name", ["TC_S4_small", "tracking_vemg2pose"])
def test_half_precision_halves_the_file_and_keeps_eleven_bits(name, tmp_path):
    model = build(HYPER_PARAMETERS[name]).eval()
    for dtype in (torch.float32, torch.float16):
        checkpoint.save(tmp_path / f"{dtype}.ckpt", model, HYPER_PARAMETERS[name], dtype)
    whole, half = (tmp_path / f"torch.float{bits}.ckpt" for bits in (32, 16))
    assert half.stat().st_size < 0.55 * whole.stat().st_size
    again = checkpoint.load(half).model.state_dict()
    for key, value in model.state_dict().items():
        assert again[key].dtype == value.dtype
        torch.testing.assert_close(again[key], value, rtol=2**-11, atol=2**-24)


def test_a_weight_that_half_precision_cannot_hold_is_refused(tmp_path):
    model = build(HYPER_PARAMETERS["TC_S4_small"])
    model.model[6].bias.data[0] = 1e6
    with pytest.raises(
        CheckpointError, match=r"model\.6\.bias: expected values that torch\.float16 holds"
    ):
        checkpoint.save(tmp_path / "a.ckpt", model, HYPER_PARAMETERS["TC_S4_small"], torch.float16)
    assert not list(tmp_path.iterdir())


def test_keys_that_are_missing_extra_or_misshapen_are_all_listed(tmp_path):
    def change(content):
        weights = content["state_dict"]
        del weights["model_HF.layers.0.bias"]
        weights["intruder"] = torch.zeros(3)
        weights["model.6.weight"] = torch.zeros(7, 7)

    with pytest.raises(CheckpointError) as error:
        checkpoint.load(saved(tmp_path, change))
    for part in (
        "missing model_HF.layers.0.bias (96,)",
        "extra intruder",
        "expected shape (99, 150), found (7, 7)",
    ):
        assert part in str(error.value)


def test_two_names_of_one_parameter_must_agree(tmp_path):
    def change(content):
        content["state_dict"]["model.4.layers.0.bias"] = torch.ones(96)

    with pytest.raises(
        CheckpointError, match=r"model\.4\.layers\.0\.bias differs from model_HF\.layers\.0\.bias"
    ):
        checkpoint.load(saved(tmp_path, change))


def test_nan_weights_are_refused(tmp_path):
    def change(content):
        content["state_dict"]["model.6.bias"] = torch.full((99,), float("nan"))

    with pytest.raises(CheckpointError, match=r"model\.6\.bias: holds NaN"):
        checkpoint.load(saved(tmp_path, change))


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        (("non_linearity",), "swish", "swish"),
        (("model_LF", "mid_layer_pool_mode"), "median", "mid_layer_pool_mode"),
        (("model_LF", "upscale_last_layer"), 2, "upscale_last_layer"),
        (("model_HF", "_target_"), "emg2qwerty.modules.SJ_SNN", "SJ_SNN"),
        (("in_transform",), "log_spectrogram", "in_transform"),
        (("model_LF", "_target_"), "emg2qwerty.modules.TDSConvEncoder", "TDSConvEncoder"),
    ],
)
def test_hyper_parameters_without_a_network_here_are_named(where, value, message, tmp_path):
    def change(content):
        target = content["hyper_parameters"] = {
            k: dict(v) if isinstance(v, dict) else v for k, v in content["hyper_parameters"].items()
        }
        for key in where[:-1]:
            target = target[key]
        target[where[-1]] = value

    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(saved(tmp_path, change))


class Bomb:
    """Unpickling this would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_a_malicious_pickle_is_refused_and_runs_nothing(tmp_path):
    marker = tmp_path / "owned"
    path = saved(tmp_path, lambda content: content["hyper_parameters"].update(x=Bomb(marker)))
    with pytest.raises(CheckpointError, match="allow-list"):
        checkpoint.load(path)
    (tmp_path / "raw.ckpt").write_bytes(pickle.dumps(Bomb(marker)))
    with pytest.raises(CheckpointError):
        checkpoint.load(tmp_path / "raw.ckpt")
    assert not marker.exists()


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("good") / "good.ckpt"
    checkpoint.save(path, build(HYPER_PARAMETERS["TC_S4_small"]), HYPER_PARAMETERS["TC_S4_small"])
    return path


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=st.floats(0.0, 0.9), bit=st.integers(0, 7))
def test_a_flipped_bit_in_a_stored_tensor_is_noticed(place, bit, good, tmp_path):
    content = bytearray(good.read_bytes())
    start = (
        content.find(b"data/0") + 64
    )  # tensors begin here and fill the archive up to its directory
    end = content.rfind(b"PK\x01\x02", 0, content.find(b"PK\x01\x02") + 4)
    content[start + int(place * (end - start) * 0.98)] ^= 1 << bit
    path = tmp_path / "flipped.ckpt"
    path.write_bytes(content)
    try:
        loaded = checkpoint.load(path)
    except CheckpointError:
        return
    # Padding between the archive's entries carries nothing: then every weight must be intact.
    original = checkpoint.load(good).model.state_dict()
    assert all(torch.equal(v, original[k]) for k, v in loaded.model.state_dict().items())


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_truncated_checkpoint_is_refused(data, good, tmp_path):
    content = good.read_bytes()
    path = tmp_path / "short.ckpt"
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 30))])
    with pytest.raises(CheckpointError):
        checkpoint.load(path)


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        checkpoint.load(tmp_path / "none.ckpt")
