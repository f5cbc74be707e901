"""Which memory holds what: nothing overflows, what is touched most lies fastest, and what cannot
fit is named."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import footprint
from compress import graph as g
from compress.errors import TendonError
from compress.graph.samples import to_int16
from compress.interpreter.integer import IntegerInterpreter
from export import boards
from export.boards import Memory, load_board, names
from export.c import emit, placement, streaming
from export.c.placement import (
    COLD,
    HOTTEST_FIRST,
    DoesNotFitError,
    boards_that_hold,
    coldest,
    part_sizes,
    place,
)
from export.c.project import build_project, write_project
from export.c.streaming import Table
from host.boards import open_board
from host.run import Run
from tests import toy
from tests.compress.test_networks import integer, network, signal

BOARDS = [name for name in names() if load_board(name).memory]
NETWORKS = st.fixed_dictionaries(
    {
        "tables": st.integers(0, 5 << 20),
        "arena": st.integers(0, 700 << 10),
        "state": st.integers(0, 700 << 10),
        "step_bytes": st.integers(64, 16 << 10),
        "outputs": st.integers(1, 300),
    }
)


@settings(deadline=None)
@given(st.sampled_from(BOARDS), NETWORKS)
def test_no_region_overflows_and_every_part_lies_where_it_may(
    name: str, network: dict[str, int]
) -> None:
    board = load_board(name)
    sizes = part_sizes(board, **network)
    try:
        placed = place("net", sizes, board)
    except DoesNotFitError:
        return
    assert set(placed.where) == set(HOTTEST_FIRST)
    for part, region in placed.where.items():
        assert part in board.memory[region].holds or (
            part == "tables" and COLD in board.memory[region].holds
        )
    assert all(placed.planned(region) <= memory.size for region, memory in board.memory.items())
    assert sum(placed.planned(region) for region in board.memory) == sum(sizes.values())


@settings(deadline=None)
@given(st.sampled_from(BOARDS), NETWORKS)
def test_a_part_lies_lower_than_its_choice_only_where_hotter_ones_leave_no_room(
    name: str, network: dict[str, int]
) -> None:
    """Moving any part up to a better region, everything else and every hotter part as it is, would
    overflow it."""
    board = load_board(name)
    sizes = part_sizes(board, **network)
    try:
        placed = place("net", sizes, board)
    except DoesNotFitError:
        return
    for part, region in placed.where.items():
        choices = [n for n, memory in board.memory.items() if part in memory.holds]
        choices += [
            n for n, memory in board.memory.items() if part == "tables" and COLD in memory.holds
        ]
        for better in choices[: choices.index(region)]:
            assert placed.planned(better) + sizes[part] > board.memory[better].size


@settings(deadline=None)
@given(st.sampled_from(BOARDS), NETWORKS)
def test_what_is_refused_cannot_fit_and_says_what_is_short(
    name: str, network: dict[str, int]
) -> None:
    board = load_board(name)
    sizes = part_sizes(board, **network)
    try:
        place("net", sizes, board)
        assert name in boards_that_hold(sizes)
    except DoesNotFitError as error:
        text = str(error)
        assert f"net does not fit {name}: " in text and "available" in text and "too many" in text
        others = boards_that_hold(sizes)
        assert (
            name not in others and (" or ".join(others) or "no board here is large enough") in text
        )


def test_the_published_networks_lie_where_their_sizes_say() -> None:
    """S4_large (state 128 KiB, arena 32 KiB) leaves the fast memory to its arena; a smaller network
    has it all."""
    h743 = load_board("nucleo-h743zi2")
    large = place("S4_large", part_sizes(h743, 1_482_300, 32_768, 131_072, 4096, 99), h743)
    assert (large.where["stack"], large.where["arena"], large.where["state"]) == (
        "dtcm",
        "dtcm",
        "axi",
    )
    small = place("TC_S4_small", part_sizes(h743, 474_354, 4_992, 49_152, 6144, 99), h743)
    assert {small.where[part] for part in ("stack", "arena", "state")} == {"dtcm"}
    assert small.planned("itcm") == large.planned("itcm") == 0


def test_a_colder_part_gives_way_when_only_that_lets_both_fit() -> None:
    """The arena's first choice would leave no place for the state: the arena moves."""
    board = load_board("nucleo-h743zi2")
    tight = dataclasses.replace(
        board,
        memory=board.memory | {"axi": Memory(0x24000000, 64 << 10, board.memory["axi"].holds)},
    )
    placed = place("net", part_sizes(tight, 1000, 32 << 10, 120 << 10, 4096, 99), tight)
    assert (placed.where["arena"], placed.where["state"]) == ("axi", "dtcm")


