"""The header of a network is good C and C++, by either compiler, twice and beside another's; its
manual says what somebody with own samples must know, and its five lines are a program."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from compress import graph as g
from compress import tasks
from compress.frontend.builder import Builder
from compress.graph import macs
from compress.interpreter.integer import IntegerInterpreter
from export import compilers
from export.boards import FAMILIES
from export.c import emit
from export.c.header import header
from export.c.manual import samples_seen
from export.c.step_stack import debug_stack_bytes, stack_bytes
from tests import toy
from tests.compress.test_classes import network as classes
from tests.compress.test_networks import integer, network
from tests.conftest import ROOT
from tests.export import every_kernel, loops
from tests.export.images import Exported, exported
from tests.export.test_exported_text import unfit
from tests.export.test_libraries import ran
from tests.firmware.test_sanitizers import pose

STRICT = ("-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wundef", "-Werror")
CLANG = compilers.clang()
PROGRAMS = {"c": ("gcc", CLANG), "c++": ("g++", CLANG.replace("clang", "clang++"))}
STANDARDS = {
    "c": ("c99", "c11", "c17", "gnu11", "gnu17"),
    "c++": ("c++98", "c++11", "c++14", "c++17", "c++20", "gnu++17"),
}
LABELS = (
    *("Samples", "Electrodes", "Outputs", "Latency", "Work"),
    *("Memory", "Alignment", "Threads", "Stack", "Snapshot", "Integrity"),
)


CXX_MAIN = """#include <vector>
TYPING_NET_DEFINE(typing);
POSE_NET_DEFINE(pose);
int main()
{
    std::vector<int16_t> samples(TYPING_NET_STEP_SAMPLES + POSE_NET_STEP_SAMPLES);
    std::vector<int16_t> out(TYPING_NET_STEP_OUTPUTS + POSE_NET_STEP_OUTPUTS);
    static const char *const characters[] = TYPING_NET_NAMES;
    if (sizeof characters / sizeof *characters != TYPING_NET_OUTPUTS)
        return 3;
    return 10 * typing_net_selftest(&typing, samples.data(), out.data())
        + pose_net_selftest(&pose, samples.data(), out.data());
}
"""


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Exported]:
    """One of each task, and one that keeps nothing."""
    folder = tmp_path_factory.mktemp("headers")
    names = ["rest", "é" * 60, 'say "hi"' + "a" * 150]
    gestures = loops.integer(classes("classes", 3, history=2, classes=names))
    values = loops.integer(classes("values", 2))
    graphs = {
        "typing": integer(network()),
        "pose": pose(),
        "classes": gestures,
        "values": values,
        "picture": every_kernel.integer("picture"),
    }
    found = {task: exported(graph, f"{task} net", folder) for task, graph in graphs.items()}
    return found | {"long": exported(every_kernel.integer("picture"), "n" * 90, folder)}


def compiled(
    program: str, language: str, standard: str, folder: Path, source: str, *headers: Exported
) -> Path:
    """An object of a source that includes these headers, each of them twice."""
    name = folder / f"source.{'c' if language == 'c' else 'cpp'}"
    lines = [f'#include "{path}"' for h in headers for path in paths(h)]
    name.write_text("\n".join([*lines, *lines, source, ""]))
    made = folder / "source.o"
    warnings = [*STRICT, "-Wstrict-prototypes"] if language == "c" else [*STRICT, "-Wcast-qual"]
    ran(program, "-x", language, f"-std={standard}", *warnings, "-c", name, "-o", made)
    return made


def paths(network: Exported) -> list[Path]:
    return [network.project / "model" / f"{network.name}{end}" for end in (".h", "_tables.h")]


@pytest.mark.parametrize(
    ("language", "standard"), [(lang, std) for lang in STANDARDS for std in STANDARDS[lang]]
)
def test_headers_of_all_networks_are_good_c_and_cxx_together(
    language: str, standard: str, networks: dict[str, Exported], tmp_path: Path
) -> None:
    """Also with taps."""
    source = "\n".join(f"{n.name.upper()}_DEFINE({n.name}_stream);" for n in networks.values())
    calls = "".join(f"    {n.name}_reset(&{n.name}_stream);\n" for n in networks.values())
    source += f"\nvoid begin(void);\nvoid begin(void)\n{{\n{calls}}}\n"
    for program in PROGRAMS[language]:
        toy.need(program)
        for taps in ("", "#define MODEL_TAP\n"):
            name = tmp_path / "all.h"
            included = [f'#include "{p}"\n' for n in networks.values() for p in paths(n)]
            name.write_text("".join([taps, *included, *included]))
            compiled(program, language, standard, tmp_path, f'#include "{name}"\n{source}')


def test_sources_are_c11_and_the_kernels_header_is_cxx_too(
    networks: dict[str, Exported], tmp_path: Path
) -> None:
    """What docs/own-c-application.md and a project's README.md say; but for extensions that nn.h
    announces as such."""
    toy.need("gcc", CLANG)
    for found in networks.values():
        parts = [found.project / part for part in ("model", "nn")]
        include = [f"-I{part}" for part in parts]
        sources = sorted(path for part in parts for path in part.glob("*.c"))
        for program in PROGRAMS["c"]:
            ran(program, "-std=c11", "-pedantic-errors", "-fsyntax-only", *include, *sources)
    (tmp_path / "kernels.cpp").write_text(f'#include "{found.project / "nn" / "nn.h"}"\n')
    for program in PROGRAMS["c++"]:
        for standard in STANDARDS["c++"]:
            command = [program, f"-std={standard}", *STRICT, "-fsyntax-only"]
            ran(*command, tmp_path / "kernels.cpp")
    readme = " ".join((found.project / "README.md").read_text().split())
    assert "The sources are C11" in readme
    assert (
        "`model/` and `nn/` are all that another program needs: C11 sources, headers that C++ reads"
        " too" in (ROOT / "docs" / "own-c-application.md").read_text()
    )


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_a_cxx_program_links_what_c_compiled(
    compiler: str, networks: dict[str, Exported], tmp_path: Path
) -> None:
    c, cxx = (programs[compiler == "clang"] for programs in PROGRAMS.values())
    toy.need(c, cxx)
    typing, pose = networks["typing"], networks["pose"]
    parts = [n.project / part for n in (typing, pose) for part in ("model", "nn")]
    sources = {path.name: path for part in parts for path in part.glob("*.c")}
    objects = []
    for name, path in sources.items():
        objects.append(tmp_path / f"{name}.o")
        include = [f"-I{part}" for part in parts]
        ran(c, "-std=c11", "-O1", *include, "-c", path, "-o", objects[-1])
    main = compiled(cxx, "c++", "c++17", tmp_path, CXX_MAIN, typing, pose)
    ran(cxx, main, *objects, "-o", tmp_path / "program")
    assert subprocess.run([tmp_path / "program"]).returncode == 0


# --- the manual -----------------------------------------------------------------------------------


def manual(network: Exported) -> str:
    """The comment that a header begins with, without its stars."""
    text = paths(network)[0].read_text()
    comment = text[: text.index("*/")]
    return "\n".join(line[3:] for line in comment.splitlines())


@pytest.mark.parametrize("task", ["typing", "pose", "classes", "values", "picture", "long"])
def test_the_manual_says_all_that_somebody_with_own_samples_must_know(
    task: str, networks: dict[str, Exported]
) -> None:
    found = networks[task]
    graph, plan, text = found.graph, found.model.plan, manual(found)
    said = {
        label: " ".join(f"{first} {rest}".split())
        for label, first, rest in re.findall(
            r"^(\w[\w-]+)  +(\S.*)\n((?: {12}.*\n?)*)", text, re.MULTILINE
        )
    }
    assert set(LABELS) <= set(said)
    wiring = tasks.of(graph).wiring(graph)
    rate = f"{float(graph.input.rate):g} a second of {graph.input.features} values"
    assert rate in said["Samples"]
    assert wiring.samples in said["Samples"] and wiring.electrodes in said["Electrodes"]
    assert wiring.outputs in said["Outputs"]
    eats = graph.samples_per_step
    assert f"eats {eats} sample{'s' * (eats > 1)}, " in said["Latency"]
    assert " ms" in said["Latency"]
    for size in (plan.state_bytes, plan.arena_bytes, found.model.table_bytes):
        assert f"{size} " in said["Memory"]
    assert f"{stack_bytes(found.model)} bytes" in said["Stack"]
    assert f"-O0: up to {debug_stack_bytes(found.model)}" in said["Stack"]
    per_s = macs.report(graph)["macs_per_s"]
    work = round(per_s * graph.samples_per_step / float(graph.input.rate))
    assert said["Work"].startswith(f"{work} multiply-accumulates a step, ")
    assert f"{per_s / 1e6:.4g} million a second" in said["Work"]
    for version in ("VERSION", "GENERATOR"):
        assert f"_{version}" in said["Snapshot"]
    assert f"{found.name}_tables[]" in said["Integrity"]
    assert "8 bytes" in said["Alignment"] and "thread" in said["Threads"]
    assert ("Start-up" in said) == bool(graph.start_up)


def test_what_the_self_test_covers_is_said_of_each_kind_of_state(
    networks: dict[str, Exported],
) -> None:
    of = {task: " ".join(manual(found).split()) for task, found in networks.items()}
    assert "three steps, of which the first stands for the last before recurrent" in of["pose"]
    assert "three steps, which carry recurrent state. What" in of["typing"]
    assert "three steps. What came before" in of["picture"]


def test_the_header_names_the_member_that_a_stream_begins_with(
    networks: dict[str, Exported], tmp_path: Path
) -> None:
    """By the preprocessor's byte it is that member."""
    toy.need("gcc")
    found = networks["pose"]
    text = paths(found)[0].read_text()
    said = re.search(r"member (\w+) of the\s+\*?\s*state, here its byte", text)
    assert said and "before the first step" in " ".join(text.replace("*", " ").split())
    source = f"""#include <stddef.h>
_Static_assert(offsetof({found.name}_state, {said[1]}) == {found.name.upper()}_INITIAL_POSE, "");
"""
    compiled("gcc", "c", "c11", tmp_path, source, found)


