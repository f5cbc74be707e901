"""When an artifact is still good: the key of what it was made from."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import json
import re
import threading
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from compress.errors import TendonError
from compress.files import read_json, sha256

PACKAGE = Path(__file__).parent.parent
ROOT = PACKAGE.parent
SUFFIXES = (".c", ".cc", ".h", ".ld", ".toml", ".json", ".py")
# Entries of keys. Tasks and families are imported by names that a program makes when it runs.
TASKS = "compress.tasks.*.task"
FAMILIES = "compress.frontend.families.*.*"
# what the scores of a task read besides code and recordings
TASK_DATA = tuple(
    sorted(f"compress/tasks/{p.parent.name}/data" for p in PACKAGE.glob("tasks/*/data"))
)
# Not for keys: a recording counts by its content, whoever made it, and pages decide no figure.
SIMULATOR = (
    "compress.data.simulator",
    "compress.data.simulator.*",
    "compress.tasks.*.simulated",
)
PAGES = ("compress.report", "compress.report.*", "compress.tasks.*.pictures")
_C_COMMENT = re.compile(
    rb"""("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|/\*.*?\*/|//(?:[^\\\n]|\\.)*""", re.DOTALL
)


def key(**inputs: Any) -> str:
    """One digest over named inputs; a Path counts by its content."""
    flat = {
        k: [sha256(p) if isinstance(p, Path) else p for p in v] if isinstance(v, list) else v
        for k, v in inputs.items()
    }
    flat = {k: sha256(v) if isinstance(v, Path) else v for k, v in flat.items()}
    return hashlib.sha256(json.dumps(flat, sort_keys=True).encode()).hexdigest()


def recorded_key(path: Path) -> str | None:
    """The key in a JSON artifact, or None when it is missing or unreadable."""
    return read_json(path).get("key")


# Python 3.11 builds trees of one source at a time: in two threads it loses count of its depth
_READING = threading.Lock()


def code_hash(*entries: str, without: tuple[str, ...] = (), root: Path = ROOT) -> str:
    """Digest of the code that decides a result: where it begins, and all that is imported for it.

    Comments, docstrings and layout do not count, nor does what only a type checker imports.

    Args:
        entries: `package.module`: the module and every module of this project that it imports, and
            so on; `package.module:name`: of this module only what `name` uses; `package.*.module`:
            all of these, for modules that are imported by a name made when the program runs;
            `folder/folder`: every source in it, C and data too.
        without: patterns of modules that are not read when something imports them: what they make
            is counted by its content, or says nothing about this result.
        root: the folder of the packages.
    """
    with _READING:
        return _code_hash(entries, without, root)


@functools.cache  # a process is one state of the code
def _code_hash(entries: tuple[str, ...], without: tuple[str, ...], root: Path) -> str:
    digest = hashlib.sha256()
    folders = sorted(entry for entry in entries if _is_folder(entry, root))
    modules = closure(*(e for e in entries if e not in folders), without=without, root=root)
    for module, names in sorted(modules.items()):
        meaning = [ast.dump(s) for s in _kept(_tree(_file(module, root)), names)]
        digest.update(f"{module}\0{meaning}\0".encode())
    for folder in folders:
        for path in sorted((root / folder).rglob("[!.]*")):
            if path.suffix in SUFFIXES and path.is_file():
                name = path.relative_to(root).as_posix()
                digest.update(f"{name}\0".encode() + _content(path) + b"\0")
    return digest.hexdigest()


def closure(
    *entries: str, without: tuple[str, ...] = (), root: Path = ROOT
) -> dict[str, frozenset[str] | None]:
    """The modules that `code_hash` reads, and the names in them that count; None: the whole
    module."""
    found: dict[str, frozenset[str] | None] = {}
    todo: list[tuple[str, frozenset[str] | None]] = []
    for entry in entries:
        pattern, _, name = entry.partition(":")
        modules = _modules_like(pattern, root)
        todo += [(module, frozenset([name]) if name else None) for module in modules]
        todo += [(parent, None) for module in modules for parent in _with_parents(module)[:-1]]
    while todo:
        module, names = todo.pop()
        known = found.get(module, frozenset())
        if known is None or (names is not None and module in found and names <= known):
            continue
        found[module] = names = None if names is None else names | known
        tree = _tree(_file(module, root))
        missing = frozenset(names or ()).difference(*map(_bound, tree.body))
        if missing:
            raise TendonError(f"{module}: expected it to define {', '.join(sorted(missing))}")
        imported = _imports(_kept(tree, names), module, root)
        todo += [(m, None) for m in imported if not any(fnmatchcase(m, p) for p in without)]
    return found