def test_the_allowances_hold_what_the_application_takes() -> None:
    for name in BOARDS:
        measured = footprint.read(toy.image(name), load_board(name).memory)
        code = measured.flash - measured.purpose("tables")
        assert code < placement.CODE_ALLOWANCE - 12 * 1024, "room for all kernels"
        sizes = part_sizes(load_board(name), 256, 0, 2048, 96 * 64, 99)
        assert measured.ram <= sum(sizes[part] for part in ("stack", "buffers", "state"))


def test_a_region_for_nothing_is_an_error(tmp_path: Path) -> None:
    board = load_board("virtual-f405")
    without = dataclasses.replace(board, memory={"flash": board.memory["flash"]})
    with pytest.raises(TendonError, match="no region holds stack"):
        place("net", part_sizes(without, 1, 1, 1, 64, 1), without)


def test_a_board_names_a_family_of_kernels_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = tmp_path / "port" / "virtual-m55"
    port.mkdir(parents=True)
    text = (boards.FIRMWARE / "port" / port.name / "board.toml").read_text()
    assert load_board(port.name).kernels == "mve" and load_board("virtual-m7").kernels == "dsp"
    monkeypatch.setattr(boards, "FIRMWARE", tmp_path)
    (port / "board.toml").write_text(text.replace('kernels = "mve"', 'kernels = "sve"'))
    with pytest.raises(TendonError, match="kernels = 'sve': expected one of dsp, mve"):
        load_board(port.name)


@pytest.mark.parametrize(("arena", "state"), [("ram", "psram"), ("psram", "ram")])
def test_the_linker_puts_each_array_where_the_plan_says_and_it_runs_there(
    arena: str, state: str, tmp_path: Path
) -> None:
    toy.need_emulator()
    files = toy.model_files()
    changes = {
        b"#include <string.h>": (
            b'#include <string.h>\n#define IN(name) __attribute__((section(".bss.model_" name)))'
        ),
        b"static uint32_t state": (
            b'IN("arena") static int16_t arena[64];\nIN("state") static uint32_t state'
        ),
        b"state[511]++;": b"state[511]++;\n    arena[state[511] % 64u]++;",
    }
    for before, after in changes.items():
        files["model.c"] = files["model.c"].replace(before, after)
    where = placement.first_choices(load_board("virtual-m7")) | {"arena": arena, "state": state}
    write_project(tmp_path / "p", "virtual-m7", files, [], "toy model", where)
    image = build_project(tmp_path / "p", "virtual-m7")
    measured = footprint.read(image, load_board("virtual-m7").memory)
    assert footprint.differences(measured, {"arena": (arena, 128), "state": (state, 2048)}) == []
    with open_board("virtual-m7", image, toy.MODEL_HASH) as board:
        board.link.handshake()
        np.testing.assert_array_equal(
            Run(toy.samples(2)).start(board.link).outputs, toy.run(toy.samples(2))
        )


