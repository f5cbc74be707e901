"""How a Cortex-M7 issues executed code, two instructions in a cycle where it can: in order, block
by block.

An instruction issues when every operand is there in the stage that needs it
(cortex_m7_operations.py, with its sources), and nothing overtakes it. Two issue together unless
they compete or the second needs a result of the first too early:

    one product, one bit field or DSP operation, one store, one branch a cycle; a product and a
    store compete as well       [J] a bit field or DSP operation is the first of its pair
    [J] of two shifted operands, or one beside a bit field or after a shift, the second waits
    [J] two loads need different banks, even and odd words
    [J] pairs and lists of registers, divisions, barriers issue alone; a list takes a cycle for two
    registers                  [J] [L] a branch that is not taken pairs with what follows; one taken
    as predicted costs its slot; mispredicted, 8 cycles      [J]

A block begins in the state that the block left which came before it most often, so that loops run
into themselves. Not modelled: fetch bandwidth and alignment, which make pairs of [J] "slippery",
the store buffer and its hazards.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.cycles.chips import Chip
from bench.cycles.cortex_m7_operations import EARLY, POINTER, Need, Operation, Result, operation
from bench.cycles.cost import NOTHING, Cost, exactly, total
from bench.cycles.counting import NO_JUMPS, Counts, Jumps
from bench.cycles.instructions import Instruction, interrupts, target_of

MISPREDICTED = Cost(8, 6, 8)  # [J]; 6 where the flags were known three cycles before
INTERRUPT = 24  # 12 in, 12 out
PASSES = 3  # until loops have run into themselves


@dataclass(frozen=True)
class Rules:
    """What the sources leave open; the defaults are what is modelled.

    `banks`: two loads pair whose addresses are not known to lie in one bank. `target`: a taken
    branch pairs with the instruction it leads to. `refetch`: cycles lost at the target of a taken
    branch. `pointer`: the stage from which on a loaded word is an address. `multiple`: cycles that
    a list of registers loses. `divide`: cycles of a division.
    """

    banks: bool = False
    target: bool = False
    refetch: int = 0
    pointer: int = POINTER
    multiple: int = 0
    divide: int = 7


MODELLED = Rules()
LEAST = Rules(banks=True, target=True, pointer=2, divide=3)
MOST = Rules(refetch=1, multiple=1, divide=12)


@dataclass
class Pipeline:
    """Where it stands: the cycle of the last issue is 0. `first`: what issued in it, as long as
    something may join it; `ready`: the cycle-and-stage from which on a register can be used, and
    the same for patient needs, where that is still to come."""

    rules: Rules
    first: Operation | None = None
    ready: dict[str, tuple[int, int]] = field(default_factory=dict)

    def run(self, operations: list[Operation]) -> int:
        """Issue all of them; the cycles that pass between the issue before and the last of
        these."""
        passed = 0
        for op in operations:
            passed += self._issue(op)
        return passed

    def jump(self) -> None:
        """A taken branch was the last."""
        if not self.rules.target:
            self.first = None

    def _issue(self, op: Operation) -> int:
        """Cycles to its issue, 0 when it joins what issued before; afterwards its last cycle is
        0."""
        earliest = max((self._earliest(need) for need in op.needs), default=0)
        joins = (
            self.first is not None
            and earliest <= 0
            and not op.alone
            and not competes(self.first, op, self.rules)
        )
        passed = 0 if joins else max(1, earliest)
        early = op.flexible and all(self._ready(n.register, False) <= passed for n in op.needs)
        if early and joins:
            early = op.shifter == "shift" and self.first is not None and self.first.shifter == ""
        taken = (
            self.rules.divide
            if op.divides
            else op.cycles + (self.rules.multiple if op.cycles > 1 else 0)
        ) - 1
        self._age(passed + taken)
        for result in op.results:
            self.ready[result.register] = self._stages(op, result, early, taken)
        self.first = None if joins or op.alone else op
        return passed + taken

    def _earliest(self, need: Need) -> int:
        return self._ready(need.register, need.patient) - need.stage

    def _ready(self, register: str, patient: bool) -> int:
        return self.ready.get(register, (EARLY, EARLY))[patient]

    def _stages(self, op: Operation, result: Result, early: bool, taken: int) -> tuple[int, int]:
        if early and result.stage == 2:
            return 1, 1
        if op.kind == "load" and (result.stage, result.patient) == (2, POINTER):
            return result.stage, self.rules.pointer
        return max(1, result.stage - taken), max(1, result.patient - taken)

    def _age(self, cycles: int) -> None:
        aged = {name: (fast - cycles, slow - cycles) for name, (fast, slow) in self.ready.items()}
        self.ready = {name: both for name, both in aged.items() if max(both) > EARLY}


def competes(first: Operation, second: Operation, rules: Rules) -> bool:
    """Whether two neighbours cannot issue in one cycle, whatever their operands."""
    kinds = {first.kind, second.kind}
    if first.kind == second.kind and first.kind in ("product", "field", "store", "branch", "float"):
        return True
    if (
        kinds == {"product", "store"}
        or second.kind == "field"
        or (second.shifter == "operand" and first.shifter)
    ):
        return True
    return kinds == {"load"} and not _different_banks(first, second, rules)


def _different_banks(first: Operation, second: Operation, rules: Rules) -> bool:
    if first.word is None or second.word is None or first.word[0] != second.word[0]:
        return rules.banks
    return (first.word[1] ^ second.word[1]) & 1 == 1


def issue(code: dict[int, Instruction], counts: Counts) -> dict[str, Cost]:
    """Function -> cycles in which its instructions issued, with taken branches, predictions right
    and memory without waits."""
    found = blocks(code, counts)
    as_modelled, least, most = (issue_cycles(found, rules) for rules in (MODELLED, LEAST, MOST))
    functions: dict[str, Cost] = {}
    for start, block in found.items():
        refetched = block.taken * MOST.refetch
        each = Cost(
            *(cycles[start] * block.executions for cycles in (as_modelled, least, most))
        ) + Cost(0, 0, refetched)
        functions[block.function] = functions.get(block.function, NOTHING) + each
    return functions


def stalls(code: dict[int, Instruction], counts: Counts, chip: Chip) -> dict[str, Cost]:
    """What comes on top: predictions that fail, unaligned loads, interrupts, and lines that caches
    miss."""
    return {
        "mispredicted": total(
            _mispredicted(code[address], jumps) for address, jumps in counts.jumps.items()
        ),
        "unaligned": Cost(3, 3, 4) * counts.unaligned_reads
        + Cost(0, 0, 3) * counts.unaligned_writes,
        "interrupts": exactly(INTERRUPT) * interrupts(code, counts.executed),
        **chip.instruction_waits(counts),
        **chip.data_waits(counts),
    }


def _mispredicted(instruction: Instruction, jumps: Jumps) -> Cost:
    """Branches by name: as modelled, a history of branches predicts them, at most two bits each.
    Others go where they went before, or return to their call."""
    if target_of(instruction) is not None:
        open_to = max(jumps.mispredicted, jumps.surprised)
        return Cost(
            MISPREDICTED.cycles * jumps.surprised,
            MISPREDICTED.least * jumps.surprised,
            MISPREDICTED.most * open_to,
        )
    return MISPREDICTED * jumps.elsewhere


@dataclass
class Block:
    """Instructions that execute one after the other. `before`: the blocks that came before it, by
    how often; `taken`: of all its executions, those that ended in a jump."""

    start: int
    operations: list[Operation]
    executions: int
    taken: int
    function: str
    before: dict[tuple[int, bool], int] = field(
        default_factory=dict
    )  # (a block's start, whether it jumped here) -> times


def blocks(code: dict[int, Instruction], counts: Counts) -> dict[int, Block]:
    """The blocks of everything executed, by their first address, with the edges between them that
    are known by name."""
    leaders = _leaders(code, counts)
    found: dict[int, Block] = {}
    ends: dict[int, int] = {}  # block -> its last instruction
    start = -1
    for address in sorted(counts.executed):
        if address in leaders:
            start = address
            found[start] = Block(start, [], counts.executed[start], 0, code[start].function)
        found[start].operations.append(operation(code[address]))
        ends[start] = address
    for start, last in ends.items():
        block = found[start]
        block.taken = counts.jumps.get(last, NO_JUMPS).taken
        follows, target = last + code[last].size, target_of(code[last])
        if follows in found and block.executions > block.taken:
            found[follows].before[start, False] = block.executions - block.taken
        if target in found and block.taken:
            found[target].before[start, True] = block.taken
    return found


def _leaders(code: dict[int, Instruction], counts: Counts) -> set[int]:
    """Addresses at which a block begins: where something jumps to or comes back to, and where
    executions change."""
    found, expected, before = set(), -1, 0
    for address in sorted(counts.executed):
        if address != expected or counts.executed[address] != before:
            found.add(address)
        expected, before = address + code[address].size, counts.executed[address]
        target = target_of(code[address])
        if target is not None:
            found.add(target)
        if target is not None or address in counts.jumps:
            found.add(expected)
    return found


def issue_cycles(found: dict[int, Block], rules: Rules) -> dict[int, int]:
    """Cycles of one execution of every block, predictions right and memory without waits."""
    left: dict[tuple[int, bool], Pipeline] = {}
    cycles: dict[int, int] = {}
    for _ in range(PASSES):
        for start, block in found.items():
            usual = max(block.before, key=lambda edge: block.before[edge], default=None)
            begin = left.get(usual) if usual else None
            pipeline = Pipeline(rules, begin.first, dict(begin.ready)) if begin else Pipeline(rules)
            cycles[start] = pipeline.run(block.operations)
            left[start, False] = Pipeline(rules, pipeline.first, dict(pipeline.ready))
            pipeline.jump()
            left[start, True] = pipeline
    return cycles
