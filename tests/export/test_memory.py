"""The arena: no two tensors that live at one time overlap, and nothing shorter would do."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from compress.frontend.checkpoint import Checkpoint
from export.c import memory
from export.c.ops import entry_of
from export.c.packing import ORDERS, Block, Packing, Span, _lowest, pack
from tests.compress.test_networks import integer, networks, slow


def together(a: Span, b: Span) -> bool:
    return a.first <= b.last and b.first <= a.last


def overlaps(blocks: Sequence[Block], offsets: Sequence[int]) -> bool:
    placed = list(zip(blocks, offsets, strict=True))
    return any(
        together(s, t) and p < q + t.size and q < p + s.size
        for (a, p), (b, q) in itertools.combinations(placed, 2)
        for s, t in itertools.product(a, b)
    )


def shortest(blocks: Sequence[Block], unit: int) -> int:
    """By trying every offset of every block."""
    total = sum(max(s.size for s in b) for b in blocks)
    length = 0
    while True:
        choices = [range(0, length - max(s.size for s in b) + 1, unit) for b in blocks]
        if any(not overlaps(blocks, offsets) for offsets in itertools.product(*choices)):
            return length
        length += unit
        assert length <= total


@st.composite
def blocks(draw: st.DrawFn, most: int, times: int, largest: int) -> list[Block]:
    """Each one span, or two: something is computed over it and is no larger."""
    found = []
    for _ in range(draw(st.integers(1, most))):
        first, lasts = (
            draw(st.integers(0, times)),
            draw(st.lists(st.integers(0, times), min_size=1, max_size=2)),
        )
        sizes = sorted(
            draw(st.lists(st.integers(1, largest), min_size=len(lasts), max_size=len(lasts))),
            reverse=True,
        )
        spans = []
        for size, last in zip(sizes, sorted(lasts), strict=True):
            spans.append(Span(8 * size, first, max(first, last)))
            first = max(first, last)
        found.append(spans)
    return found


@settings(max_examples=150, deadline=None)
@given(blocks(most=4, times=5, largest=4))
def test_a_packing_called_minimal_is_as_short_as_any(drawn: list[Block]) -> None:
    found = pack(drawn)
    assert found.minimal and not overlaps(drawn, found.offsets)
    assert found.length == shortest(drawn, 8) >= found.bound


def test_a_bound_that_cannot_be_met_is_shown_to_be_out_of_reach() -> None:
    """What is computed over a tensor stays at its offset, and here that is in the way of others."""
    tight = [
        [Span(24, 5, 7), Span(8, 7, 9)],
        [Span(24, 2, 3), Span(8, 3, 6)],
        [Span(16, 0, 3), Span(8, 3, 5)],
    ]
    assert (pack(tight).length, pack(tight).bound, pack(tight).minimal) == (48, 40, True)
    assert shortest(tight, 8) == 48


def test_where_all_simple_orders_miss_the_bound_better_ones_are_found() -> None:
    lives = [
        (2, 3, 4),
        (2, 7, 8),
        (5, 7, 9),
        (5, 4, 6),
        (3, 8, 8),
        (3, 8, 10),
        (5, 4, 7),
        (5, 6, 10),
    ]
    hard = [[Span(8 * size, first, last)] for size, first, last in lives]
    simple = [
        _lowest(hard, sorted(range(len(hard)), key=lambda i: (key(hard[i]), i))) for key in ORDERS
    ]
    assert (
        min(max(o + b[0].size for o, b in zip(offsets, hard, strict=True)) for offsets in simple)
        > 144
    )
    assert pack(hard).length == pack(hard).bound == 144


@st.composite
def lifetimes(draw: st.DrawFn) -> list[Block]:
    """A network of dense layers, layers in place, pools, and blocks whose input is kept for a sum;
    tensors fall in size."""
    size, time = draw(st.integers(20, 400)), 0
    found = [[Span(8 * size, 0, 1)]]
    for kind in draw(
        st.lists(st.sampled_from(("dense", "over", "pool", "block")), min_size=1, max_size=20)
    ):
        time += 1
        if kind == "dense":
            size = max(1, size * draw(st.integers(1, 6)) // 4)
            found.append([Span(8 * size, time, time + 1)])
        elif kind == "block":
            time = draw_block(draw, found, size, time)
        else:
            size = size if kind == "over" else max(1, size // draw(st.integers(2, 4)))
            found[-1].append(Span(8 * size, time, time + 1))
    return list(found)


def draw_block(draw: st.DrawFn, found: list[list[Span]], size: int, time: int) -> int:
    """Layers beside the last tensor, the first dense, one of twice the width that a gate halves in
    place; their sum over it."""
    layers = draw(st.lists(st.sampled_from(("dense", "over", "gated")), max_size=4))
    kept = found[-1].pop()
    place = found[-1]
    for step, kind in enumerate(("dense", *layers)):
        if kind == "over":
            found[-1].append(Span(8 * size, time + step, time + step + 1))
        else:
            found.append([Span(8 * size * (1 + (kind == "gated")), time + step, time + step + 1)])
    end = time + len(layers) + 1
    place += [Span(kept.size, kept.first, end), Span(8 * size, end, end + 1)]
    found.append(found.pop(found.index(place)))
    return end


@settings(max_examples=150, deadline=None)
@given(lifetimes())
def test_the_lifetimes_of_a_network_take_at_most_five_percent_more_than_the_bound(
    drawn: list[Block],
) -> None:
    found = pack(drawn)
    assert not overlaps(drawn, found.offsets)
    assert found.bound <= found.length <= 1.05 * found.bound
    assert found == pack(drawn), "the same blocks give the same offsets"


@slow
@given(networks())
def test_the_arena_of_any_network_is_minimal_and_every_kernel_that_may_works_in_place(
    loaded: Checkpoint,
) -> None:
    graph = integer(loaded)
    plan = memory.plan(graph)
    assert plan.arena_minimal and plan.arena_bytes == plan.lower_bound_bytes
    assert not overlaps(
        [list(b.tensors.values()) for b in plan.buffers], [b.offset for b in plan.buffers]
    )
    last_use = {name: i for i, op in enumerate(graph.ops) for name in op.inputs}
    for i, op in enumerate(graph.ops):
        free = [name for name in op.inputs if name in plan.offsets and last_use[name] == i]
        if entry_of(op).in_place and free and op.output in plan.offsets:
            assert plan.offsets[op.output] in [plan.offsets[name] for name in free]


def test_what_a_smaller_output_leaves_of_its_input_is_used_by_others() -> None:
    shrinking = [Span(800, 0, 1), Span(80, 1, 5)]
    assert pack([shrinking, [Span(720, 2, 4)]]).length == 800


def test_nothing_takes_nothing() -> None:
    assert pack([]) == Packing([], 0, 0, True)