def _kept(tree: ast.Module, names: frozenset[str] | None) -> list[ast.stmt]:
    """The statements of a module that `names` need, in order; all of them for None.

    A statement that binds no name runs whenever the module is imported, so it stays.
    """
    if names is None:
        return tree.body
    bound = [(statement, _bound(statement)) for statement in tree.body]
    used: set[str] = set()
    more = {*names, "__getattr__"}
    while more:
        used |= more
        kept = [statement for statement, own in bound if not own or own & used]
        more = {n.id for s in kept for n in ast.walk(s) if isinstance(n, ast.Name)} - used
    return [_without_unused(statement, used) for statement in kept]


def _bound(statement: ast.stmt) -> set[str]:
    """The names that a statement gives to a module; none for what is neither definition, import nor
    assignment."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {statement.name}
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return {_name_of(alias) for alias in statement.names}
    if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        stored = (n for n in ast.walk(statement) if isinstance(n, ast.Name))
        return {n.id for n in stored if isinstance(n.ctx, ast.Store)}
    return set()


def _name_of(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]


def _without_unused(statement: ast.stmt, used: set[str]) -> ast.stmt:
    """An import of the names in use alone; every other statement as it is."""
    if isinstance(statement, ast.Import):
        return ast.Import([a for a in statement.names if _name_of(a) in used])
    if isinstance(statement, ast.ImportFrom):
        names = [a for a in statement.names if _name_of(a) in used]
        return ast.ImportFrom(statement.module, names, statement.level)
    return statement


def _imports(statements: list[ast.stmt], module: str, root: Path) -> set[str]:
    """The modules of this project that are imported anywhere in these statements, with the packages
    around them, which are run first."""
    package = module if _file(module, root).name == "__init__.py" else module.rpartition(".")[0]
    named: set[str] = set()
    for node in (node for statement in statements for node in ast.walk(statement)):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            named |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    own = {name for name in named if _file(name, root).is_file()}
    return {other for name in own for other in _with_parents(name)}


def _with_parents(module: str) -> list[str]:
    """`a.b.c` -> a, a.b, a.b.c"""
    parts = module.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts) + 1)]


def _modules_like(pattern: str, root: Path) -> list[str]:
    """The modules of this name, or of all such names when there is a `*` in it; TendonError when
    there is none."""
    below = pattern.replace(".", "/")
    files = [*root.glob(f"{below}.py"), *root.glob(f"{below}/__init__.py")]
    found = [p.parent if p.name == "__init__.py" else p.with_suffix("") for p in files]
    if not found:
        raise TendonError(f"{pattern}: expected a module of this project, found none")
    return sorted({".".join(path.relative_to(root).parts) for path in found})


def _file(module: str, root: Path) -> Path:
    """Where a module lies; of a package its `__init__.py`."""
    path = root.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _tree(path: Path) -> ast.Module:
    return _parsed(path.read_text(encoding="utf-8"))


@functools.cache
def _parsed(source: str) -> ast.Module:
    """A module as it runs: without docstrings, unless it reads one itself, and without imports for
    a type checker."""
    tree, reads_one = ast.parse(source), "__doc__" in source
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
        if (
            isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
            and not reads_one
            and ast.get_docstring(node, clean=False) is not None
        ):
            del node.body[0]
    return tree


def _is_folder(entry: str, root: Path) -> bool:
    """Whether an entry is a folder of sources, not the name of a module."""
    path = root / entry
    return path.is_dir() and ("/" in entry or not (path / "__init__.py").is_file())


def _content(path: Path) -> bytes:
    """What counts of a file in a folder of sources; of C neither comments nor layout of lines."""
    if path.suffix == ".py":
        return ast.dump(_tree(path)).encode()
    content = path.read_bytes()
    if path.suffix in (".c", ".cc", ".h", ".ld"):
        content = _C_COMMENT.sub(lambda found: found[1] or b" ", content)
        content = re.sub(rb"\s*\n\s*", b"\n", content.strip())
    return content
