"""The examples of an exported project: they build as they are, and say what the host says."""

from __future__ import annotations

import functools
import re
import shlex
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from compress import graph as g
from compress.artifacts import Folder
from compress.frontend.builder import Builder
from compress.tasks.classes.task import names_of
from compress.tasks.pose.kinematics import JOINTS
from compress.tasks.typing.text import ALPHABET
from export import boards, build, compilers
from export.c import columns, examples
from host.decode import StreamDecoder
from tests import toy
from tests.export import loops

STEPS = 60
TASKS = ("typing", "pose", "classes", "values")
EMULATED = {
    "virtual-f405": ("typing", "pose"),
    "virtual-m7": ("values",),
    "virtual-m33": ("classes",),
    "virtual-m55": ("typing",),
}
CLASSES = ["rest", "fist", 'the "Faust"', "geöffnet"]
KEYS = {"⌫": "<backspace>", "⏎": "<enter>", "⇧": "<shift>"}
LONG = "A network of the task whose name goes on and on until the line is full"


def network(task: str, outputs: int, name: str = "", **more: object) -> g.Graph:
    """A recurrent network of a task, as integers."""
    b, rng = Builder(5, loops.RATE), np.random.default_rng(len(task))
    loops.matrix(b, "in", 8, rng)
    loops.gru(b, "gru", 6, rng)
    loops.matrix(b, "out", outputs, rng)
    return integer(loops.finished(b), task, name, **more)


def integer(graph: g.Graph, task: str, name: str = "", **more: object) -> g.Graph:
    said = {**graph.provenance, "task": task, **more}
    return loops.integer(replace(graph, name=name or f"some {task}", provenance=said))


@functools.cache
def of(task: str) -> g.Graph:
    """One of each task: with and without names, with a start-up, with several frames a step."""
    return {
        "typing": lambda: network("typing", 99),
        "pose": lambda: g.in_chunks(network("pose", 20), 3),
        "classes": lambda: network("classes", 4, classes=CLASSES),
        "values": lambda: integer(loops.gru_convolution_gru(), "values"),
    }[task]()


@dataclass(frozen=True)
class Example:
    """A project for a board, and its network over some samples."""

    project: Path
    task: str
    graph: g.Graph
    path: Path  # of the samples, as an example reads them
    words: np.ndarray  # of the reference, (frames, outputs)

    def make(self, board: str, compiler: str, level: str) -> Path:
        """Where the examples then lie."""
        out = f"build/{board} {compiler}"
        variables = [f"BOARD={board}", f"OUT={out}", f"LEVEL={level}", f"NN_LEVEL={level}"]
        ran("make", "-s", *variables, *chosen(compiler), "examples", cwd=self.project)
        return self.project / out / "examples"

    @property
    def text(self) -> str:
        return said(self.task, self.graph, self.words[self.graph.start_up :])


def example(folder: Path, board: str, task: str, graph: g.Graph | None = None) -> Example:
    graph = graph or of(task)
    project = build.make_project(graph, Folder(folder / "mein Ordner", "net", "w8a16"), board)
    signal = loops.signal_of(graph, STEPS)
    path = folder / "some samples"
    samples = loops.to_int16(graph, signal.samples).astype("<i2")
    path.write_bytes(samples.tobytes())
    return Example(project, task, graph, path, loops.words_of(graph, signal))


def chosen(compiler: str) -> list[str]:
    clang = ["COMPILER=clang", f"CLANG={compilers.clang()}"]
    return clang if compiler == "clang" else []


def ran(*command: str | Path, cwd: Path | None = None, code: int = 0, given: bytes = b"") -> bytes:
    """What a command says, on standard output, or on the other where it has to fail."""
    done = subprocess.run(list(map(str, command)), cwd=cwd, input=given, capture_output=True)
    assert done.returncode == code, done.stdout + done.stderr
    assert code or b"warning" not in done.stderr, done.stderr
    return done.stderr if code else done.stdout


# --- what the host says ---------------------------------------------------------------------------


def said(task: str, graph: g.Graph, frames: np.ndarray) -> str:
    scale = float(f"{graph.output.scale:.9g}")  # as the header has it
    if task == "typing":
        text = StreamDecoder(ALPHABET).extend(frames)
        return "".join(KEYS.get(character, character) for character in text)
    if task == "classes":
        best = frames.argmax(1)
        new = best[np.diff(best, prepend=-1) != 0]
        return "".join(f"{names_of(graph)[index]}\n" for index in new)
    if task == "pose":
        names = JOINTS if frames.shape[1] == len(JOINTS) else range(frames.shape[1])
        rows = np.rad2deg(frames * scale)
        lines = ([f"{n}={fixed(v, 1)}" for n, v in zip(names, row, strict=True)] for row in rows)
    else:
        decimals = next(d for d in range(7) if scale >= 10.0**-d or d == 6)
        lines = ([fixed(value, decimals) for value in row] for row in frames * scale)
    return "".join(f"{' '.join(line)}\n" for line in lines)


