"""A C project that a firmware engineer can read and take away: model, kernels, application and the
port of the board."""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from compress.errors import TendonError
from compress.files import visible
from export import compilers
from export.boards import FIRMWARE, Description, load_board
from export.c import (
    cmake_files,
    folding,
    library_files,
    linker_script,
    makefile,
    platformio_files,
    readme,
)
from export.c.placement import Where, first_choices

SPECIFICATION = FIRMWARE.parent / "docs" / "spec"
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

    `model_files`: path (a bare name lies in model/) -> content; `kernels`: names of files
    in firmware/nn, without .c; `title`: one line, what this project computes; `where`: part ->
    region of its memory (default: first choices); `cold`: the tables that lie where `where` puts
    cold ones. A project that stood there before is replaced as a whole.
    """
    description = load_board(board)
    files = {n if "/" in n else f"model/{n}": text for n, text in model_files.items()}
    files |= {f"nn/{name}": content for name, content in _kernel_files(kernels).items()}
    where = where or first_choices(description)
    files |= (
        _sources("app", "main.c") | _sources("port/posix") | board_files(description, where, cold)
    )
    if description.prefix:
        files |= platformio_files.sources()
    write_files(out_dir, files, _texts(description, where, title, files))


def _texts(
    board: Description, where: Where, title: str, files: dict[str, bytes]
) -> dict[str, Iterable[str]]:
    """The written files, as lines by path. `files`: all the others."""
    names, name, title = sorted(files), identifier(files), folding.title(title)
    boards = [board] if board.name == "posix" else [board, load_board("posix")]
    texts: dict[str, Iterable[str]] = {
        "Makefile": folding.makefile(makefile.lines(boards, where, title)),
        "README.md": folding.markdown(readme.lines(board, where, title, name, names)),
        ".gitignore": ["build/", f"{cmake_files.FOLDER}/", ".pio/"],
        **cmake_files.texts(boards, title, names, name),
        **library_files.texts(title, files, name),
    }
    if board.prefix:
        texts |= platformio_files.texts(board, where, title, names)
    return texts


def identifier(names: Iterable[str]) -> str:
    """The network's name in C: that of its header, the shortest in model/."""
    headers = [Path(n).stem for n in names if n.startswith("model/") and n.endswith(".h")]
    return min(headers, key=len, default="model")


def board_files(
    description: Description, where: Where, cold: Sequence[str] = ()
) -> dict[str, bytes]:
    """What every form of a network shares on a board, by path in the project: application without
    its main, port, specification."""
    files = _sources("app") | _sources("port", "*.h")
    del files["app/main.c"]
    for folder in description.port_folders:
        files |= _sources(folder)
    if description.linker_script:
        placed = linker_script.lines(description, where, cold)
        files |= {f"port/{description.name}/{name}": _text(lines) for name, lines in placed.items()}
    pages = sorted(SPECIFICATION.glob("*.md"))
    return files | {f"docs/spec/{page.name}": page.read_bytes() for page in pages}


def write_files(out_dir: Path, files: dict[str, bytes], texts: dict[str, Iterable[str]]) -> None:
    """Replace a folder as a whole: `files` and `texts` (as lines) by path."""
    _replace_folder(out_dir, files | {name: _text(lines) for name, lines in texts.items()})


def files_of(project: Path) -> list[Path]:
    """The files of a project as it was written, without what was built in it."""
    built = {"build", cmake_files.FOLDER, ".pio"}
    return [
        path
        for path in sorted(project.rglob("*"))
        if path.is_file() and path.relative_to(project).parts[0] not in built
    ]


def build_project(
    project: Path,
    board: str,
    out: Path | None = None,
    extra_flags: str = "",
    variables: dict[str, str] | None = None,
    compiler: str = "gcc",
) -> Path:
    """Compile a project with its own Makefile; returns the image. The objects go to `out` (default:
    project/build/<board>); `variables`: of the Makefile, beside these.

    TendonError holds the compiler's last words, and names what is missing when that is the
    compiler.
    """
    folder = (out or project / "build" / board).resolve()
    given = {"EXTRA": extra_flags} | (variables or {})
    _make(project, board, folder, compiler, [f"{name}={value}" for name, value in given.items()])
    return folder / load_board(board).image


def build_objects(
    project: Path,
    board: str,
    parts: Sequence[str],
    out: Path | None = None,
    variables: dict[str, str] | None = None,
    compiler: str = "gcc",
) -> list[Path]:
    """Compile some of a project's folders (`parts`: "model", "nn" or "app") for a board without
    linking them; returns the objects."""
    folder = (out or project / "build" / board).resolve()
    given = [f"{name}={value}" for name, value in (variables or {}).items()]
    _make(project, board, folder, compiler, [*parts, *given])
    return [
        folder / source.relative_to(project).with_suffix(".o")
        for part in parts
        for source in sorted((project / part).glob("*.[cS]"))
    ]


def _make(project: Path, board: str, folder: Path, compiler: str, words: list[str]) -> None:
    """The project's Makefile with these variables and targets; objects and image go to `folder`."""
    description = load_board(board)
    compilers.require(description, compiler)
    command = ["make", "-C", str(project), f"BOARD={board}", f"OUT={_escaped(folder)}", *words]
    if compiler == "clang":
        command += ["COMPILER=clang", f"CLANG={compilers.clang()}"]
    environment = {
        k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    }
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", env=environment
    )
    if done.returncode:
        raise TendonError(
            f"{project}: does not build for {board}:\n{_explain(description, done.stderr)}"
        )


def _escaped(path: Path) -> str:
    """As the value of a variable of make."""
    return str(path).replace("$", "$$")


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
    wanted += [f"{name}.S" for name in kernels if (FIRMWARE / "nn" / f"{name}.S").is_file()]
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
    paths = visible((FIRMWARE / folder).glob(pattern))
    return {
        f"{folder}/{p.name}": p.read_bytes()
        for p in paths
        if p.is_file() and p.suffix in (".c", ".h", ".S", ".ld", ".sh")
    }


def _replace_folder(out_dir: Path, files: dict[str, bytes]) -> None:
    """Write aside, then swap: an interruption leaves the old project or the new one. What a run
    that was killed left aside is deleted by the next."""
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    _tidy(out_dir)
    aside = Path(tempfile.mkdtemp(prefix=f".{out_dir.name}.{os.getpid()}.", dir=out_dir.parent))
    new, old = aside / "new", aside / "old"
    try:
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
        _put_back(aside, out_dir)


def _tidy(out_dir: Path) -> None:
    """Delete the folders aside of runs that ended before they could."""
    for aside in sorted(out_dir.parent.glob(f".{glob.escape(out_dir.name)}.*.*")):
        process = aside.name.split(".")[-2]
        if process.isdecimal() and not _lives(int(process)):
            shutil.rmtree(aside, ignore_errors=True)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)  # no signal: only asks
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True


def _put_back(aside: Path, out_dir: Path) -> None:
    """Delete the folder aside; where the swap was not finished, the old project stands again."""
    if (aside / "old").is_dir() and not out_dir.exists():
        (aside / "old").rename(out_dir)
    shutil.rmtree(aside, ignore_errors=True)
