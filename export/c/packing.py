"""Where blocks that live for a while lie in one piece of memory, so that it is as short as can be
shown.

No packing is shorter than the most bytes alive at one time. Blocks go one after the other, each as
low as it fits, in a few orders that are improved; the first that meets the bound proves that
nothing shorter exists. Only where none does, all orders are searched, up to a limit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

PROMOTIONS = 100  # of blocks in one order
SEARCHED = 5_000  # most blocks that the search lays down before it is content with the best so far


@dataclass(frozen=True)
class Span:
    """Bytes that are held from time `first` to `last` inclusive."""

    size: int
    first: int
    last: int


Block = Sequence[
    Span
]  # at one offset, one span after the other: a tensor, and what is computed over it


@dataclass(frozen=True)
class Packing:
    """An offset for each block. `bound`: the most bytes alive at one time. `minimal`: shown that
    nothing shorter exists."""

    offsets: list[int]
    length: int
    bound: int
    minimal: bool


def pack(blocks: Sequence[Block]) -> Packing:
    """Place all blocks; the same blocks give the same offsets."""
    bound = _most_alive(blocks)
    best = Packing([], sum(max(s.size for s in b) for b in blocks) + 1, bound, False)
    for key in ORDERS:
        order = sorted(range(len(blocks)), key=lambda i: (key(blocks[i]), i))
        for _ in range(PROMOTIONS):
            found = _packing(blocks, _lowest(blocks, order), bound)
            best = min(best, found, key=lambda p: p.length)
            if best.minimal:
                return best
            _promote(
                order, next(i for i in order if found.offsets[i] + _largest(blocks[i]) > bound)
            )
    return _Search(blocks, best).run()


def _promote(order: list[int], late: int) -> None:
    """What came too late to find room comes in half the time."""
    at = order.index(late)
    order.insert(at // 2, order.pop(at))


def _packing(
    blocks: Sequence[Block], offsets: list[int], bound: int, exhausted: bool = False
) -> Packing:
    length = max((o + s.size for b, o in zip(blocks, offsets, strict=True) for s in b), default=0)
    return Packing(offsets, length, bound, exhausted or length == bound)


def _most_alive(blocks: Sequence[Block]) -> int:
    times = {s.first for b in blocks for s in b}
    return max((sum(_size_at(b, t) for b in blocks) for t in times), default=0)


def _size_at(block: Block, time: int) -> int:
    return max((s.size for s in block if s.first <= time <= s.last), default=0)


def _largest(block: Block) -> int:
    return max(s.size for s in block)


def _lifetime(block: Block) -> int:
    return block[-1].last - block[0].first


ORDERS: tuple[Callable[[Block], tuple[int, ...]], ...] = (
    lambda b: (-_largest(b), b[0].first),
    lambda b: (-_lifetime(b), -_largest(b)),
    lambda b: (-_largest(b) * (1 + _lifetime(b)),),
    lambda b: (b[0].first, -b[-1].last),
    lambda b: (-b[-1].last, b[0].first),
)


def _meet(a: Block, b: Block) -> list[tuple[int, int]]:
    """Sizes of a and b in every pair of their spans that live at the same time."""
    return [(s.size, t.size) for s in a for t in b if s.first <= t.last and t.first <= s.last]


def _lowest(blocks: Sequence[Block], order: Sequence[int]) -> list[int]:
    """Each block at the lowest offset at which it meets none that was placed before it."""
    offsets = [0] * len(blocks)
    for at, i in enumerate(order):
        met = [(offsets[j], pairs) for j in order[:at] if (pairs := _meet(blocks[i], blocks[j]))]
        candidates = sorted({0, *(other + size for other, pairs in met for _, size in pairs)})
        offsets[i] = next(
            o
            for o in candidates
            if all(o >= p + theirs or o + ours <= p for p, pairs in met for ours, theirs in pairs)
        )
    return offsets


@dataclass
class _Search:
    """In some shortest packing, taken in the order of offsets, each block lies on top of those
    before it that it meets: what does not could sink. So all orders in which offsets do not fall
    are tried, but for those that cannot beat the best so far."""

    blocks: Sequence[Block]
    best: Packing
    laid: int = 0

    def run(self) -> Packing:
        times = sorted({s.first for b in self.blocks for s in b})
        self.alive = [[_size_at(b, t) for t in times] for b in self.blocks]
        self.over = [
            [max((ours for ours, _ in _meet(a, b)), default=0) for b in self.blocks]
            for a in self.blocks
        ]
        self.offsets = [0] * len(self.blocks)
        self._lay(frozenset(range(len(self.blocks))), self.offsets.copy(), 0, [0] * len(times))
        return _packing(
            self.blocks, self.best.offsets, self.best.bound, exhausted=self.laid < SEARCHED
        )

    def _lay(self, left: frozenset[int], lowest: list[int], floor: int, skyline: list[int]) -> None:
        """Try every block of `left` next. `lowest`: where each may lie; `floor`: where the last
        lies; `skyline`: tops by time."""
        if not left:
            self.best = _packing(self.blocks, self.offsets.copy(), self.best.bound)
        for i in sorted(left, key=lambda i: (lowest[i], -_largest(self.blocks[i]))):
            at = lowest[i]
            if at < floor:
                continue
            if self.best.minimal or self.laid >= SEARCHED or not self._can_win(left, at, skyline):
                return
            self.laid += 1
            self.offsets[i] = at
            raised = [
                max(low, at + over) if over else low
                for low, over in zip(lowest, self.over[i], strict=True)
            ]
            tops = [
                at + size if size else top for size, top in zip(self.alive[i], skyline, strict=True)
            ]
            self._lay(left - {i}, raised, at, tops)

    def _can_win(self, left: frozenset[int], floor: int, skyline: list[int]) -> bool:
        """Whatever is left lies at `floor` or above it, and on top of what is there."""
        for time, top in enumerate(skyline):
            waiting = sum(self.alive[i][time] for i in left)
            if waiting and max(top, floor) + waiting >= self.best.length:
                return False
        return True
