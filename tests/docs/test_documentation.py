"""What the documentation shows is there: pages behind links, targets, commands, options, files."""

from __future__ import annotations

import argparse
import functools
import importlib.util
import itertools
import os
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from bench import tendon
from export.boards import load_board
from export.c import makefile
from export.c.placement import first_choices
from tests.conftest import ROOT
from tests.docs.pages import Page, Shown, pages, slug

PAGES = pages()
LIMIT, README_LIMIT = 24 * 1024, 8 * 1024  # bytes of a page
PACKAGES = ("compress", "export", "host", "bench")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))
every_page = pytest.mark.parametrize("page", PAGES, ids=str)


def none(wrong: Iterable[str]) -> None:
    """Fail with every line of what is wrong, if anything is."""
    lines = sorted(wrong)
    assert not lines, "\n".join(["", *lines])


# --- links and sizes ------------------------------------------------------------------------------


def broken(page: Page, root: Path = ROOT) -> Iterator[str]:
    """The links of a page that lead nowhere; `root`: what they may not leave."""
    for link in page.links:
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.path.parent / name).resolve() if name else page.path
        if not target.is_relative_to(root) or not target.exists():
            yield f"{link}: no such file"
        elif anchor and target.suffix == ".md" and anchor not in Page(target).anchors:
            yield f"{link}: no such heading"


@every_page
def test_its_links_lead_somewhere(page: Page) -> None:
    none(broken(page))


@every_page
def test_it_is_no_longer_than_a_page(page: Page) -> None:
    limit = README_LIMIT if page.path == ROOT / "README.md" else LIMIT
    assert len(page.path.read_bytes()) <= limit


@pytest.mark.parametrize(
    ("title", "anchor"),
    [
        ("Where it begins", "where-it-begins"),
        ("dense (int.dense)", "dense-intdense"),
        ("ä_b", "ä_b"),
    ],
)
def test_an_anchor_is_that_of_its_heading(title: str, anchor: str) -> None:
    assert slug(title) == anchor


# --- make -----------------------------------------------------------------------------------------


@functools.cache
def refused(target: str, variable: str) -> str:
    """What make says of a variable that a target does not take; "" of one that it does."""
    command = ["make", "-n", "-s", "-C", str(ROOT), target, f"{variable}=asked"]
    outside = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}  # of `make test`
    done = subprocess.run(command, env=outside, capture_output=True, text=True)
    return done.stderr.strip() if done.returncode else ""


@functools.cache
def of_project() -> str:
    """The Makefile of an exported project."""
    board = load_board("virtual-f405")
    return "\n".join(
        makefile.lines([board, load_board("posix")], first_choices(board), "a network")
    )


def wrong_in_project(words: list[str]) -> Iterator[str]:
    lines = re.findall(r"^([\w .-]+):(?!=)(.*)", of_project(), re.MULTILINE)
    targets = {word for line in lines for part in line for word in part.split()}
    for word in words:
        variable, equals, _ = word.partition("=")
        known = re.search(rf"\b{variable}\b", of_project()) if equals else word in targets
        if not known:
            yield f"{word}: not in the Makefile of a project"


def wrong_here(words: list[str]) -> Iterator[str]:
    targets = [word for word in words if "=" not in word]
    for target in targets:
        if target not in TARGETS:
            yield f"{target}: no such target"
        else:
            for word in words:
                variable, equals, _ = word.partition("=")
                if equals and refused(target, variable):
                    yield f"{variable}: make {target} does not take it"
    if not targets:
        yield "no target"


def wrong_of_make(shown: Shown) -> list[str]:
    """What is wrong in a command of make: of this Makefile, or of that of an exported project."""
    folder = shown.folder
    said = list(itertools.takewhile(lambda word: word[:1] not in tuple("|>"), shown.words[1:]))
    if "-C" in said:
        at = said.index("-C")
        folder = " ".join(said[at + 1 : at + 2])
        del said[at : at + 2]
    words = [part for word in said for part in _parts(word.strip("[]…"))]
    here, there = list(wrong_here(words)), list(wrong_in_project(words))
    if folder is not None:
        return there if folder.rstrip("/").endswith("project") else []
    return here if there or not shown.in_text else []


def _parts(word: str) -> list[str]:
    """A variable, or targets between which one may choose; no option of make."""
    if re.match("[A-Z_]+=", word):
        return [word]
    return re.findall("[a-z]+", word) if word[:1] != "-" else []


@every_page
def test_its_make_targets_take_these_variables(page: Page) -> None:
    made = [shown for shown in page.commands if shown.words[0] == "make"]
    none(f"{shown}: {wrong}" for shown in made for wrong in wrong_of_make(shown))


@every_page
def test_a_variable_that_it_names_is_read_by_somebody(page: Page) -> None:
    alone = {s.partition("=")[0] for s in page.spans if re.fullmatch("[A-Z_]+=.*", s)}
    names = alone | {name for shown in page.commands for name in shown.variables}
    makefiles = f"{MAKEFILE}{of_project()}"
    known = {n for n in names if re.search(rf"\b{n}\b", makefiles) or f'"{n}"' in read()}
    none(names - known)


