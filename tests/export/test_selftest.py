"""`<name>_selftest()` passes a sound build, tells damaged tables from wrong kernels, and leaves a
stream as a reset does: in a program of model/ and nn/ alone, and on the emulated board."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

from compress import graph as g
from compress.quantization.calibrate import observe
from compress.quantization.quantize import quantize
from export import compilers
from export.boards import load_board
from export.c import emit, selftest
from export.c.project import build_project
from host.boards import open_emulator
from tests import toy
from tests.compress.drawn_networks import draw
from tests.compress.test_networks import integer, network
from tests.export import alone, every_kernel, loops
from tests.export.images import BOARD, Exported, exported, said, together
from tests.export.test_drawn_networks import graph_of, signal_of
from tests.export.test_libraries import ran
from tests.firmware.test_sanitizers import pose

GOOD, DAMAGED, WRONG = 0, 1, 2
STARTING = {"pose": [5], "recurrent": [1, 2], "drawn 12": [0, 1]}  # the steps
# A stream that has begun; then what the test says of it, and whether it is as after a reset.
FUNCTION = """#include "tested.h"
#include <string.h>

TESTED_DEFINE(net);
static int16_t samples[TESTED_STEP_SAMPLES], out[TESTED_STEP_OUTPUTS];

static int tested_twice(void)
{
    static const tested_state fresh;
    memset(&net_state, 0x35, sizeof net_state);
    memset(samples, 0x11, sizeof samples);
    const int found = tested_selftest(&net, samples, out);
    const int is_fresh = memcmp(&net_state, &fresh, TESTED_STATE_BYTES) == 0;
    return tested_selftest(&net, samples, out) == found && is_fresh ? found : 100;
}
"""
MAIN = f"""{FUNCTION}
int main(void)
{{
    return tested_twice();
}}
"""
ON_A_BOARD = f"""{FUNCTION}
#include "port.h"

int main(void)
{{
    (void)port_start();
    const uint8_t answer[2] = {{(uint8_t)tested_twice(), 0}};
    port_write(answer, 2);
    for (;;) {{
        uint8_t byte;
        (void)port_read(&byte, 1);
    }}
}}
"""


# Kernels of start-up that are wrong: what stands in the place of nn_start_up.c
CLEAR = "memset(state, 0, bytes);"
START_UPS = {
    "always clears": f"if (*steps < until) ++*steps; {CLEAR}",
    "never clears": "if (*steps < until) ++*steps;",
    "never counts": f"if (*steps < until) {CLEAR}",
    "clears a step too few": f"if (*steps < until && ++*steps < until) {CLEAR}",
    "clears a part": "if (*steps < until) { ++*steps; memset(state, 0, bytes / 2); }",
}


@pytest.fixture(scope="module")
def typing(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return exported(integer(network()), "tested", tmp_path_factory.mktemp("typing"))


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return exported(pose(), "tested", tmp_path_factory.mktemp("pose"))


def program(
    tested: Exported, folder: Path, compiler: str = "gcc", other: tuple[str, Path] | None = None
) -> Path:
    """Of model/ and nn/, and nothing else. `other`: a kernel, and the source in its place."""
    (folder / "main.c").write_text(MAIN)
    parts = [tested.project / part for part in ("model", "nn")]
    sources = [path for part in parts for path in sorted(part.glob("*.c"))]
    if other:
        sources = [other[1] if path.stem == other[0] else path for path in sources]
        assert other[1] in sources
    include = [f"-I{part}" for part in parts]
    command = [compiler, "-std=c11", "-O1", folder / "main.c", *sources, *include]
    ran(*command, "-o", folder / "program")
    return folder / "program"


def verdict(image: Path) -> int:
    return subprocess.run([image]).returncode


def with_a_bit_flipped(image: Path, symbol: str, rng: np.random.Generator) -> Path:
    """Beside an ELF, the same with one bit of an object changed."""
    content = bytearray(image.read_bytes())
    with image.open("rb") as file:
        elf = ELFFile(file)
        (found,) = elf.get_section_by_name(".symtab").get_symbol_by_name(symbol)  # type: ignore[union-attr]
        section = elf.get_section(found["st_shndx"])
        begin = section["sh_offset"] + found["st_value"] - section["sh_addr"]
    content[begin + rng.integers(found["st_size"])] ^= 1 << rng.integers(8)
    changed = image.with_name("changed.elf")
    changed.write_bytes(content)
    changed.chmod(0o755)
    return changed


# --- on this machine ------------------------------------------------------------------------------


@pytest.mark.parametrize("compiler", ["gcc", compilers.clang()])
def test_a_sound_build_passes_without_the_application(
    compiler: str, typing: Exported, tmp_path: Path
) -> None:
    toy.need(compiler)
    assert verdict(program(typing, tmp_path, compiler)) == GOOD


@pytest.mark.parametrize("name", every_kernel.MADE)
def test_so_does_every_other_network(name: str, tmp_path: Path) -> None:
    toy.need("gcc")
    tested = exported(every_kernel.integer(name), "tested", tmp_path)
    assert verdict(program(tested, tmp_path)) == GOOD


def test_so_does_one_whose_windows_begin_anew(tmp_path: Path) -> None:
    toy.need("gcc")
    tested = exported(loops.integer(alone.in_windows("states")), "tested", tmp_path)
    assert verdict(program(tested, tmp_path)) == GOOD


@pytest.mark.parametrize("which", ["typing", "tracking"])
def test_a_flipped_bit_in_any_table_is_damage(
    which: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    toy.need("gcc")
    tested = request.getfixturevalue(which)
    image, rng = program(tested, tmp_path), np.random.default_rng(3)
    assert verdict(image) == GOOD and len(tested.model.tables) > 20
    for table in tested.model.tables:
        assert verdict(with_a_bit_flipped(image, table, rng)) == DAMAGED, table


def test_words_that_are_a_step_apart_are_wrong(typing: Exported, tmp_path: Path) -> None:
    """One kernel's source, altered: one of its values is larger by one."""
    toy.need("gcc")
    nn = typing.project / "nn"
    source = (nn / "nn_mean_pool_s16.c").read_text()
    altered = source.replace("void nn_mean_pool_s16(", "static void sound(")
    assert altered != source
    (tmp_path / "altered.c").write_text(
        f"{altered}\nvoid nn_mean_pool_s16(const nn_mean_pool *op, const int16_t *x, int16_t *y)\n"
        "{\n    sound(op, x, y);\n    y[0]++;\n}\n"
    )
    image = program(typing, tmp_path, other=("nn_mean_pool_s16", tmp_path / "altered.c"))
    assert verdict(image) == WRONG


