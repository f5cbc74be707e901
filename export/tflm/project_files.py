"""The written files of a TFLite-Micro project: Makefile and README.md. Whole lines, no
templates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from export.boards import Description
from export.c import folding, makefile
from export.c.placement import Where
from export.c.project_files import COMMON
from export.tflm import library
from export.version import GENERATOR

CXX_WARNINGS = "-std=c++17 -Wall -Wextra -Werror"
CXX_MODEL = (
    "-fno-rtti -fno-exceptions -fno-threadsafe-statics -fno-unwind-tables"
    " -fno-asynchronous-unwind-tables"
)
# as in its library
TFLM_DEFINES = (
    "-DTF_LITE_STATIC_MEMORY -DTF_LITE_STRIP_ERROR_STRINGS -DNDEBUG -DCMSIS_NN -funsigned-char"
)


def texts(board: Description, where: Where, title: str) -> dict[str, Iterable[str]]:
    """File name -> lines."""
    title = folding.title(title)
    return {
        "Makefile": folding.makefile(_makefile(board, where, title)),
        "README.md": folding.markdown(_readme(board, title)),
        ".gitignore": ["build/"],
    }


def _makefile(board: Description, where: Where, title: str) -> Iterator[str]:
    yield f"# Tendon {GENERATOR}: {title}, around TFLite-Micro"
    yield (
        "# make TFLM=path     a TFLite-Micro checkout with its library; builds $(OUT)/firmware.elf,"
        " .bin and .map"
    )
    yield "# make LOCKED=1      leaves out the requests that read or write the state, and the tap"
    yield "# make V=1           shows every command"
    yield f"BOARD = {board.name}"
    yield "OUT ?= build/$(BOARD)"
    yield from makefile.quoting()
    yield from makefile.linked("OUT", make=True)
    yield from makefile.linked("TFLM")
    yield ""
    yield from makefile.known([board])
    yield from makefile.quiet()
    yield from makefile.board_lines(board, where, compilers=False)
    yield from _library(board)
    yield from makefile.locked()
    yield f"COMMON = {COMMON} {makefile.PREFIX_MAP} $(CORE) $(LOCKED_ON) $(EXTRA) -Os"
    yield from makefile.warnings("gcc")
    yield "C_FLAGS = $(WARNINGS) -DAPP_COMPILER_FLAGS='\"$(FLAGS_SEEN)\"'"
    yield f"CXX_FLAGS = {CXX_WARNINGS} {CXX_MODEL} {TFLM_DEFINES}"
    yield "INCLUDES = -Imodel -Iapp -Iport $(PORT:%=-I%)"
    yield f"TFLM_INCLUDES = {' '.join(f'-isystem $(TFLM){folder}' for folder in library.INCLUDES)}"
    yield (
        "FLAGS_SEEN = $(strip $(CORE) $(LOCKED_ON) $(EXTRA) -Os (the rest)); TFLM $(notdir"
        " $(LIBRARY:%/lib/$(notdir $(LIBRARY))=%))"
    )
    yield "LINK_CHECKS = -Wl,--gc-sections -Wl,--fatal-warnings"
    yield ""
    yield "SOURCES = $(sort $(wildcard model/*.c model/*.cc app/*.c $(PORT:%=%/*.c)))"
    yield "OBJECTS = $(patsubst %,$(OUT)/%.o,$(basename $(SOURCES)))"
    yield ""
    yield "all: $(IMAGE)"
    yield ""
    yield "$(OUT)/%.o: %.c $(OUT)/built-with Makefile"
    yield "\t@mkdir -p $(@D)"
    yield makefile.SAY_CC
    yield "\t$(Q)$(CC) $(COMMON) $(C_FLAGS) $(INCLUDES) -MMD -c $< -o $@"
    yield ""
    yield "$(OUT)/%.o: %.cc $(OUT)/built-with Makefile"
    yield "\t@mkdir -p $(@D)"
    yield makefile.SAY_CXX
    yield "\t$(Q)$(CXX) $(COMMON) $(CXX_FLAGS) $(INCLUDES) $(TFLM_INCLUDES) -MMD -c $< -o $@"
    yield ""
    yield "$(OUT)/firmware.elf: $(OBJECTS) $(LIBRARY) $(LINKER_SCRIPT)"
    yield makefile.SAY_LINK
    yield (
        "\t$(Q)$(CXX) $(COMMON) $(LINK) $(LINK_CHECKS) -Wl,-Map,$(OUT)/firmware.map $(OBJECTS)"
        " $(LIBRARY) -lm -o $@"
    )
    yield from makefile.stamped()
    yield ""
    yield from makefile.binary_lines(where)
    yield from makefile.stamp_lines("$(CXX) $(CXX_FLAGS) $(CC) $(C_FLAGS) $(COMMON) $(TFLM)")
    yield "clean:"
    yield "\trm -rf $(OUT)"
    yield ""
    yield ".PHONY: all clean"
    yield ".DELETE_ON_ERROR:"
    yield "-include $(OBJECTS:.o=.d)"


def _library(board: Description) -> Iterator[str]:
    """Finds the library of the board's core, or says how to build it."""
    yield f"BUILDS = {' '.join(map(library.path_of, library.cores(board)))}"
    yield "LIBRARY = $(firstword $(wildcard $(BUILDS:%=$(TFLM)/%)))"
    yield "define HOW"
    yield (
        "TFLM=$(TFLM): expected a TFLite-Micro checkout with its library built; found none. To"
        " build it:"
    )
    yield from (f"    {line}" for line in library.how_to_build(board)[:-1])
    yield "endef"
    yield "ifeq ($(LIBRARY)$(filter clean,$(MAKECMDGOALS)),)"
    yield "$(error $(HOW))"
    yield "endif"
    yield ""


def _readme(board: Description, title: str) -> Iterator[str]:
    yield f"# {title}, around TFLite-Micro"
    yield ""
    yield f"Written by Tendon {GENERATOR} for {board.title}. Status of this port: {board.status}."
    yield (
        "The network is `model/model.tflite`, run by TensorFlow Lite Micro's interpreter with"
        " CMSIS-NN kernels. Nothing of"
    )
    yield (
        "TFLite-Micro lies here: its library and headers are yours. Application, protocol and port"
        " are those of the C project."
    )
    yield ""
    yield "## Build"
    yield ""
    yield from (f"    {line}" for line in library.how_to_build(board)[:-1])
    yield "    make TFLM=path/of/tflite-micro     # here"
    yield ""
    yield (
        f"The image is `build/{board.name}/{board.image}`. `make LOCKED=1` leaves out the requests"
        " for the network's state and the tap: for a product whose port others can reach."
    )
    yield ""
    yield "## What is where"
    yield ""
    yield (
        "- `model/model.tflite` one step of the network; its state goes in and comes out at one"
        " place in the arena"
    )
    yield (
        "- `model/model_tables.c` the same bytes as an array; `model/main.cc` exactly the operators"
        " it needs, and the main loop"
    )
    yield "- `model/model.h` the network's interface, `model/model.cc` the interpreter behind it"
    yield "- `app/`, `port/` the serial protocol around the network, and the board"
    yield "- `docs/spec/` states the model's interface and every byte of the serial line"
