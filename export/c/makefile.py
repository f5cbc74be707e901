"""The Makefile of a project. Whole lines, no templates.

GNU make cannot name a file with a blank or another mark of its own: what has a target or is one
lies below the project under a relative path, and such a build folder is reached through a link.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from export.boards import Description
from export.c.placement import Where
from export.c.project_files import (
    COMMON,
    CXX_ON_BOARD,
    LINK_CHECKS,
    SECTIONS,
    STAMP,
    STANDARD,
    WARNINGS,
    apart,
    link_flags,
)
from export.compilers import NEWEST, OLDEST
from export.version import GENERATOR

FOLDERS = ("model", "nn", "app")  # whose objects are a target
SAY_CC, SAY_CXX, SAY_LINK = (
    "\t$(SAY) 'CC      $<'",
    "\t$(SAY) 'CXX     $<'",
    "\t$(SAY) 'LINK    $@'",
)
PREFIX_MAP = "$(call quoted,-ffile-prefix-map=$(CURDIR)=.)"
# What a rule of make or a word of the shell cannot hold, for tr: blanks " # $ % & ' ( ) * : ; < = >
# ? [ \ ] ` |
UNFIT = r"[:blank:]\042-\052\072-\077\133-\135\140\174"


def lines(boards: list[Description], where: Where, title: str) -> Iterator[str]:
    """Of a project for the first of these boards. `where`: part -> region."""
    yield from _head(boards, title)
    yield from known(boards)
    yield from quiet()
    yield from linked("OUT", make=True)
    yield from _compilers()
    for board in boards:
        yield from board_lines(board, where)
    yield from locked()
    yield f"COMMON = {COMMON} {PREFIX_MAP} $(CORE) $(AT_LINK) $(LOCKED_ON) $(EXTRA)"
    yield "INCLUDES = -Imodel -Inn -Iapp -Iport $(PORT:%=-I%)"
    yield "LEVELS = $(NN_LEVEL) (kernels) $(LEVEL) (the rest)"
    yield "# as a string of C in a word of the shell: without quotes"
    yield "FLAGS_SEEN = $(strip $(subst \",,$(subst ',,$(CORE) $(AT_LINK) $(LOCKED_ON) $(EXTRA) \\"
    yield "\t$(LEVELS))))"
    yield ""
    yield "SOURCES = $(sort $(wildcard $(foreach f,model nn app $(PORT),$(f)/*.c $(f)/*.S)))"
    yield "OBJECTS = $(addprefix $(OUT)/,$(addsuffix .o,$(basename $(SOURCES))))"
    yield ""
    yield "all: $(IMAGE)"
    for folder in FOLDERS:
        yield f"{folder}: $(filter $(OUT)/{folder}/%,$(OBJECTS))"
    yield ""
    yield from _rules()
    yield from binary_lines(where)
    yield "$(OUT)/firmware: $(OBJECTS)"
    yield SAY_LINK
    yield "\t$(Q)$(LINKER) $(COMMON) $(LEVEL) $(OBJECTS) -o $@"
    yield ""
    yield from _examples()
    yield from stamp_lines("$(CC) $(WARNINGS) $(COMMON) $(NN_LEVEL) $(LEVEL)")
    yield "clean:"
    yield "\trm -rf $(OUT)"
    yield ""
    yield f".PHONY: all clean examples {' '.join(FOLDERS)}"
    yield ".DELETE_ON_ERROR:"
    yield "-include $(OBJECTS:.o=.d) $(PROGRAMS:%=$(OUT)/%.d) $(CXX_PROGRAMS:%=$(OUT)/%.d)"


def _head(boards: list[Description], title: str) -> Iterator[str]:
    yield f"# Tendon {GENERATOR}: {title}"
    yield "# make                 builds for the board below: $(OUT)/firmware.elf, .bin and .map"
    if len(boards) > 1:
        yield (
            "# make BOARD=posix     builds a process that speaks the same protocol on its standard"
        )
        yield "#                      input and output"
    yield "# make examples        builds the examples for BOARD; most are for BOARD=posix"
    yield f"# make COMPILER=clang  with clang {OLDEST} or later instead of gcc; CLANG= names one"
    yield "# make LTO=1           optimizes the whole program at once, with either"
    yield "# make LOCKED=1        leaves out the requests that read or write the state, and the tap"
    yield "# make V=1             shows every command"
    yield f"BOARD ?= {boards[0].name}"
    yield "COMPILER ?= gcc"
    yield "OUT ?= build/$(BOARD)"
    yield "# The kernels are built for speed, everything else for size."
    yield "NN_LEVEL ?= -O3"
    yield "LEVEL ?= -Os"
    yield from quoting()
    yield ""


def locked() -> Iterator[str]:
    """LOCKED=1: for a product whose port others can reach."""
    yield "LOCKED_ON = $(if $(filter-out 0 no,$(LOCKED)),-DAPP_LOCKED)"


def known(boards: list[Description]) -> Iterator[str]:
    """Refuses a board that the project is not for: nothing would be built, in silence."""
    for number, board in enumerate(boards):
        yield f"{'else ' if number else ''}ifeq ($(BOARD),{board.name})"
    yield "else"
    names = " or ".join(board.name for board in boards)
    yield f"$(error BOARD=$(BOARD): expected {names}; an export is for one board)"
    yield "endif"
    yield ""


def quiet() -> Iterator[str]:
    """What a rule does, in a line; V=1 shows the commands instead, and make -s shows nothing."""
    yield "SHOWN := $(filter-out 0,$(V))"
    yield "Q := $(if $(SHOWN),,@)"
    yield "SAY := @$(if $(SHOWN)$(findstring s,$(firstword -$(MAKEFLAGS))),:,echo)"
    yield ""


def _rules() -> Iterator[str]:
    """How an object is made of its source, and the image of the objects."""
    yield f"LINK_CHECKS = {LINK_CHECKS}"
    yield "$(OUT)/nn/%.o: nn/%.c $(OUT)/built-with Makefile"
    yield "\t@mkdir -p $(@D)"
    yield SAY_CC
    yield "\t$(Q)$(CC) $(WARNINGS) $(COMMON) $(NN_LEVEL) $(INCLUDES) -MMD -c $< -o $@"
    yield ""
    yield "$(OUT)/%.o: %.c $(OUT)/built-with Makefile"
    yield "\t@mkdir -p $(@D)"
    yield SAY_CC
    yield (
        "\t$(Q)$(CC) $(WARNINGS) $(COMMON) $(LEVEL) $(INCLUDES)"
        " -DAPP_COMPILER_FLAGS='\"$(FLAGS_SEEN)\"' -MMD -c $< -o $@"
    )
    yield ""
    yield "$(OUT)/%.o: %.S $(OUT)/built-with Makefile"
    yield "\t@mkdir -p $(@D)"
    yield "\t$(SAY) 'AS      $<'"
    yield f"\t$(Q)$(CC) -g {PREFIX_MAP} $(CORE) $(INCLUDES) -MMD -c $< -o $@"
    yield ""
    yield "$(OUT)/firmware.elf: $(OBJECTS) $(LINKER_SCRIPT)"
    yield SAY_LINK
    yield (
        "\t$(Q)$(LINKER) $(COMMON) $(LEVEL) $(LINK) $(LINK_CHECKS)"
        " -Wl,-Map,$(OUT)/firmware.map $(OBJECTS) $(LIBRARIES) -o $@"
    )
    yield from stamped()
    yield ""


def stamped() -> Iterator[str]:
    """Of a rule that links an image: the CRC over all of it is written into it."""
    yield "\t$(Q)$(STAMP) $@"


def _examples() -> Iterator[str]:
    """Programs that hold the network without the application: those of examples/ for this machine,
    those of examples/$(BOARD)/ for a board, with its port."""
    yield "LIBRARY = $(filter $(OUT)/model/% $(OUT)/nn/%,$(OBJECTS))"
    yield "CXX_FLAGS = -std=c++17 -Wall -Wextra -Werror -Wconversion -Wshadow"
    yield "ifeq ($(BOARD),posix)"
    yield "PROGRAMS = $(basename $(wildcard examples/*.c))"
    yield "CXX_PROGRAMS = $(basename $(wildcard examples/*.cpp))"
    yield "examples: $(PROGRAMS:%=$(OUT)/%) $(CXX_PROGRAMS:%=$(OUT)/%)"
    yield "else"
    yield f"CXX_FLAGS += {CXX_ON_BOARD}"
    yield "PROGRAMS = $(basename $(wildcard examples/$(BOARD)/*.c))"
    yield "CXX_PROGRAMS = $(basename $(wildcard examples/$(BOARD)/*.cpp))"
    yield "examples: $(PROGRAMS:%=$(OUT)/%.elf) $(CXX_PROGRAMS:%=$(OUT)/%.elf)"
    yield "endif"
    yield "\t@$(if $^,,echo 'none is for $(BOARD): make BOARD=posix examples')"
    yield ""
    yield "$(OUT)/examples/%.o: INCLUDES += -Iexamples"
    yield "$(PROGRAMS:%=$(OUT)/%): %: %.o $(LIBRARY)"
    yield SAY_LINK
    yield "\t$(Q)$(LINKER) $(COMMON) $(LEVEL) $^ -o $@"
    yield ""
    yield "$(CXX_PROGRAMS:%=$(OUT)/%): %: %.o $(LIBRARY)"
    yield SAY_LINK
    yield "\t$(Q)$(CXX_LINKER) $(COMMON) $(LEVEL) $^ -o $@"
    yield ""
    yield "$(CXX_PROGRAMS:%=$(OUT)/%.o): $(OUT)/%.o: %.cpp $(OUT)/built-with Makefile"
    yield "\t@mkdir -p $(@D)"
    yield SAY_CXX
    yield "\t$(Q)$(CXX) $(CXX_FLAGS) $(COMMON) $(LEVEL) $(INCLUDES) -MMD -c $< -o $@"
    yield ""
    yield "# a port may ask for the checksum of app/"
    yield "PORT_OBJECTS = $(filter $(OUT)/port/% $(OUT)/app/crc32.o,$(OBJECTS))"
    yield "ON_BOARD = $(PROGRAMS:%=$(OUT)/%.elf) $(CXX_PROGRAMS:%=$(OUT)/%.elf)"
    yield "$(ON_BOARD): %.elf: %.o $(LIBRARY) $(PORT_OBJECTS) $(LINKER_SCRIPT)"
    yield SAY_LINK
    yield (
        "\t$(Q)$(LINKER) $(COMMON) $(LEVEL) $(LINK) $(LINK_CHECKS)"
        " -Wl,-Map,$*.map $(filter %.o,$^) $(LIBRARIES) -o $@"
    )
    yield ""


def linked(name: str, make: bool = False) -> Iterator[str]:
    """Lets a variable name a folder with blanks and the like: it becomes a link to that folder.
    `make`: the folder may have to be made."""
    folder = f"$({name}_WORD)"
    made = f" && mkdir -p {folder}" if make else ""
    yield "# GNU make cannot name what has a blank in it, or another mark of its own: such a folder"
    yield "# is reached through a link."
    yield f"{name}_WORD := $(call quoted,$({name}))"
    yield f"{name}_MARKS := $(shell printf %s {folder} | tr -cd '{UNFIT}' | wc -c)"
    yield f"ifneq ($(strip $({name}_MARKS)),0)"
    yield f"{name}_LINK := build/link-$(firstword $(shell printf %s {folder} | cksum))"
    yield f'$(shell mkdir -p build{made} && ln -sfn "$$(cd {folder} && pwd)" $({name}_LINK))'
    yield f"override {name} := $({name}_LINK)"
    yield "endif"
    yield ""


def quoting() -> Iterator[str]:
    """How a text becomes a word of the shell, whatever is in it."""
    yield "quoted = '$(subst ','\\'',$(1))'"


def stamp_lines(command: str) -> Iterator[str]:
    """A file that changes when the command that compiles does: the same folder serves every
    compiler and all flags."""
    yield f"BUILT_WITH = $(call quoted,{command})"
    yield "$(OUT)/built-with: always"
    yield "\t@mkdir -p $(@D)"
    yield "\t@printf '%s\\n' $(BUILT_WITH) | cmp -s - $@ || printf '%s\\n' $(BUILT_WITH) > $@"
    yield ".PHONY: always"
    yield ""


def _compilers() -> Iterator[str]:
    """The warnings of either compiler, and which clang it is when it is clang."""
    yield "LTO_ON = $(filter-out 0 no,$(LTO))"
    yield "ifeq ($(COMPILER),gcc)"
    yield from warnings("gcc")
    yield "AT_LINK = $(if $(LTO_ON),-flto=auto)"
    yield "else ifeq ($(COMPILER),clang)"
    yield from warnings("clang")
    yield "AT_LINK = $(if $(LTO_ON),-flto)"
    yield "ifndef CLANG"
    versions = " ".join(str(version) for version in range(NEWEST, OLDEST - 1, -1))
    yield f"CLANG := $(shell for v in {versions}; do \\"
    yield "\tcommand -v clang-$$v >/dev/null && echo clang-$$v && exit; done; echo clang)"
    yield "endif"
    yield "CLANG_VERSION := $(shell $(CLANG) -dumpversion 2>/dev/null)"
    yield "CLANG_MAJOR := $(firstword $(subst ., ,$(CLANG_VERSION)))"
    yield f'ifneq ($(shell test "$(CLANG_MAJOR)" -ge {OLDEST} 2>/dev/null && echo new),new)'
    yield f"$(error COMPILER=clang: expected clang {OLDEST} or later, \\"
    yield "\tfound $(if $(CLANG_VERSION),$(CLANG) $(CLANG_VERSION),no $(CLANG)); \\"
    yield "\tclang 14 takes minutes for one file)"
    yield "endif"
    yield "else"
    yield "$(error COMPILER=$(COMPILER): expected gcc or clang)"
    yield "endif"
    yield ""


def warnings(compiler: str) -> Iterator[str]:
    """In lines of a hundred columns. # begins a comment of make, and a word of the shell."""
    words = " ".join(f"'{w}'" if "#" in w else w for w in WARNINGS[compiler].split())
    text = f"WARNINGS = {STANDARD} {words}".replace("#", "\\#")
    wrapped = textwrap.wrap(
        text, 90, subsequent_indent="\t", break_on_hyphens=False, break_long_words=False
    )
    yield from (f"{line} \\" for line in wrapped[:-1])
    yield wrapped[-1]


