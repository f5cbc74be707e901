"""Several networks and several streams in one program: each says the words it says alone, names do
not meet, and memory lies where its owner puts it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from compress.errors import TendonError
from export import compilers
from export.boards import load_board
from export.c.project import build_objects, build_project
from tests import toy
from tests.compress.test_networks import integer, network
from tests.export import every_kernel
from tests.export.images import BOARD, SANITIZE, Exported, Stream, exported, said, started, together
from tests.export.test_libraries import ran
from tests.firmware.test_sanitizers import pose

STEPS = 24
# Says 0 when it listens; then answers a byte that chooses a stream, and a step's samples, with the
# words; 0 ends an answer.
MAIN = """#include "pose_net.h"
#include "port.h"
#include "typing_net.h"

/* Three streams share an arena, the fourth has one. */
static union {
    typing_net_arena typing;
    pose_net_arena pose;
} shared TYPING_NET_IN_ARENA;
static typing_net_state of_left TYPING_NET_IN_STATE, of_right TYPING_NET_IN_STATE;
static pose_net_state of_hand POSE_NET_IN_STATE;
static typing_net left = {&of_left, &shared.typing}, right = {&of_right, &shared.typing};
static pose_net hand = {&of_hand, &shared.pose};
TYPING_NET_DEFINE(other);

static union {
    uint8_t bytes[2 * TYPING_NET_STEP_SAMPLES + 2 * POSE_NET_STEP_SAMPLES];
    int16_t words[TYPING_NET_STEP_SAMPLES + POSE_NET_STEP_SAMPLES];
} in, out;

static void receive(uint8_t *bytes, uint32_t count)
{
    while (count > 0) {
        const uint32_t taken = port_read(bytes, count);
        bytes += taken;
        count -= taken;
    }
}

static uint32_t typed(typing_net *stream)
{
    receive(in.bytes, 2 * TYPING_NET_STEP_SAMPLES);
    typing_net_step(stream, in.words, out.words);
    return 2 * TYPING_NET_STEP_OUTPUTS;
}

static uint32_t posed(pose_net *stream)
{
    receive(in.bytes, 2 * POSE_NET_STEP_SAMPLES);
    pose_net_step(stream, in.words, out.words);
    return 2 * POSE_NET_STEP_OUTPUTS;
}

int main(void)
{
    typing_net *const typings[] = {&left, &right, &other};
    static const uint8_t ready;
    (void)port_start();
    port_write(&ready, 1);
    for (;;) {
        uint8_t which;
        receive(&which, 1);
        const uint32_t count = which < 3 ? typed(typings[which]) : posed(&hand);
        out.bytes[count] = 0;
        port_write(out.bytes, count + 1);
    }
}
"""


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> list[Exported]:
    folder = tmp_path_factory.mktemp("two networks")
    return [
        exported(integer(network()), "typing net", folder),
        exported(pose(), "pose net", folder),
    ]


@pytest.fixture(scope="module")
def image(networks: list[Exported], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project of a program that holds both."""
    return together(tmp_path_factory.mktemp("image") / "both", MAIN, *networks)


def test_they_share_kernels_and_each_has_some_of_its_own(networks: list[Exported]) -> None:
    typing, pose = ({p.name: p for p in (n.project / "nn").iterdir()} for n in networks)
    assert set(typing) - set(pose) and set(pose) - set(typing)
    shared = set(typing) & set(pose)
    assert {name for name in shared if name.endswith("_s16.c")}
    assert all(typing[name].read_bytes() == pose[name].read_bytes() for name in shared)


@pytest.mark.parametrize(
    ("board", "compiler", "flags"),
    [
        (BOARD, "gcc", ""),
        (BOARD, "clang", ""),
        ("posix", "gcc", SANITIZE),
        ("posix", "clang", SANITIZE),
    ],
)
def test_interleaved_streams_of_two_networks_say_what_each_says_alone(
    board: str,
    compiler: str,
    flags: str,
    image: Path,
    networks: list[Exported],
    tmp_path: Path,
) -> None:
    toy.need("arm-none-eabi-gcc", compilers.program(load_board(board), compiler))
    if board == BOARD:
        toy.need_emulator()
    typing, pose = (network.graph for network in networks)
    streams = [Stream(graph, STEPS, n) for n, graph in enumerate([typing, typing, typing, pose])]
    turns = np.random.default_rng(7).permutation(np.repeat(range(4), STEPS))
    with started(image, tmp_path, board, compiler, flags) as running:
        for turn in turns:
            samples, expected = streams[turn].step()
            running.line.send(bytes([turn]) + samples)
            found = said(running, 2 * len(expected) + 1)[:-1]
            assert np.frombuffer(found, "<i2").tolist() == expected, f"stream {turn}"


