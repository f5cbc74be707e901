"""Other reference cases can be held against the project: where a case is read from, and with which
weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from tests.conftest import SHARED, Cases

MODEL, OTHER = "TC_S4_small", "TC_S4_medium"


@pytest.fixture
def given(cases: Cases, tmp_path: Path) -> Path:
    """A folder of somebody's with the input and output of one model."""
    (tmp_path / MODEL).mkdir()
    shutil.copy(cases / f"{MODEL}/io.npz", tmp_path / MODEL)
    return tmp_path


def test_a_case_is_read_from_the_given_folder_and_what_is_missing_there_from_the_usual(
    given: Path,
) -> None:
    found = Cases(given)
    assert found / f"{MODEL}/io.npz" == given / MODEL / "io.npz"
    assert found / f"{MODEL}/spec.json" == SHARED / MODEL / "spec.json"
    assert found / f"{OTHER}/io.npz" == SHARED / OTHER / "io.npz"


def test_the_salt_belongs_to_the_outputs_of_the_given_folder(given: Path) -> None:
    found = Cases(given, given_salt=7)
    assert (found.salt(MODEL), found.salt(OTHER)) == (7, 0)
    assert Cases(SHARED, given_salt=7).salt(OTHER) == 7


def test_a_checkpoint_has_the_weights_of_its_salt(given: Path, tmp_path: Path) -> None:
    made = {}
    for name, found in (("usual", Cases(SHARED)), ("given", Cases(given, given_salt=1))):
        path = found.checkpoint(MODEL, tmp_path / name)
        made[name] = torch.load(path, weights_only=False)["state_dict"]
    key = "model.6.weight"
    assert made["usual"].keys() == made["given"].keys()
    assert not torch.equal(made["usual"][key], made["given"][key])


def test_a_given_description_of_a_network_is_the_one_that_is_built(
    given: Path, tmp_path: Path
) -> None:
    spec = json.loads((SHARED / MODEL / "spec.json").read_text())
    spec["lightning_version"] = "9.9.9"
    (given / MODEL / "spec.json").write_text(json.dumps(spec))
    path = Cases(given).checkpoint(MODEL, tmp_path)
    assert torch.load(path, weights_only=False)["pytorch-lightning_version"] == "9.9.9"


def test_a_case_that_lies_nowhere_is_missed_by_name(
    given: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "1")
    with pytest.raises(pytest.fail.Exception, match=r"no nothing/io\.npz"):
        Cases(given) / "nothing/io.npz"