def board_lines(board: Description, where: Where, compilers: bool = True) -> Iterator[str]:
    """Compiler, flags, port and linker script of a board, when BOARD names it. `compilers`:
    COMPILER chooses between two."""
    yield f"ifeq ($(BOARD),{board.name})"
    yield f"CORE = {' '.join(board.flags)}".rstrip()
    yield f"PORT = {' '.join(board.port_folders)}"
    if board.prefix:
        yield f"OBJCOPY = {board.prefix}objcopy"
        yield f"STAMP = sh {STAMP} {board.prefix}objdump"
        yield f"LINK = {link_flags(board)}"
        yield "LINKER_SCRIPT = $(wildcard $(PORT:%=%/*.ld))"
        images = " ".join(f"$(OUT)/{n}" for n in ("firmware.elf", "firmware.bin", *apart(where)))
        yield f"IMAGE = {images}"
    else:
        yield "IMAGE = $(OUT)/firmware"
    yield f"CC = {board.compiler}"
    yield f"CXX = {board.prefix}g++"
    yield "LINKER = $(CC)"
    yield "CXX_LINKER = $(CXX)"
    if compilers:
        yield "ifeq ($(COMPILER),clang)"
        yield from _clang_across(board) if board.prefix else _clang_here()
        yield "endif"
    yield "endif"
    yield ""