def test_a_stream_goes_on_under_kernels_of_another_family(
    networks: dict[str, Exported],
) -> None:
    """As a snapshot: its state has the same members at the same bytes."""
    for found in networks.values():
        builds = [emit.build(found.graph, family) for family in FAMILIES]
        assert len(builds) > 1
        for build in builds:
            assert build.members == builds[0].members and build.plan == builds[0].plan


def paddings() -> g.Graph:
    """Zeros before the first frame, of which nothing is left, beside a branch that sees less."""
    rng, b = np.random.default_rng(0), Builder(4, loops.RATE)
    loops.matrix(b, "wide", 4, rng)
    source = b.here
    for number in range(2):
        b.add(g.Unfold1d, f"taps{number}", frames=3, frames_per_output=1, lag=number, padding=3)
        loops.matrix(b, f"conv{number}", 4, rng)
    far, b.here = b.here, source
    b.add(g.Unfold1d, "near", frames=2, frames_per_output=1, lag=0, padding=1)
    loops.matrix(b, "near.conv", 4, rng)
    b.add(g.Add, "sum", far)
    return loops.finished(b)


def test_a_finite_network_says_how_far_back_it_sees() -> None:
    """A sample that is older changes nothing, the oldest of them something."""
    graph = loops.integer(paddings())
    seen, steps = samples_seen(graph), 20
    samples = np.zeros((steps, 4), np.int16)
    last = []
    for older in (0, seen, seen + 1):
        changed = samples.copy()
        if older:
            changed[-older] = 3000
        last.append(IntegerInterpreter(graph).run(changed[None])[0, -1].tolist())
    assert last[0] != last[1] and last[0] == last[2]
    manual = " ".join(" ".join(header(emit.build(graph))).replace(" * ", " ").split())
    assert f"made of the newest {seen} samples." in manual