def fixed(value: float, decimals: int) -> str:
    """Without a sign before zero."""
    return f"{np.round(value, decimals) + 0.0:.{decimals}f}"


# --- this machine ---------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=TASKS)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Example:
    """A project for a board that has a program of its own, for this machine too."""
    return example(tmp_path_factory.mktemp("of é"), "nucleo-f446re", request.param)


@pytest.mark.parametrize(("compiler", "level"), [("gcc", "-Os"), ("clang", "-O0")])
def test_programs_over_a_file_give_the_words_and_the_text_of_the_host(
    compiler: str, level: str, both: Example
) -> None:
    toy.need("gcc", "g++", "make", *[compilers.clang()] * (compiler == "clang"))
    programs = both.make("posix", compiler, level)
    content = both.path.read_bytes()
    words = both.words.astype("<i2").tobytes()
    assert ran(programs / "file", both.path) == words
    assert ran(programs / "file", given=content) == words
    assert ran(programs / both.task, both.path).decode() == both.text
    assert ran(programs / both.task, given=content).decode() == both.text
    assert len(set(both.text)) > 3, "it says something"


def test_two_streams_of_the_application_in_cpp_do_not_meet(both: Example) -> None:
    toy.need("gcc", "g++", "make")
    programs = both.make("posix", "gcc", "-Os")
    step = 2 * both.graph.samples_per_step * both.graph.input.features
    content = both.path.read_bytes()
    other = both.path.with_name("other samples")
    other.write_bytes(content[7 * step :])
    later = ran(programs / "file", other)
    answer = both.graph.chunk * both.graph.output.features
    found = np.frombuffer(ran(programs / "application", both.path, other), "<i2")
    first, second = found.reshape(-1, 2, answer).transpose(1, 0, 2)
    np.testing.assert_array_equal(first.reshape(-1), both.words.reshape(-1)[: first.size])
    np.testing.assert_array_equal(second.reshape(-1), np.frombuffer(later, "<i2"))


def test_what_is_no_file_of_samples_is_refused_with_the_reason(both: Example) -> None:
    toy.need("gcc", "g++", "make")
    programs = both.make("posix", "gcc", "-Os")
    content, sample = both.path.read_bytes(), 2 * both.graph.input.features
    for program in ("file", both.task):
        error = ran(programs / program, given=content[: sample + 3], code=2)
        assert b"expected whole samples of %d bytes" % sample in error
        assert b"found 3 more bytes" in error
        assert b"absent: cannot be opened" in ran(programs / program, "absent", code=2)
        assert b"usage: " in ran(programs / program, "a", "b", code=2)
    assert b"usage: " in ran(programs / "application", "a", code=2)
    if both.graph.samples_per_step > 1:
        done = subprocess.run([programs / "file"], input=content[:sample], capture_output=True)
        assert b"left over: 1 samples" in done.stderr and done.returncode == 0 and not done.stdout


# --- boards ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("compiler", "task"), [("gcc", "typing"), ("clang", "pose")])
def test_own_samples_by_dma_are_built_and_not_run(compiler: str, task: str, tmp_path: Path) -> None:
    toy.need("arm-none-eabi-gcc", "make", *[compilers.clang()] * (compiler == "clang"))
    made = example(tmp_path, "nucleo-f446re", task)
    programs = made.make("nucleo-f446re", compiler, "-Os")
    image = programs / "nucleo-f446re" / "own_samples_f446.elf"
    symbols = ran("arm-none-eabi-nm", image).decode()
    step = 2 * made.graph.samples_per_step * made.graph.input.features
    sizes = ran("arm-none-eabi-nm", "-S", image).decode()
    (words,) = re.findall(r"^\w+ (\w+) b words$", sizes, re.MULTILINE)
    assert int(words, 16) == 2 * step, "a double buffer"
    assert " DMA2_Stream0_IRQHandler" in symbols and " app_start" not in symbols


