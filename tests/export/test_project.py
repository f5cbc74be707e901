"""The C project: the same bytes every time, builds by itself, refuses what does not fit, readable
by the linters."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bench.tendon import main as tendon
from compress.artifacts import Folder
from compress.errors import TendonError
from export import boards, commands, compilers
from export.c import names
from export.c.project import build_project, write_project
from host.boards import open_process
from tests import toy
from tests.export import every_kernel

ROOT = Path(__file__).parents[2]


def content(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def test_the_same_bytes_every_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_project(
            tmp_path / name, "virtual-f405", toy.model_files(), ["nn_add_s16"], "toy model"
        )
    first = content(tmp_path / "a")
    assert first == content(tmp_path / "b")
    write_project(tmp_path / "a", "virtual-f405", toy.model_files(), ["nn_add_s16"], "toy model")
    assert content(tmp_path / "a") == first
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"], "nothing is left aside"


def test_a_network_is_called_as_name_says_and_is_the_same_to_a_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where an image of another name is there already."""
    toy.need("gcc", "make")
    graph, folder = every_kernel.integer("picture"), Folder(tmp_path, "net", "w8a16")
    monkeypatch.setattr(commands, "graph_of", lambda args: (graph, folder))
    for name in ("first one", "second \u00e9"):
        assert tendon(["firmware", "--board", "posix", "--name", name]) == 0
        identifier = names.identifier(name)
        header = folder.target("posix") / "project" / "model" / f"{identifier}.h"
        assert f'"{graph.hash()}"' in header.read_text()
        with open_process(folder.target("posix") / "firmware") as board:
            assert board.link.handshake().model_hash == graph.hash()
    assert tendon(["export", "--format", "c", "--board", "posix", "--name", "third"]) == 0
    assert header.with_name("third.h").is_file() and not header.exists()
    assert tendon(["export", "--format", "c", "--board", "posix", "--name", "?!"]) == 2
    assert "NAME=?!: expected letters or digits" in capsys.readouterr().err


def test_a_project_holds_only_the_kernels_it_uses_and_all_they_include(tmp_path: Path) -> None:
    write_project(tmp_path / "p", "virtual-f405", toy.model_files(), ["nn_add_s16"], "toy model")
    kernels = {p.name for p in (tmp_path / "p" / "nn").iterdir()}
    assert "nn_add_s16.c" in kernels and "nn.h" in kernels
    assert sum(name.endswith(".c") for name in kernels) == 1
    with pytest.raises(TendonError, match=r"nn_absent_s8\.c: no such kernel"):
        write_project(
            tmp_path / "q", "virtual-f405", toy.model_files(), ["nn_absent_s8"], "toy model"
        )
    assert not (tmp_path / "q").exists()


def test_an_old_project_is_replaced_as_a_whole(tmp_path: Path) -> None:
    old = tmp_path / "p" / "model" / "stale.c"
    old.parent.mkdir(parents=True)
    old.write_text("#error stale")
    write_project(tmp_path / "p", "posix", toy.model_files(), [], "toy model")
    assert not old.exists()


def stopped(_: Path, __: Path) -> None:
    raise KeyboardInterrupt


def test_an_interruption_between_the_two_leaves_the_old_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_project(tmp_path / "p", "posix", toy.model_files(), [], "toy model")
    before, rename = content(tmp_path / "p"), Path.rename
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", lambda a, b: (stopped if a.name == "new" else rename)(a, b))
        with pytest.raises(KeyboardInterrupt):
            write_project(tmp_path / "p", "posix", toy.model_files(), [], "another")
    assert content(tmp_path / "p") == before
    assert [p.name for p in tmp_path.iterdir()] == ["p"], "nothing is left aside"