@pytest.mark.parametrize("which", ["typing", "tracking"])
def test_a_kernel_that_does_nothing_is_wrong(
    which: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Whichever it is."""
    toy.need("gcc")
    tested = request.getfixturevalue(which)
    for kernel in emit.kernels(tested.graph):
        (tmp_path / "nothing.c").write_text(f"void {kernel}(void);\nvoid {kernel}(void) {{}}\n")
        image = program(tested, tmp_path, other=(kernel, tmp_path / "nothing.c"))
        assert verdict(image) == WRONG, kernel


# --- start-up -------------------------------------------------------------------------------------


def starting(name: str) -> g.Graph:
    """Networks whose recurrent state begins with a later step than the first, or the second."""
    if name == "pose":
        return pose()
    if name == "recurrent":
        return every_kernel.integer(name)
    drawn = draw(int(name.removeprefix("drawn ")))
    real = graph_of(drawn)
    return quantize(real, observe(real, [signal_of(real, drawn)], products=False), "w8a16")


@pytest.mark.parametrize("name", STARTING)
def test_a_start_up_that_is_wrong_is_found_in_three_steps(name: str, tmp_path: Path) -> None:
    """However many steps it has."""
    toy.need("gcc")
    tested = exported(starting(name), "tested", tmp_path)
    assert STARTING[name] == sorted(set(tested.graph.begins.values()))
    assert verdict(program(tested, tmp_path)) == GOOD
    for wrong, body in START_UPS.items():
        (tmp_path / "altered.c").write_text(
            '#include "nn.h"\n#include <string.h>\n'
            "void nn_start_up(uint32_t *steps, uint32_t until, void *state, uint32_t bytes)\n"
            f"{{\n    (void)state, (void)bytes;\n    {body}\n}}\n"
        )
        image = program(tested, tmp_path, other=("nn_start_up", tmp_path / "altered.c"))
        assert verdict(image) == WRONG, wrong


# --- on the emulated board ------------------------------------------------------------------------


def on_the_board(image: Path) -> int:
    with open_emulator(load_board(BOARD), image) as running:
        return said(running, 2)[0]


@pytest.mark.parametrize("compiler", compilers.COMPILERS)
def test_the_emulated_board_says_the_same(compiler: str, typing: Exported, tmp_path: Path) -> None:
    toy.need(compilers.program(load_board(BOARD), compiler))
    toy.need_emulator()
    project = together(tmp_path / "p", ON_A_BOARD, typing)
    image = build_project(project, BOARD, compiler=compiler)
    assert on_the_board(image) == GOOD
    rng, tables = np.random.default_rng(4), list(typing.model.tables)
    for table in (tables[0], tables[len(tables) // 2], tables[-1]):
        assert on_the_board(with_a_bit_flipped(image, table, rng)) == DAMAGED


def test_a_wrong_kernel_is_found_there_too(typing: Exported, tmp_path: Path) -> None:
    toy.need("arm-none-eabi-gcc")
    toy.need_emulator()
    project = together(tmp_path / "p", ON_A_BOARD, typing)
    source = project / "nn" / "nn_add_s16.c"
    text = source.read_text()
    assert "nn_load_pair(b)" in text
    source.write_text(text.replace("nn_load_pair(b)", "nn_load_pair(a)"))
    assert on_the_board(build_project(project, BOARD)) == WRONG


# --- what it feeds --------------------------------------------------------------------------------


def test_its_samples_are_in_range_and_move_every_output(typing: Exported) -> None:
    graph = typing.graph
    samples = selftest.samples(graph)
    assert samples.min() >= graph.input.lo and samples.max() <= graph.input.hi
    assert len(np.unique(samples)) > 100
    words = selftest.words(graph)
    assert len(words) == selftest.STEPS * graph.chunk and words.std(axis=0).min() > 0


def test_the_header_says_what_it_answers_and_what_becomes_of_the_stream(typing: Exported) -> None:
    header = (typing.project / "model" / "tested.h").read_text()
    text = " ".join(header.replace("*", " ").split())
    for said_so in ("0: they gave the words", "1: the tables are damaged", "2: other words"):
        assert said_so in text
    assert "the stream is as after tested_reset()" in text