def _clang_here() -> Iterator[str]:
    yield "CC = $(CLANG)"
    yield "CXX = $(CLANG) --driver-mode=g++"
    yield "LINKER = $(CC) $(if $(LTO_ON),-fuse-ld=lld)"
    yield "CXX_LINKER = $(CXX) $(if $(LTO_ON),-fuse-ld=lld)"


def _clang_across(board: Description) -> Iterator[str]:
    """Newlib's headers, libraries and GNU ld are those of gcc; lld links what clang optimizes at
    the link."""
    gcc, target = board.compiler, board.prefix.rstrip("-")
    yield f"# newlib's headers, its libraries and the linker are where {gcc} finds them"
    yield f"NEWLIB := $(shell {gcc} -include string.h -E -x c /dev/null | \\"
    yield '\tsed -n \'/\\/string\\.h"/{s|^[^"]*"||; s|/string\\.h".*||; p; q}\')'
    yield f"found = $(shell {gcc} $(CORE) -print-file-name=$(1))"
    yield "# -fshort-enums: as gcc does for this target, and newlib was built"
    yield f'CC = $(CLANG) --target={target} -fshort-enums -isystem "$(NEWLIB)"'
    yield "CXX = $(CC) --driver-mode=g++"
    yield (
        f"LINKER = $(CLANG) --target={target} -fshort-enums -nostdlib -Wl,-z,noexecstack"
        " -Wno-unused-command-line-argument \\"
    )
    ld = f"$(shell command -v {board.prefix}ld)"
    yield f'\t$(if $(LTO_ON),-fuse-ld=lld,"--ld-path={ld}")'
    yield 'LIBRARIES = "$(call found,libc.a)" "$(call found,libgcc.a)"'


def binary_lines(where: Where) -> Iterator[str]:
    """How the bytes to load are cut from the image: one file, and one for tables that lie in
    another memory than the code."""
    files = apart(where)
    without = "".join(f"-R {SECTIONS[part]} " for part in files.values())
    yield "$(OUT)/firmware.bin: $(OUT)/firmware.elf"
    yield "\t$(SAY) 'BIN     $@'"
    yield f"\t$(Q)$(OBJCOPY) -O binary {without}$< $@"
    yield ""
    for name, part in files.items():
        yield f"$(OUT)/{name}: $(OUT)/firmware.elf"
        yield "\t$(SAY) 'BIN     $@'"
        yield f"\t$(Q)$(OBJCOPY) -O binary -j {SECTIONS[part]} $< $@"
        yield ""
