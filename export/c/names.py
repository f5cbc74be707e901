"""What things are called in C: a network, its operators, buffers and tables."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from export.boards import FIRMWARE

# of C11 and C++20, also those that only one of them has: a header is read by both
_KEYWORDS = (
    "alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t"
    " char8_t class co_await co_return co_yield compl concept const const_cast consteval constexpr"
    " constinit continue decltype default delete do double dynamic_cast else enum explicit export"
    " extern false float for friend goto if inline int long mutable namespace new noexcept not"
    " not_eq nullptr operator or or_eq private protected public register reinterpret_cast requires"
    " restrict return short signed sizeof static static_assert static_cast struct switch template"
    " this thread_local throw true try typedef typeid typename union unsigned using virtual void"
    " volatile wchar_t while xor xor_eq main"
)
KEYWORDS = frozenset(_KEYWORDS.split())
# a file of this name beside a model's header would be taken for that of the C library
_C_HEADERS = (
    "alloca assert cmsis complex ctype endian errno fcntl fenv float inttypes iso646 limits locale"
    " malloc math memory new poll regex sched setjmp signal stdalign stdarg stdatomic stdbool"
    " stddef stdint stdio stdlib stdnoreturn string strings tgmath threads time uchar unistd wchar"
    " wctype"
)
C_HEADERS = frozenset(_C_HEADERS.split())
# what the step of a model calls its own
LOCALS = frozenset({"self", "state", "arena", "samples", "out", "linux", "unix"})


def identifier(name: str) -> str:
    """The name of a network in lower case as C can have it: the prefix of all that it defines, and
    of its files."""
    word = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").lower() or "network"
    if not word[0].isalpha() or word in KEYWORDS | C_HEADERS | _own_headers():
        return f"net_{word}"
    return word


def _own_headers() -> frozenset[str]:
    """Names of headers that a project has beside those of its model."""
    found = {Path(path).stem for path in FIRMWARE.rglob("*.h")}
    return frozenset(found | {"model", "nn", "port", "app"})


def short_names(paths: Sequence[str], taken: Iterable[str] = ()) -> list[str]:
    """Of each path, as `model.5.s4_layers.0.kernel`, the shortest end that C can have and no other
    path ends with: `s4_layers_0_kernel`."""
    reserved = KEYWORDS | LOCALS | set(taken)
    ends = [_ends(path) for path in paths]
    counted = Counter(end for found in ends for end in found)
    names: list[str] = []
    for index, found in enumerate(ends):
        free = (end for end in found if counted[end] == 1 and end not in reserved)
        names.append(next((e for e in free if e[0].isalpha()), f"{found[-1]}_at_{index}"))
    return [name if name[0].isalpha() else f"layer_{name}" for name in names]


def _ends(path: str) -> list[str]:
    """All ends of a path as C words, the shortest first."""
    parts = [word for word in re.split(r"\W+", path, flags=re.ASCII) if word] or ["layer"]
    return ["_".join(parts[at:]).lower() for at in range(len(parts) - 1, -1, -1)]
