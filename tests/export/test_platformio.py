"""PlatformIO builds the exported project: the same bytes as make, without its network, its home
folder or its registry."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from platformio.platform.factory import PlatformFactory

from export.boards import load_board, names
from export.c.project import build_project, write_project
from tests import toy

OF_EACH_CORE = {
    tuple(load_board(name).flags): name for name in names() if load_board(name).loading
}.values()
SCONS = "4.41101.0"  # what PlatformIO 6.2 calls the SCons 4.11.1 it asks its registry for


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """PlatformIO's folder, with PyPI's SCons where it looks for its own."""
    folder = tmp_path_factory.mktemp("platformio")
    scons = folder / "packages" / "tool-scons"
    scons.mkdir(parents=True)
    about = {"name": "tool-scons", "version": SCONS}
    (scons / "package.json").write_text(json.dumps(about))
    (scons / ".piopm").write_text(
        json.dumps(about | {"type": "tool", "spec": {"owner": "platformio", "name": "tool-scons"}})
    )
    (scons / "scons.py").write_text("import SCons.Script\n\nSCons.Script.main()\n")
    return folder


def pio(core: Path, project: Path, *targets: str, path: str | None = None) -> str:
    """`pio run` as a user types it, but with nowhere to download from and no home folder; returns
    what it said."""
    nowhere = {
        name: "http://127.0.0.1:9"
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
    }
    environment = {
        "PATH": path or os.environ["PATH"],
        "PLATFORMIO_CORE_DIR": str(core),
        "HOME": str(core / "no-home"),
        **nowhere,
    }
    command = [
        sys.executable,
        "-m",
        "platformio",
        "run",
        *(word for target in targets for word in ("-t", target)),
    ]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", OF_EACH_CORE)
def test_pio_run_builds_the_image_that_make_builds(name: str, core: Path, tmp_path: Path) -> None:
    toy.need("arm-none-eabi-gcc", "make")
    for folder in ("made", "a project"):
        write_project(tmp_path / folder, name, toy.model_files(), ["nn_add_s16"], "toy model")
    pio(core, tmp_path / "a project")
    built = tmp_path / "a project" / ".pio" / "build" / name / "firmware.bin"
    assert (
        built.read_bytes()
        == build_project(tmp_path / "made", name).with_suffix(".bin").read_bytes()
    )
    assert not (core / "no-home").exists() and [p.name for p in (core / "packages").iterdir()] == [
        "tool-scons"
    ]


def test_pio_upload_gives_the_image_to_openocd(core: Path, tmp_path: Path) -> None:
    toy.need("arm-none-eabi-gcc")
    tools, said = tmp_path / "bin", tmp_path / "said"
    tools.mkdir()
    (tools / "openocd").write_text(
        f'#!/bin/sh\nfor word in "$@"; do echo "$word" >> {said}; done\n'
    )
    (tools / "openocd").chmod(0o755)
    write_project(tmp_path / "p", "virtual-f405", toy.model_files(), [], "toy model")
    pio(core, tmp_path / "p", "upload", path=f"{tools}:{os.environ['PATH']}")
    elf = ".pio/build/virtual-f405/firmware.elf"
    expected = [
        "-f",
        "interface/stlink.cfg",
        "-f",
        "target/stm32f4x.cfg",
        "-c",
        f"program {{{elf}}} verify reset exit",
    ]
    assert said.read_text().splitlines() == expected


def test_a_compiler_is_fetched_only_where_the_system_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy.need("arm-none-eabi-gcc")
    write_project(tmp_path / "p", "virtual-f405", toy.model_files(), [], "toy model")

    def fetched(path: str, *targets: str) -> set[str]:
        monkeypatch.setenv("PATH", path)
        platform = PlatformFactory.new(str(tmp_path / "p" / "pio"))
        platform.configure_default_packages({}, list(targets))
        return {
            package for package, options in platform.packages.items() if not options["optional"]
        }

    assert fetched(os.environ["PATH"]) == set()
    assert fetched(str(tmp_path)) == {"toolchain-gccarmnoneeabi"}
    assert fetched(str(tmp_path), "upload") == {"toolchain-gccarmnoneeabi", "tool-openocd"}


def test_a_process_has_no_use_for_platformio(tmp_path: Path) -> None:
    write_project(tmp_path / "p", "posix", toy.model_files(), [], "toy model")
    assert not {"platformio.ini", "pio"} & {p.name for p in (tmp_path / "p").iterdir()}