# --- one program, as the README says --------------------------------------------------------------


def test_kernels_of_another_version_are_refused_by_the_compiler(
    networks: list[Exported], tmp_path: Path
) -> None:
    toy.need("gcc", "make")
    project = together(tmp_path / "p", MAIN, *networks)
    header = project / "nn" / "nn.h"
    changed, count = re.subn(r"(#define NN_VERSION) \d+", r"\1 4", header.read_text())
    assert count == 1
    header.write_text(changed)
    with pytest.raises(TendonError, match=r"was generated for version \d+ of the kernels, nn\.h"):
        build_project(project, "posix")


LISTS = """cmake_minimum_required(VERSION 3.21)
project(program C)
add_subdirectory("{typing}" typing)
add_subdirectory("{pose}" pose)
add_executable(program main.c)
target_link_libraries(program PRIVATE Tendon::pose_net Tendon::typing_net)
"""
TESTS = """#include "pose_net.h"
#include "typing_net.h"

TYPING_NET_DEFINE(typing);
POSE_NET_DEFINE(pose);
static int16_t samples[TYPING_NET_STEP_SAMPLES + POSE_NET_STEP_SAMPLES];
static int16_t out[TYPING_NET_STEP_OUTPUTS + POSE_NET_STEP_OUTPUTS];

int main(void)
{
    return 10 * typing_net_selftest(&typing, samples, out) + pose_net_selftest(&pose, samples, out);
}
"""


def of_cmake(networks: list[Exported], folder: Path) -> subprocess.CompletedProcess[str]:
    """Configure a program that adds both projects."""
    folder.mkdir(exist_ok=True)
    projects = {"typing": networks[0].project, "pose": networks[1].project}
    (folder / "CMakeLists.txt").write_text(LISTS.format(**projects))
    (folder / "main.c").write_text(TESTS)
    command = ["cmake", "-S", folder, "-B", folder / "out"]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True)


def test_a_cmake_program_adds_both_folders(networks: list[Exported], tmp_path: Path) -> None:
    toy.need("cmake", "gcc")
    done = of_cmake(networks, tmp_path)
    assert done.returncode == 0, done.stderr
    ran("cmake", "--build", tmp_path / "out")
    ran(tmp_path / "out" / "program")
    symbols = ran("nm", tmp_path / "out" / "program").split()
    assert symbols.count("nn_linear_s8_s16") == 1, "from one of the two"


def test_cmake_refuses_networks_for_different_kernels(
    networks: list[Exported], tmp_path: Path
) -> None:
    toy.need("cmake", "gcc")
    older = exported(networks[1].graph, "pose net", tmp_path)
    lists = older.project / "CMakeLists.txt"
    changed, count = re.subn(r"(INTERFACE_TENDON_NN_VERSION) \d+", r"\1 4", lists.read_text())
    assert count == 1
    lists.write_text(changed)
    done = of_cmake([networks[0], older], tmp_path / "program")
    assert done.returncode != 0 and "INTERFACE_TENDON_NN_VERSION" in done.stderr


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("board", "compiler"), [(BOARD, "gcc"), (BOARD, "clang"), ("posix", "gcc")]
)
def test_everything_external_begins_with_the_name_of_its_network_or_of_the_kernels(
    board: str, compiler: str, networks: list[Exported], tmp_path: Path
) -> None:
    toy.need("arm-none-eabi-gcc", compilers.program(load_board(board), compiler))
    for found in networks:
        for part, prefix in (("model", f"{found.name}_"), ("nn", "nn_")):
            objects = build_objects(
                found.project, board, [part], tmp_path / found.name, compiler=compiler
            )
            names = externals(objects, load_board(board).prefix)
            assert names and all(name.startswith(prefix) for name in names), names


def externals(objects: list[Path], prefix: str) -> list[str]:
    """What these define for others. `prefix`: of the compiler's tools."""
    listing = ran(f"{prefix}nm", "-g", "--defined-only", *objects)
    return re.findall(r"^[0-9a-f]+ \w (\S+)$", listing, re.MULTILINE)