@pytest.mark.parametrize("region", ["flash", "psram"])
def test_tables_may_lie_apart_from_the_code_and_the_network_computes_the_same(
    region: str, tmp_path: Path
) -> None:
    toy.need_emulator()
    graph = integer(network())
    model = emit.build(graph)
    where = placement.first_choices(load_board("virtual-m7")) | {"tables": region}
    write_project(
        tmp_path / "p", "virtual-m7", emit.files(model), emit.kernels(graph), "a network", where
    )
    image = build_project(tmp_path / "p", "virtual-m7")
    measured = footprint.read(image, load_board("virtual-m7").memory)
    assert footprint.differences(measured, {"tables": (region, model.table_bytes)}) == []
    written = sum(path.stat().st_size for path in image.parent.glob("*.bin"))
    assert measured.flash <= written < measured.flash + 64, (
        "what is flashed: every loaded byte, and alignment between sections"
    )
    assert (image.parent / "tables.bin").exists() == (region == "psram")
    x = to_int16(graph, signal(graph.samples_per_step * 6))
    with open_board("virtual-m7", image, graph.hash()) as board:
        board.link.handshake()
        board.link.reset()
        np.testing.assert_array_equal(
            board.link.stream(x).outputs, IntegerInterpreter(graph).run(x[None])[0]
        )


# --- tables that are split ------------------------------------------------------------------------

TABLES = st.lists(
    st.tuples(st.integers(1, 3 << 20), st.sampled_from((0.5, 25.0, 50.0, 400.0))), max_size=30
).map(lambda found: [Table(f"t{i}", size, reads) for i, (size, reads) in enumerate(found)])
EXTERNAL = [
    name
    for name in BOARDS
    if any(COLD in memory.holds for memory in load_board(name).memory.values())
]


def padded(table: Table) -> int:
    """Bytes it takes where every table begins at a multiple of eight."""
    return (table.size + 7) // 8 * 8


@given(TABLES, st.integers(0, 8 << 20))
def test_a_table_lies_outside_only_where_those_as_hot_or_hotter_leave_it_no_room(
    tables: list[Table], room: int
) -> None:
    cold = coldest(tables, room)
    inside = [table for table in tables if table.name not in cold]
    assert sum(map(padded, inside)) <= room and list(cold) == [
        table.name for table in tables if table.name in cold
    ]
    for table in tables:
        if table.name in cold:
            hotter = [other for other in inside if other.reads_per_second >= table.reads_per_second]
            assert sum(map(padded, hotter)) + padded(table) > room


@given(TABLES, st.integers(0, 8 << 20))
def test_no_choice_of_tables_leaves_fewer_reads_outside_than_tables_that_could_be_cut(
    tables: list[Table], room: int
) -> None:
    """Within the hottest table that found no room: what cutting would save is not more than the
    room times its heat."""
    cold = coldest(tables, room)
    outside = sum(table.bytes_per_second for table in tables if table.name in cold)
    least, left = 0.0, float(room)
    for table in sorted(tables, key=lambda table: -table.reads_per_second):
        least += max(0.0, table.size - left) * table.reads_per_second
        left = max(0.0, left - table.size)
    hottest = max((table.reads_per_second for table in tables if table.name in cold), default=0.0)
    assert outside <= least + (room + 8 * len(tables)) * hottest


@settings(deadline=None)
@given(st.sampled_from(BOARDS), TABLES, st.integers(0, 200 << 10), st.integers(0, 200 << 10))
def test_split_tables_all_lie_somewhere_or_the_network_is_refused(
    name: str, tables: list[Table], arena: int, state: int
) -> None:
    board = load_board(name)
    sizes = part_sizes(board, sum(table.size for table in tables), arena, state, 2560, 20)
    try:
        placed = place("net", sizes, board, tables)
    except DoesNotFitError as error:
        assert "net does not fit" in str(error) and "too many" in str(error)
        return
    assert all(placed.planned(region) <= memory.size for region, memory in board.memory.items())
    assert sum(placed.sizes.values()) == sum(sizes.values())
    cold = sum(table.size for table in tables if table.name in placed.cold)
    assert placed.sizes.get(COLD, 0) == cold and placed.sizes["tables"] == sizes["tables"] - cold
    if placed.cold:
        assert name in EXTERNAL and COLD in board.memory[placed.where[COLD]].holds
        assert sizes["tables"] + placed.sizes["code"] > board.memory[
            placed.where["tables"]
        ].size - 8 * len(tables)
    else:
        assert placed == place("net", sizes, board), "what fits as a whole lies as it did"