@pytest.mark.parametrize(
    ("board", "task"), [(b, t) for b, tasks in EMULATED.items() for t in tasks]
)
def test_as_its_readme_says_an_emulated_board_takes_own_samples_over_its_line(
    board: str, task: str, tmp_path: Path
) -> None:
    toy.need("arm-none-eabi-gcc", "make", "python3")
    toy.need_emulator()
    on_board = example(tmp_path, board, task)
    ran("make", "-s", "examples", cwd=on_board.project)
    readme = (on_board.project / "examples" / "README.md").read_text()
    (command,) = re.findall(r"^    (python3 (?:.*\\\n)*.*)$", readme, re.MULTILINE)
    words = shlex.split(command.replace("\\\n", " "))
    words[words.index("path")] = str(on_board.path)
    done = subprocess.run(words, cwd=on_board.project, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode() == on_board.text


def test_every_emulated_board_is_among_them() -> None:
    assert set(EMULATED) == {board.name for board in boards.emulated()}


# --- as text --------------------------------------------------------------------------------------


@pytest.mark.parametrize("board", ["nucleo-f446re", "virtual-f405", "nucleo-h743zi2", "posix"])
def test_a_project_lists_its_examples_and_every_one_of_them(board: str, tmp_path: Path) -> None:
    project = example(tmp_path, board, "classes").project
    there = {
        p.relative_to(project / "examples").as_posix() for p in project.rglob("examples/**/*.*")
    }
    readme = (project / "examples" / "README.md").read_text()
    listed = set(re.findall(r"^- `([^`]+)`", readme, re.MULTILINE))
    assert listed | {"classes.h", "README.md"} == there
    assert ("nucleo-f446re/own_samples_f446.c" in there) == (board == "nucleo-f446re")
    assert (f"{board}/own_samples_serial.c" in there) == bool(boards.load_board(board).emulator)
    said_first = (project / "README.md").read_text()
    assert "`examples/README.md` lists them" in said_first and "- `examples/` " in said_first
    assert ("`make examples` builds those" in said_first) == ("virtual" in board or "f446" in board)


@pytest.mark.parametrize("name", ["Typing", "own samples", "first", "task network", "1 é", LONG])
def test_whatever_a_network_is_called_its_c_builds_in_ascii_and_100_columns(
    name: str, tmp_path: Path
) -> None:
    toy.need("gcc", "g++", "make")
    made = example(tmp_path, "nucleo-f446re", "typing", network("typing", 7, name))
    folders = ("model", "examples", "examples/nucleo-f446re")
    written = [p for folder in folders for p in (made.project / folder).glob("*.[ch]*")]
    for path in (*written, made.project / "app/model.h", made.project / "app/model.c"):
        assert longest(path.read_text(encoding="ascii")) <= 100, path
    programs = made.make("posix", "gcc", "-O0")
    assert ran(programs / "file", made.path) == made.words.astype("<i2").tobytes()
    best = made.words.argmax(1)
    keys = best[(best != 6) & (np.diff(best, prepend=6) != 0)]
    assert ran(programs / "typing", made.path).decode() == "".join(f"<{key}>" for key in keys)


@pytest.mark.parametrize("length", [1, 3, 7, 11, 17, 26, 39, 55, 75])
def test_names_change_and_lines_break_and_nothing_else(length: int) -> None:
    """Token by token, and in comments word by word."""
    name = f"n{'x' * length}"
    for path in examples.SOURCES.rglob("*.[ch]*"):
        source = path.read_text(encoding="ascii")
        found = examples.renamed(source, {"network": name, "task": "typing"})
        back = found.replace(name.upper(), "NETWORK").replace(name, "network")
        back = re.sub(r"\btyping(?=_\w|\.h|\b)", "task", back)
        expected = re.sub(r"\btyping(?=_\w|\.h|\b)", "task", source)
        assert tokens(back) == tokens(expected), path
        assert sorted(comments(back)) == sorted(comments(expected)), path
        assert longest(found) <= 100, path


def longest(source: str) -> int:
    return max(map(len, source.splitlines()))


def tokens(source: str) -> list[str]:
    """Of the code, as a compiler sees it."""
    code = columns.APART.sub(lambda m: m[0] if m[0][0] == '"' else " ", source)
    code = code.replace("\\\n", " ")
    return re.findall(r'"(?:\\.|[^"\\])*"|\w+|\n#|[^\w\s]', code)


def comments(source: str) -> list[str]:
    found = (match[0] for match in columns.APART.finditer(source) if match[0][0] == "/")
    return [word for comment in found for word in comment.split() if word not in ("*", "//")]


def test_typing_on_a_device_is_sixty_lines() -> None:
    assert len((examples.SOURCES / "typing.h").read_text().splitlines()) <= 65


def test_every_task_has_a_reader_and_another_ones_frames_are_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert all((examples.SOURCES / f"{task}.h").is_file() for task in examples.tasks.TABLE)
    graph = of("values")
    monkeypatch.setattr(examples.tasks, "of", lambda graph: type("Task", (), {"name": "force"}))
    written = examples.files(build.emit.build(graph), "posix")
    assert "examples/values.c" in written and "examples/force.c" not in written
