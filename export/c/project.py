"""A C project that a firmware engineer can read and take away: model, kernels, application and the
port of the board."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from compress.errors import TendonError
from export.boards import FIRMWARE, Description, load_board
from export.c import linker_script, platformio_files, project_files
from export.c.placement import Where, first_choices

SPEC = FIRMWARE.parent / "SPEC.md"
_INCLUDE = re.compile(rb'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def write_project(
    out_dir: Path,
    board: str,
    model_files: dict[str, bytes],
    kernels: list[str],
    title: str,
    where: Where | None = None,
    cold: Sequence[str] = (),
) -> None:
    """Lay out the project for one board; the same arguments give the same bytes.

    `model_files`: path -> content of what belongs to the network (emit.files), a name alone in
    model/; `kernels`: names of files in firmware/nn, without .c; `title`: one line, what this
    project computes; `where`: part -> region of its memory (default: first choices); `cold`: the
    tables that lie where `where` puts cold ones. A project that stood there before is replaced as
    a whole.
    """
    description = load_board(board)
    files = {n if "/" in n else f"model/{n}": content for n, content in model_files.items()}
    files |= {f"nn/{name}": content for name, content in _kernel_files(kernels).items()}
    where = where or first_choices(description)
    files |= (
        _sources("app", "main.c") | _sources("port/posix") | board_files(description, where, cold)
    )
    if description.prefix:
        files |= platformio_files.sources()
    names = sorted(files)
    texts = project_files.texts(description, where, title, names)
    if description.prefix:
        texts |= platformio_files.texts(description, where, title, names)
    write_files(out_dir, files, texts)


def board_files(
    description: Description, where: Where, cold: Sequence[str] = ()
) -> dict[str, bytes]:
    """What every form of a network shares on a board, by path in the project: application without
    its main, port, SPEC.md."""
    files = _sources("app") | _sources("port", "*.h")
    del files["app/main.c"]
    for folder in description.port_folders:
        files |= _sources(folder)
    if description.linker_script:
        placed = linker_script.lines(description, where, cold)
        files |= {f"port/{description.name}/{name}": _text(lines) for name, lines in placed.items()}
    return files | {"SPEC.md": SPEC.read_bytes()}


def write_files(out_dir: Path, files: dict[str, bytes], texts: dict[str, Iterable[str]]) -> None:
    """Replace a folder as a whole: `files` and `texts` (as lines) by path."""
    _replace_folder(out_dir, files | {name: _text(lines) for name, lines in texts.items()})


def build_project(
    project: Path,
    board: str,
    out: Path | None = None,
    extra_flags: str = "",
    variables: dict[str, str] | None = None,
) -> Path:
    """Compile a project with its own Makefile; returns the image. The objects go to `out` (default:
    project/build/<board>); `variables`: of the Makefile, beside these.

    TendonError holds the compiler's last words, and names what is missing when that is the
    compiler.
    """
    folder = (out or project / "build" / board).resolve()
    _make(
        project,
        board,
        folder,
        [f"EXTRA={extra_flags}", *(f"{name}={value}" for name, value in (variables or {}).items())],
    )
    return folder / load_board(board).image


def build_objects(
    project: Path, board: str, parts: Sequence[str], out: Path | None = None
) -> list[Path]:
    """Compile some of a project's folders (`parts`: "model", "nn", …) for a board without linking
    them; returns the objects."""
    folder = (out or project / "build" / board).resolve()
    sources = [
        source.relative_to(project)
        for part in parts
        for source in sorted((project / part).glob("*.c"))
    ]
    objects = [folder / source.with_suffix(".o") for source in sources]
    _make(project, board, folder, [str(o) for o in objects])
    return objects


def _make(project: Path, board: str, folder: Path, words: list[str]) -> None:
    """The project's Makefile with these variables and targets; objects and image go to `folder`."""
    description = load_board(board)
    if shutil.which(description.compiler) is None:
        raise TendonError(
            f"{board}: the compiler {description.compiler} is not installed; run make tools"
        )
    command = ["make", "-C", str(project), f"BOARD={board}", f"OUT={folder}", *words]
    environment = {
        k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    }
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise TendonError(
            f"{project}: does not build for {board}:\n{_explain(description, done.stderr)}"
        )


def _text(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _explain(board: Description, output: str) -> str:
    """The linker's message about a full region, in terms of the board."""
    for region, excess in re.findall(r"region `(\w+)' overflowed by (\d+) bytes", output):
        size = board.memory[region.lower()].size
        short = f"{size:,} bytes of {region.lower()}, {int(excess):,} too few"
        return f"{board.title} has {short}; use a smaller network or another board"
    return "\n".join(output.splitlines()[-20:])


def _kernel_files(kernels: list[str]) -> dict[str, bytes]:
    """The kernels' sources, and every header of firmware/nn they include, directly or not."""
    files: dict[str, bytes] = {}
    wanted = [f"{name}.c" for name in kernels]
    while wanted:
        name = wanted.pop()
        path = FIRMWARE / "nn" / name
        if name in files:
            continue
        if not path.is_file():
            raise TendonError(f"firmware/nn/{name}: no such kernel")
        files[name] = path.read_bytes()
        wanted += [include.decode() for include in _INCLUDE.findall(files[name])]
    return files


def _sources(folder: str, pattern: str = "*") -> dict[str, bytes]:
    """The files of one folder of firmware/, by their path in the project. board.toml stays: the
    Makefile says the same."""
    paths = sorted((FIRMWARE / folder).glob(pattern))
    return {
        f"{folder}/{p.name}": p.read_bytes()
        for p in paths
        if p.is_file() and p.suffix in (".c", ".h", ".ld")
    }


def _replace_folder(out_dir: Path, files: dict[str, bytes]) -> None:
    """Write aside, then swap: an interruption leaves the old project or the new one."""
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{out_dir.name}.", dir=out_dir.parent))
    try:
        new, old = aside / "new", aside / "old"
        for name, content in files.items():
            path = new / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        if out_dir.exists():
            out_dir.rename(old)
        new.rename(out_dir)
    except OSError as error:
        raise TendonError(f"{out_dir}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