def test_a_network_for_external_flash_is_refused_by_a_board_without_and_told_where_to_go() -> None:
    tables = [Table("weights", 4 << 20, 50.0), Table("others", 2 << 20, 25.0)]
    board = load_board("nucleo-h743zi2")
    with pytest.raises(DoesNotFitError) as refused:
        place("tracking", part_sizes(board, 6 << 20, 40_000, 40_000, 2560, 20), board, tables)
    text = str(refused.value)
    assert "tables needs 6,291,456 bytes, flash has" in text and "make compress … FLASH=2M" in text
    assert (
        "stm32h735g-dk" in text.partition("BOARD=")[2]
        and "with an external flash for cold tables" in text
    )


def test_what_a_memory_must_give_is_said_with_what_it_gives() -> None:
    board = load_board("stm32h735g-dk")
    tables = [Table("hot", 3 << 20, 50.0), Table("warm", 100_000, 25.0)]
    outside, inside = streaming.demands(board, {"hot": "octospi", "warm": "flash"}, tables)
    assert str(outside).endswith(
        "157.3 MB/s of 200.0 MB/s that it gives (79%); enough, and what the core computes comes"
        " on top"
    )
    assert (outside.enough, outside.needs, inside.gives, inside.enough) == (
        True,
        (3 << 20) * 50.0,
        None,
        True,
    )
    (late,) = streaming.demands(board, {"hot": "octospi"}, [Table("hot", 5 << 20, 50.0)])
    assert not late.enough and "NOT REAL TIME, at best 0.76 seconds of signal a second" in str(late)


def test_a_table_is_read_once_by_every_call_that_names_it() -> None:
    graph = integer(network())
    model, steps = emit.build(graph), float(graph.input.rate) / graph.samples_per_step
    found = streaming.tables(model)
    reads = {table.name: table.reads_per_second / steps for table in found}
    assert [(table.name, table.size) for table in found] == [
        (name, values.nbytes) for name, values in model.tables.items()
    ]
    for index, op in enumerate(graph.ops):
        if isinstance(op, g.IntDense):
            weights = [name for name in model.first_tables[index] if name.endswith("_weights")]
            assert sum(reads[name] for name in weights) == len(model.calls_of(index))
    gated = [index for index, op in enumerate(graph.ops) if isinstance(op, g.IntGlu)]
    assert len(gated) > 1 and reads[f"{model.identifier}_sigmoid"] == sum(
        len(model.calls_of(index)) for index in gated
    ), "shared by all"


def test_cold_tables_lie_apart_by_name_and_the_network_computes_the_same(tmp_path: Path) -> None:
    toy.need_emulator()
    graph = integer(network())
    model = emit.build(graph)
    tables = streaming.tables(model)
    cold = [table.name for table in tables][::2]
    where = placement.first_choices(load_board("virtual-m7")) | {COLD: "psram"}
    write_project(
        tmp_path / "p",
        "virtual-m7",
        emit.files(model),
        emit.kernels(graph),
        "a network",
        where,
        cold,
    )
    image = build_project(tmp_path / "p", "virtual-m7")
    measured = footprint.read(image, load_board("virtual-m7").memory)
    outside = sum(table.size for table in tables if table.name in cold)
    assert (
        footprint.differences(
            measured, {"tables": ("flash", model.table_bytes - outside), COLD: ("psram", outside)}
        )
        == []
    )
    written = sum(path.stat().st_size for path in image.parent.glob("*.bin"))
    assert (
        measured.flash <= written < measured.flash + 64
        and (image.parent / "cold_tables.bin").is_file()
    )
    readme = " ".join((tmp_path / "p" / "README.md").read_text().split())
    assert "`cold_tables.bin`, beside the image, belongs at 0x60000000" in readme
    x = to_int16(graph, signal(graph.samples_per_step * 6))
    with open_board("virtual-m7", image, graph.hash()) as board:
        board.link.handshake()
        board.link.reset()
        np.testing.assert_array_equal(
            board.link.stream(x).outputs, IntegerInterpreter(graph).run(x[None])[0]
        )
