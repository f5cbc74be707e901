"""Pickles without their code: the opcodes are read by the standard library, and what they build is
built here, out of plain values and of what `classes` knows. Nothing is imported or called by name.

Bounded: the bytes of a pickle, its opcodes with what they copy, and the bits of its integers.
Nesting is no recursion here.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable
from typing import Any

from compress.frontend.stored import classes
from compress.frontend.stored.values import Instance, Name, Refused

MOST_BYTES = 64 << 20
MOST_OPCODES = 5_000_000
MOST_BITS = 4096  # of an integer
_MARK = object()


def loaded(file: io.BytesIO, persistent: Callable[[Any], Any], most: int = MOST_OPCODES) -> Any:
    """The object of the pickle at the place of the file, which then is behind it; `persistent`
    gives what stands for an id, `most` steps are taken. Refused names a class or a limit; damage
    raises what it causes."""
    return _Machine(persistent, most).run(file)


class _Machine:
    """The stack, the memo, and a method for each group of opcodes."""

    def __init__(self, persistent: Callable[[Any], Any], most: int) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.persistent, self.spent, self.most = persistent, 0, most

    def run(self, file: io.BytesIO) -> Any:
        for opcode, argument, _ in pickletools.genops(file):
            self.spend(1)
            if opcode.name == "STOP":
                break
            if opcode.name in _LITERALS:
                self.literal(argument)
            else:
                _DO[opcode.name](self, argument)
        return self.stack.pop()

    def spend(self, amount: int) -> None:
        """Count what was done, in opcodes."""
        self.spent += amount
        if self.spent > self.most:
            raise Refused(f"expected a pickle of at most {self.most:,} steps, found more")

    def charge(self, arguments: tuple[Any, ...]) -> None:
        """Count arguments that a class may copy: the memo gives a large one any number of times."""
        for value in arguments:
            if isinstance(value, list | tuple | dict):
                self.spend(len(value))
            elif isinstance(value, str | bytes):
                self.spend(len(value) // 64)

    def literal(self, value: Any) -> None:
        if type(value) is int and value.bit_length() > MOST_BITS:
            raise Refused(
                f"expected integers of at most {MOST_BITS} bits in a pickle, found one of"
                f" {value.bit_length()}"
            )
        self.stack.append(value)

    # --- stack and memo ---

    def marked(self) -> list[Any]:
        """What stands behind the last mark, which goes too."""
        for place in range(len(self.stack) - 1, -1, -1):
            if self.stack[place] is _MARK:
                found = self.stack[place + 1 :]
                del self.stack[place:]
                return found
        raise ValueError("no mark")

    def put(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    def get(self, place: int) -> None:
        self.stack.append(self.memo[place])

    def first(self, count: int) -> None:
        """The last few as a tuple."""
        found = self.stack[-count:]
        if len(found) != count:
            raise ValueError("too few values")
        self.stack[-count:] = [tuple(found)]

    # --- containers ---

    def extend(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, Instance):
            target = target.elements
        if not isinstance(target, list):
            raise ValueError("elements of what is no list")
        target.extend(values)

    def update(self, pairs: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, Instance):
            target = target.items
        if not isinstance(target, dict):
            raise ValueError("items of what is no dict")
        target.update(classes.items(pairs))

    # --- classes and objects ---

    def stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.stack.append(classes.named(module, name))

    def call(self) -> None:
        arguments, called = self.stack.pop(), self.stack.pop()
        if not isinstance(called, Name) or not isinstance(arguments, tuple):
            raise ValueError("a call of what is no name")
        self.charge(arguments)
        self.spend(classes.cost(called))
        self.stack.append(classes.called(called, arguments))

    def new(self, named: bool) -> None:
        if named and self.stack.pop() != {}:
            raise ValueError("an object with named arguments")
        arguments, of = self.stack.pop(), self.stack.pop()
        if not isinstance(of, Name) or not isinstance(arguments, tuple):
            raise ValueError("an object of what is no class")
        self.charge(arguments)
        self.stack.append(classes.new(of, arguments))

    def old(self, argument: Any) -> None:
        """An object of an old-style class: all behind the mark."""
        parts = self.marked()
        of = parts.pop(0) if argument is None else classes.named(*argument.split(" ", 1))
        if not isinstance(of, Name):
            raise ValueError("an object of what is no class")
        self.charge(tuple(parts))
        self.stack.append(classes.called(of, tuple(parts)))

    def build(self) -> None:
        state = self.stack.pop()
        if isinstance(self.stack[-1], Instance):
            self.stack[-1].state = state


def _no_id(machine: _Machine, argument: Any) -> None:
    """Protocol 0 has only text for an id: of a storage it holds the words that print it."""
    raise Refused(
        "was written with pickle protocol 0, from which no version of PyTorch reads tensors; write"
        " it again with torch.save(network.state_dict(), path)"
    )


def _ignore(machine: _Machine, argument: Any) -> None:
    """Frames and protocols say nothing of the object."""


_LITERALS = frozenset(
    (
        *("INT", "LONG", "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    )
)
_DO: dict[str, Callable[[_Machine, Any], Any]] = {
    "PROTO": _ignore,
    "FRAME": _ignore,
    "NONE": lambda m, _: m.stack.append(None),
    "NEWTRUE": lambda m, _: m.stack.append(True),
    "NEWFALSE": lambda m, _: m.stack.append(False),
    "BYTEARRAY8": lambda m, value: m.stack.append(bytes(value)),
    "MARK": lambda m, _: m.stack.append(_MARK),
    "POP": lambda m, _: m.stack.pop(),
    "POP_MARK": lambda m, _: m.marked(),
    "DUP": lambda m, _: m.stack.append(m.stack[-1]),
    "PUT": _Machine.put,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": lambda m, _: m.put(len(m.memo)),
    "GET": _Machine.get,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    # a set is read as the list of its elements, which need not be hashed
    "EMPTY_LIST": lambda m, _: m.stack.append([]),
    "EMPTY_SET": lambda m, _: m.stack.append([]),
    "EMPTY_DICT": lambda m, _: m.stack.append({}),
    "EMPTY_TUPLE": lambda m, _: m.stack.append(()),
    "LIST": lambda m, _: m.stack.append(m.marked()),
    "FROZENSET": lambda m, _: m.stack.append(m.marked()),
    "TUPLE": lambda m, _: m.stack.append(tuple(m.marked())),
    "DICT": lambda m, _: m.stack.append(dict(classes.items(m.marked()))),
    "TUPLE1": lambda m, _: m.first(1),
    "TUPLE2": lambda m, _: m.first(2),
    "TUPLE3": lambda m, _: m.first(3),
    "APPEND": lambda m, _: m.extend([m.stack.pop()]),
    "APPENDS": lambda m, _: m.extend(m.marked()),
    "ADDITEMS": lambda m, _: m.extend(m.marked()),
    "SETITEM": lambda m, _: m.update([m.stack.pop(-2), m.stack.pop()]),
    "SETITEMS": lambda m, _: m.update(m.marked()),
    "GLOBAL": lambda m, both: m.stack.append(classes.named(*both.split(" ", 1))),
    "STACK_GLOBAL": lambda m, _: m.stack_global(),
    "REDUCE": lambda m, _: m.call(),
    "NEWOBJ": lambda m, _: m.new(False),
    "NEWOBJ_EX": lambda m, _: m.new(True),
    "INST": _Machine.old,
    "OBJ": _Machine.old,
    "BUILD": lambda m, _: m.build(),
    "PERSID": _no_id,
    "BINPERSID": lambda m, _: m.stack.append(m.persistent(m.stack.pop())),
}