def test_a_network_with_feedback_says_that_it_remembers(networks: dict[str, Exported]) -> None:
    for task in ("pose", "picture"):
        remembers = "what the state remembers" in " ".join(manual(networks[task]).split())
        assert remembers == (task == "pose")


def test_a_table_of_characters_or_classes_is_what_the_task_says(
    networks: dict[str, Exported], tmp_path: Path
) -> None:
    toy.need("gcc")
    for task in ("typing", "classes"):
        found = networks[task]
        names = tasks.of(found.graph).wiring(found.graph).names
        assert len(names) == found.graph.output.features
        source = f"""#include <stdio.h>
int main(void)
{{
    static const char *const names[] = {found.name.upper()}_NAMES;
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        puts(names[i]);
    return 0;
}}
"""
        made = compiled("gcc", "c", "c11", tmp_path, source, found)
        ran("gcc", made, "-o", tmp_path / "names")
        assert ran(tmp_path / "names").splitlines() == list(names)
        assert list(unfit(found.project)) == []


@pytest.mark.parametrize("language", ["c", "c++"])
def test_the_five_lines_are_a_program(
    language: str, networks: dict[str, Exported], tmp_path: Path
) -> None:
    for task, found in networks.items():
        block = re.search(r"^Five lines:\n((?: {5}.*\n)+)", manual(found), re.MULTILINE)
        assert block, task
        lines = block[1].splitlines()
        assert len(lines) == 5
        body = "\n".join(lines)
        source = (
            "void read_the_next(int16_t *samples, uint32_t count);\n"
            "void usage(void);\n"
            f"void usage(void)\n{{\n{body}\n}}\n"
        )
        for program in PROGRAMS[language]:
            toy.need(program)
            standard = "c11" if language == "c" else "c++17"
            compiled(program, language, standard, tmp_path, source, found)


def test_sizes_and_versions_are_constants_of_the_preprocessor(
    networks: dict[str, Exported], tmp_path: Path
) -> None:
    toy.need("gcc")
    found = networks["pose"]
    upper = found.name.upper()
    numbers = {
        "STATE_BYTES": found.model.plan.state_bytes,
        "ARENA_BYTES": found.model.plan.arena_bytes,
        "TABLE_BYTES": found.model.table_bytes,
        "STEP_SAMPLES": found.graph.samples_per_step * found.graph.input.features,
        "STEP_OUTPUTS": found.graph.chunk * found.graph.output.features,
        "STACK_BYTES": stack_bytes(found.model),
        "START_UP": found.graph.start_up,
        "VERSION": int(found.graph.hash()[:8], 16),
    }
    lines = [f"#if {upper}_{word} != {value}\n#error\n#endif" for word, value in numbers.items()]
    compiled("gcc", "c", "c11", tmp_path, "\n".join([*lines, "extern int unused;"]), found)