def test_what_a_killed_run_left_aside_goes_with_the_next(tmp_path: Path) -> None:
    """And only that: another run may be writing."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    for name in (f".p.{ended.pid}.abc", f".p.{os.getpid()}.abc", f".q.{ended.pid}.abc", ".p.mine"):
        (tmp_path / name / "new").mkdir(parents=True)
    write_project(tmp_path / "p", "posix", toy.model_files(), [], "toy model")
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == sorted([f".p.{os.getpid()}.abc", f".q.{ended.pid}.abc", ".p.mine", "p"])


@pytest.mark.parametrize("mark", ['"', ";", "'", "$", "`", "#", ":", "(", "|"])
def test_make_builds_whatever_is_in_a_path(mark: str, tmp_path: Path) -> None:
    toy.need("gcc", "make")
    project = tmp_path / f"a{mark}b" / "p"
    write_project(project, "posix", toy.model_files(), [], "toy model")
    for out in (None, tmp_path / f"out{mark}b"):
        assert build_project(project, "posix", out).is_file()


def test_the_same_source_gives_the_same_image(tmp_path: Path) -> None:
    """Wherever the project lies."""
    toy.need("arm-none-eabi-gcc")
    write_project(tmp_path / "elsewhere", "virtual-f405", toy.model_files(), [], "toy model")
    image = build_project(tmp_path / "elsewhere", "virtual-f405")
    assert (
        image.with_suffix(".bin").read_bytes() == toy.f405_image().with_suffix(".bin").read_bytes()
    )


def test_a_network_that_does_not_fit_is_refused_with_the_shortfall(tmp_path: Path) -> None:
    """QEMU's machine would run it: it has 192 KiB where the chip has 128."""
    toy.need("arm-none-eabi-gcc")
    files = toy.model_files()
    files["model.c"] += (
        b"uint8_t too_much[120 * 1024];\nuint8_t *use_it(void);\nuint8_t *use_it(void) { return"
        b" too_much; }\n"
    )
    files["model.c"] = files["model.c"].replace(
        b"state[511]++;", b"state[511]++;\n    too_much[all % sizeof too_much] = 1;"
    )
    files["model.c"] = files["model.c"].replace(
        b"#include <string.h>", b"#include <string.h>\nextern uint8_t too_much[120 * 1024];"
    )
    write_project(tmp_path / "p", "virtual-f405", files, [], "too big")
    with pytest.raises(TendonError, match=r"has 131,072 bytes of ram, [\d,]+ too few"):
        build_project(tmp_path / "p", "virtual-f405")


PRESETS = {"virtual-f405": b"gcc 1", "virtual-f405-clang": b"clang 1", "posix": b"gcc 1"}


def test_cmake_builds_every_preset_of_one_folder_with_its_compiler(tmp_path: Path) -> None:
    toy.need("cmake", "arm-none-eabi-gcc", compilers.clang())
    write_project(tmp_path / "p", "virtual-f405", toy.model_files(), ["nn_add_s16"], "toy model")
    content = {}
    for preset, compiler in PRESETS.items():
        folder = f"build-cmake/{preset}"
        for command in (["cmake", "--preset", preset], ["cmake", "--build", folder]):
            done = subprocess.run(command, cwd=tmp_path / "p", capture_output=True, text=True)
            assert done.returncode == 0 and "warning" not in done.stderr, done.stdout + done.stderr
        name = boards.load_board(preset.removesuffix("-clang")).image
        content[preset] = (tmp_path / "p" / folder / name).read_bytes()
        assert compiler in content[preset]
    assert len(set(content.values())) == len(PRESETS)