@pytest.mark.parametrize("name", ["recurrent", "windowed"])
def test_the_same_of_every_network(name: str, tmp_path: Path) -> None:
    toy.need("gcc", "make")
    network = exported(every_kernel.integer(name), name, tmp_path)
    names = externals(build_objects(network.project, "posix", ["model"], tmp_path / "out"), "")
    assert names and all(n.startswith(f"{name}_") for n in names), names


def test_macros_and_types_of_a_header_begin_with_its_networks_name(
    networks: list[Exported],
) -> None:
    toy.need("gcc")
    empty = macros(None)
    for found in networks:
        name = found.name
        for header in (f"{name}.h", f"{name}_tables.h"):
            path = found.project / "model" / header
            text = path.read_text()
            defined = macros(path) - empty
            assert f"{path.stem.upper()}_H" in defined
            assert all(word.startswith(f"{name.upper()}_") for word in defined), defined
            for kind in re.findall(r"^} (\w+);$|^typedef [^{;]* (\w+);$", text, re.MULTILINE):
                assert "".join(kind).startswith(name)
        assert re.findall(r"^#ifndef (\w+)\n#define \1$", text, re.MULTILINE)


def macros(header: Path | None) -> set[str]:
    """Of a header, with all that it includes."""
    source = "#include <stdint.h>\n" + (f'#include "{header}"\n' if header else "")
    command = ["gcc", "-DMODEL_TAP", "-dM", "-E", "-x", "c", "-"]
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=True)
    return set(re.findall(r"^#define (\w+)", done.stdout, re.MULTILINE))


# --- memory ---------------------------------------------------------------------------------------

SECTIONS = {"STATE": ".slow_ram", "ARENA": ".fast_ram", "TABLES": ".external_flash"}


def override(upper: str, part: str, section: str) -> str:
    argument = "(table)" if part == "TABLES" else ""
    attributes = f'__attribute__((aligned(8),section("{section}")))'
    return f"'-D{upper}_IN_{part}{argument}={attributes}'"


@pytest.mark.parametrize("compiler", compilers.COMPILERS)
def test_a_user_puts_state_arena_and_tables_of_a_network_elsewhere(
    compiler: str, networks: list[Exported], image: Path, tmp_path: Path
) -> None:
    """Its memory alone moves; that of the other network stays in the sections of the project."""
    toy.need("arm-none-eabi-gcc", compilers.program(load_board(BOARD), compiler))
    flags = " ".join(override("TYPING_NET", part, to) for part, to in SECTIONS.items())
    objects = build_objects(
        image, BOARD, ["model", "app"], tmp_path, {"EXTRA": flags}, compiler=compiler
    )
    where = sections(objects)
    typing, pose = (network.model for network in networks)
    assert {where[table] for table in typing.tables} == {SECTIONS["TABLES"]}
    assert {where[table] for table in pose.tables} == {
        f".rodata.model_tables.{table}" for table in pose.tables
    }
    assert where["of_left"] == where["other_state"] == SECTIONS["STATE"]
    assert where["shared"] == where["other_arena"] == SECTIONS["ARENA"]
    assert where["of_hand"] == ".bss.model_state"


def sections(objects: list[Path]) -> dict[str, str]:
    """Of each object of data the section it lies in."""
    found: dict[str, str] = {}
    for path in objects:
        listing = ran("arm-none-eabi-objdump", "-t", path)
        found |= {
            name: section
            for section, name in re.findall(
                r"^[0-9a-f]+ [lg]\s+O (\S+)\s+[0-9a-f]+ (\S+)$", listing, re.MULTILINE
            )
        }
    return found


def test_a_linker_script_moves_them_by_their_sections(image: Path, tmp_path: Path) -> None:
    """Without a macro: from RAM to the core-coupled memory, by the script's own names."""
    toy.need("arm-none-eabi-gcc")
    script = image / "port" / BOARD / "linker.ld"
    kept = script.read_text()
    try:
        script.write_text(kept.replace('"ARENA", RAM', '"ARENA", CCM'))
        assert script.read_text() != kept
        elf = build_project(image, BOARD, tmp_path)
    finally:
        script.write_text(kept)
    listing = ran("arm-none-eabi-nm", elf)
    begins = dict(re.findall(r"^([0-9a-f]+) \w (\w+)$", listing, re.MULTILINE))
    where = {name: int(address, 16) for address, name in begins.items()}
    assert 0x10000000 <= where["shared"] < 0x10010000 <= 0x20000000 <= where["of_left"]