@functools.cache
def read() -> str:
    """The sources that may ask the environment for a variable."""
    sources = [path for top in (*PACKAGES, "tests") for path in (ROOT / top).rglob("*.py")]
    return "".join(path.read_text(encoding="utf-8") for path in sources)


# --- commands -------------------------------------------------------------------------------------


@functools.cache
def programs() -> dict[tuple[str, ...], argparse.ArgumentParser]:
    """What is typed to call a program -> its parser with all commands."""
    return {("tendon",): tendon.parser()}


def commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    (added,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return dict(added.choices)


def wrong_of_command(shown: Shown) -> str:
    """What is wrong in a command of this project; "" where it is none, or all is well."""
    words = [Path(shown.words[0]).name, *shown.words[1:]]
    for called, parser in programs().items():
        if tuple(words[: len(called)]) == called:
            return wrong_of_words(words[len(called) :], parser)
    modules = words[2].split("|") if words[:2] == ["python", "-m"] else ()
    missing = [module for module in modules if not importlib.util.find_spec(module)]
    return f"{missing[0]}: no such module" if missing else ""


def wrong_of_words(words: list[str], parser: argparse.ArgumentParser) -> str:
    name = next((word for word in words if not word.startswith("-")), None)
    commands, known = commands_of(parser), set(parser._option_string_actions)
    for command in name.split("|") if name else ():
        if command not in (*commands, "…"):
            return f"{command}: no such command"
        if command in commands:
            known |= set(commands[command]._option_string_actions)
    options = {
        word.partition("=")[0].strip("[]") for word in words if word.strip("[").startswith("-")
    }
    return f"{', '.join(sorted(options - known))}: no such option" if options - known else ""


@every_page
def test_its_commands_and_their_options_are_there(page: Page) -> None:
    none(f"{shown}: {w}" for shown in page.commands if (w := wrong_of_command(shown)))
    alone = {span.partition("=")[0] for span in page.spans if re.fullmatch(r"--[\w-]+(=.*)?", span)}
    none(alone - options())


@functools.cache
def options() -> set[str]:
    """Of the program, and of any command."""
    parsers = ((parser, *commands_of(parser).values()) for parser in programs().values())
    return {o for both in parsers for parser in both for o in parser._option_string_actions}


# --- files ----------------------------------------------------------------------------------------


def is_there(path: str) -> bool:
    """Whether a path of the repository exists; `<name>` stands for any."""
    return any(ROOT.glob(re.sub(r"<[^<>]*>", "*", path).rstrip("/")))


@every_page
def test_the_files_that_it_names_are_there(page: Page) -> None:
    none({path for path in page.paths if not is_there(path)})


# --- what a page would have to say to be refused --------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("`make nothing`", "nothing: no such target"),
        ("`make quantize FLASH=2M`", "FLASH: make quantize does not take it"),
        ("    make compress \\\n        FORMAT=c", "FORMAT: make compress does not take it"),
        ("    cd build/a/project\n    make quantize", "quantize: not in the Makefile of a project"),
        ("`make -C build/a/project nothing`", "nothing: not in the Makefile of a project"),
        ("`make quantize|nothing MODEL=…`", "nothing: no such target"),
        (
            '    make diagnose ENGINE="graph native" WINDOW=3 FRAMES=2',
            "FRAMES: make diagnose does not take it",
        ),
    ],
)
def test_a_wrong_make_is_found(text: str, wrong: str, tmp_path: Path) -> None:
    assert [w for s in page_of(text, tmp_path).commands for w in wrong_of_make(s)] == [wrong]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("`tendon nothing`", "nothing: no such command"),
        ("`tendon quantize --nothing 3`", "--nothing: no such option"),
        (
            "```sh\n$ A=1 .venv/bin/python -m compress.nothing\n```",
            "compress.nothing: no such module",
        ),
        ("`tendon nothing`", "no such"),
    ],
)
def test_a_wrong_command_is_found(text: str, wrong: str, tmp_path: Path) -> None:
    (shown,) = page_of(text, tmp_path).commands
    assert wrong in wrong_of_command(shown)


def test_wrong_links_and_files_are_found(tmp_path: Path) -> None:
    page = page_of(
        "# A\n\n[a](#a) [b](#b) [c](c.md) ![d](d.png)\n\n`compress/nothing.py`", tmp_path
    )
    assert [link.partition(":")[0] for link in broken(page, tmp_path)] == ["#b", "c.md", "d.png"]
    assert {path for path in page.paths if not is_there(path)} == {"compress/nothing.py"}


def page_of(text: str, folder: Path) -> Page:
    (folder / "page.md").write_text(text, encoding="utf-8")
    return Page(folder / "page.md")