def said(project: Path, *words: str, code: int = 0) -> str:
    """What make says."""
    done = subprocess.run(["make", *words], cwd=project, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("board", ["virtual-m7", "", "posix virtual-f405"])
def test_a_board_that_the_project_is_not_for_is_refused(board: str, tmp_path: Path) -> None:
    toy.need("make")
    write_project(tmp_path / "p", "virtual-f405", toy.model_files(), [], "toy model")
    expected = f"BOARD={board}: expected virtual-f405 or posix; an export is for one board"
    assert expected in said(tmp_path / "p", f"BOARD={board}", code=2)


def test_make_says_a_short_line_for_each_file_and_v_shows_all(tmp_path: Path) -> None:
    toy.need("arm-none-eabi-gcc", "make")
    files = toy.model_files() | {"loud.c": b'#pragma message("portable loops")\nextern int i;\n'}
    write_project(tmp_path / "p", "virtual-f405", files, ["nn_add_s16"], "toy model")
    lines = said(tmp_path / "p").splitlines()
    told = [line for line in lines if line.startswith(("CC ", "LINK ", "BIN "))]
    sources = sum(line.startswith("CC ") for line in told)
    assert sources > 15 and "CC      nn/nn_add_s16.c" in told
    assert len(told) == sources + 2 and max(map(len, told)) < 60
    assert "portable loops" in "".join(line for line in lines if line not in told)
    assert said(tmp_path / "p", "V=1", "OUT=again").count(" -Wconversion ") >= sources
    quiet = said(tmp_path / "p", "-s", "OUT=quiet")
    assert "CC " not in quiet and "portable loops" in quiet


def test_a_compiler_error_is_shown(tmp_path: Path) -> None:
    toy.need("gcc")
    write_project(
        tmp_path / "p",
        "posix",
        {**toy.model_files(), "model.c": b"int broken(void) { return missing; }\n"},
        [],
        "broken",
    )
    with pytest.raises(TendonError, match="missing"):
        build_project(tmp_path / "p", "posix")


def test_every_board_is_described() -> None:
    for name in boards.names():
        board = boards.load_board(name)
        begins = (
            ("emulated",) if board.emulator else ("built, not run",) if board.prefix else ("runs",)
        )
        assert board.name == name and board.status.startswith(begins)
        assert bool(board.baud) == (board.loading is not None), "a chip has a line with a rate"
    with pytest.raises(
        TendonError, match=f"BOARD=nucleo: expected one of {', '.join(boards.names())}"
    ):
        boards.load_board("nucleo")


CHIPS = [name for name in boards.names() if boards.load_board(name).loading]


@pytest.mark.parametrize("name", CHIPS)
def test_the_image_of_a_chip_builds_with_the_dsp_kernels(name: str, tmp_path: Path) -> None:
    toy.need("arm-none-eabi-gcc")
    arguments = "const nn_linear *l, const nn_s4d *s, uint32_t *state, const int16_t *x, int16_t *y"
    calls = "nn_linear_s8_s16(l, x, y); nn_s4d_s16(s, state, x, y);"
    keep = f'#include "nn.h"\nvoid keep({arguments});\nvoid keep({arguments}) {{ {calls} }}\n'
    files = toy.model_files() | {"keep.c": keep.encode()}
    write_project(tmp_path / "p", name, files, ["nn_linear_s8_s16", "nn_s4d_s16"], "toy model")
    image = build_project(tmp_path / "p", name, extra_flags="-Wl,-u,keep")
    listing = subprocess.run(
        ["arm-none-eabi-objdump", "-d", image], capture_output=True, text=True, check=True
    ).stdout
    assert {"smlald", "smlad", "sxtb16", "smlsd", "smladx"} <= set(
        re.findall(r"\t(\w+)\t", listing)
    )


@pytest.mark.parametrize("name", CHIPS)
def test_the_readme_says_how_to_build_and_flash(name: str, tmp_path: Path) -> None:
    board = boards.load_board(name)
    assert board.loading is not None
    write_project(tmp_path / "p", name, toy.model_files(), [], "toy model")
    text = (tmp_path / "p" / "README.md").read_text().replace("\\\n", " ")
    readme = " ".join(text.split())  # lines are wrapped
    emulated = ("qemu-system-arm",) if board.emulator else ()
    for words in (
        "make",
        "cmake",
        "pio run",
        "st-flash",
        "openocd",
        "stm32flash",
        "921600 baud",
        board.title,
        board.status,
        *emulated,
    ):
        assert words in readme
    assert (
        all(f"-f {script}" in readme for script in board.loading.openocd)
        and board.loading.boot_loader in readme
    )


def test_cppcheck_finds_nothing() -> None:
    if shutil.which("cppcheck") is None:
        toy.need("cppcheck")
    done = subprocess.run(["sh", "firmware/cppcheck.sh"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
