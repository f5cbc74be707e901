"""What things are called in C: a network, its operators, buffers and tables."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from zlib import crc32

from export.boards import FIRMWARE
from export.c import library_names

# of C23, C++23 and what is proposed for the next, and of gnu modes; also those that only one of
# them has, or in some places: a header is read by all
_KEYWORDS = (
    "alignas alignof and and_eq asm atomic_cancel atomic_commit atomic_noexcept auto bitand bitor"
    " bool break case catch char char16_t char32_t char8_t class co_await co_return co_yield compl"
    " concept const const_cast consteval constexpr constinit continue contract_assert decltype"
    " default defined delete do double dynamic_cast else enum explicit export extern false final"
    " float for friend goto if import inline int long module mutable namespace new noexcept not"
    " not_eq nullptr operator or or_eq override private protected public reflexpr register"
    " reinterpret_cast requires restrict return short signed sizeof static static_assert"
    " static_cast struct switch synchronized template this thread_local throw true try typedef"
    " typeid typename typeof typeof_unqual union unsigned using virtual void volatile wchar_t while"
    " xor xor_eq main"
)
KEYWORDS = frozenset(_KEYWORDS.split())
# a file of this name beside a model's header would be taken for that of the C library
_C_HEADERS = (
    "alloca assert cmsis complex cpio ctype dirent dlfcn endian errno fcntl features fenv float"
    " fnmatch ftw getopt glob grp iconv inttypes iso646 langinfo libgen limits locale malloc math"
    " memory netdb new newlib paths poll pthread pwd reent regex sched search semaphore setjmp"
    " signal spawn stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string"
    " strings syslog tar termios tgmath threads time uchar unistd utime wchar wctype wordexp"
)
C_HEADERS = frozenset(_C_HEADERS.split())
# what the step of a model calls its own
LOCALS = frozenset({"self", "state", "arena", "samples", "out", "frame", "piece"})
# what its self-test and its tables do
WORDS = frozenset(
    ["at", "bit", "bytes", "count", "crc", "data", "name", "op", "seed", "step", "table", "values"]
)
# what a header's macro or a compiler may put in the place of a member or a variable, and types: in
# gnu modes the names of systems and processors are 1
_MACROS = (
    "errno stdin stdout stderr complex bool true false linux unix i386 mips sparc sun mc68000"
    " mc68010 mc68020 m68k vax hpux sgi pdp11 arm interface near far huge small"
)
MACROS = frozenset(_MACROS.split())
TYPES = frozenset(f"{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32, 64))
# Targets and words of CMake, targets of the project's own build; libraries of a compiler; files
# that Windows cannot make, whatever their ending; a namespace of C++; functions of Arduino
_OTHERS = (
    "all clean edit_cache examples firmware help install package package_source preinstall"
    " rebuild_cache test uninstall debug general optimized dl rt gcc gcov atomic nosys aux con nul"
    " prn std bit byte delay loop map max min setup word boolean"
)
_OF_WINDOWS = frozenset(f"{port}{number}" for port in ("com", "lpt") for number in range(10))
# of libraries: kernels, threads, atomics
PREFIXES = ("nn_", "pthread_", "atomic_", "memory_order_", "sched_", "sem_", "posix_")
# what a network adds to its name: that must not be the name of another
ENDS = ("_state", "_arena", "_table", "_tables", "_reset", "_step", "_selftest", "_tap", "_nn")
_PLAIN = re.compile(r"[A-Za-z0-9_./ -]*[A-Za-z0-9][A-Za-z0-9_./ -]*")
LONGEST = 32  # of a network's name and of a layer's: names made of both keep to a line

_COMMENTS = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)


def identifier(name: str) -> str:
    """The name of a network in lower case as C can have it: the prefix of all that it defines, and
    of its files. Names that differ in case or in - . / _ and blanks alone are one; what else C
    cannot have is told apart by a checksum of the name."""
    word = re.sub(r"[\W_]+", "_", name, flags=re.ASCII).strip("_").lower() or "network"
    if not word[0].isalpha() or _has_another_meaning(word):
        word = f"net_{word}"
    if word.endswith(ENDS):
        word = f"{word}_net"
    if len(word) <= LONGEST and _PLAIN.fullmatch(name):
        return word
    return f"{word[: LONGEST - 9].rstrip('_')}_{crc32(name.encode()):08x}"


def _has_another_meaning(word: str) -> bool:
    """To a compiler, a library, a linker (-lm) or a build tool, beside a network of that name."""
    taken = KEYWORDS | C_HEADERS | LOCALS | WORDS | MACROS | library_names.NAMES | _own_files()
    return (
        len(word) == 1
        or word in taken | _OF_WINDOWS | set(_OTHERS.split()) | _words_of_examples()
        or word.startswith(PREFIXES)
        or word.endswith("_t")
    )


def _own_files() -> frozenset[str]:
    """Names of what a project has beside its model, files and what they define."""
    found = {path.stem for path in FIRMWARE.rglob("*.[chS]")}
    return frozenset(found | {"model", "nn", "port", "app"})


@cache
def _words_of_examples() -> frozenset[str]:
    """What the programs in examples/ call something: beside it, a network of that name would be
    another thing."""
    sources = [p for p in (FIRMWARE / "examples").rglob("*.*") if p.suffix in (".c", ".h", ".cpp")]
    code = "\n".join(_COMMENTS.sub("", p.read_text(encoding="ascii")) for p in sources)
    return frozenset(set(re.findall(r"\b[a-z]\w*", code)) - {"network"})


def short_names(paths: Sequence[str], taken: Iterable[str] = ()) -> list[str]:
    """Of each path, as `model.5.s4_layers.0.kernel`, the shortest end that C can have and no other
    path ends with: `s4_layers_0_kernel`."""
    reserved = KEYWORDS | LOCALS | MACROS | TYPES | set(taken)
    ends = [_ends(path) for path in paths]
    counted = Counter(end for found in ends for end in found)
    names: list[str] = []
    for index, found in enumerate(ends):
        free = (end for end in found if counted[end] == 1 and _may_be_local(end, reserved))
        names.append(next(free, f"{found[-1][: LONGEST - 8]}_at_{index}"))
    return [name if name[0].isalpha() else f"layer_{name}" for name in names]


def _may_be_local(word: str, reserved: Iterable[str]) -> bool:
    return (
        word[0].isalpha()
        and len(word) <= LONGEST
        and word not in reserved
        and not word.startswith("nn_")
    )


def _ends(path: str) -> list[str]:
    """All ends of a path as C words, the shortest first."""
    parts = [word for word in re.split(r"\W+", path, flags=re.ASCII) if word] or ["layer"]
    return ["_".join(parts[at:]).lower() for at in range(len(parts) - 1, -1, -1)]
