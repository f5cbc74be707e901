"""The README.md of a project. Whole lines, no templates."""

from __future__ import annotations

from collections.abc import Iterator

from export.boards import CHANGING, Description, Loading
from export.c.placement import Where
from export.c.project_files import apart
from export.version import GENERATOR

FOLDERS = {
    "nn": "the kernels the network calls; `nn.h` is their manual",
    "app": "the application: the serial protocol around the network, portable C11",
    "port": "`port.h` is what a board gives to the application; one folder per board",
    "examples": "programs to begin with; its `README.md` lists them",
    "pio": "what PlatformIO needs to build this: compiler, flags, upload",
}


def lines(
    board: Description, where: Where, title: str, identifier: str, files: list[str]
) -> Iterator[str]:
    """Of a project for a board. `where`: part -> region; `identifier`: the network's name in C;
    `files`: paths of the project's sources."""
    yield f"# {title}"
    yield ""
    yield (
        f"C for {board.title}, written by Tendon {GENERATOR}. Status of this port: {board.status}."
    )
    yield (
        "No malloc, no floating point, no dependency but a C compiler and newlib's memcpy and"
        " memset."
    )
    yield ""
    yield from _readme_build(board, where)
    yield from _readme_locked()
    if board.loading:
        yield from _readme_flash(board, where, board.loading)
    if board.memory:
        yield from _readme_memory(board, where, identifier)
    if any(file.startswith("examples/") for file in files):
        yield from _readme_examples(board, files)
    yield from _readme_library(identifier)
    yield "## What is where"
    yield ""
    yield f"- `model/` the network: `{identifier}.h` is its interface, `{identifier}.c` one kernel"
    yield "  call per line, the tables its weights"
    present = [folder for folder in FOLDERS if any(f.startswith(f"{folder}/") for f in files)]
    yield from (f"- `{folder}/` {FOLDERS[folder]}" for folder in present)
    if board.prefix:
        yield "- `cmake/` toolchain files of this core: gcc and clang"
    yield "- `src/`, `library.properties` for Arduino; `library.json` for PlatformIO; `zephyr/` for"
    yield "  Zephyr: nothing but what these need to find `model/` and `nn/`"
    yield (
        "- `docs/spec/` states the integers of every kernel, the model's interface and every byte"
        " of the serial line"
    )


def _readme_examples(board: Description, files: list[str]) -> Iterator[str]:
    yield "## Examples"
    yield ""
    yield "Programs that hold the network without the protocol of `app/`: over a file, in C and in"
    yield "C++, with what it says as text. `examples/README.md` lists them."
    yield ""
    yield "    make BOARD=posix examples"
    yield ""
    if any(file.startswith(f"examples/{board.name}/") for file in files):
        yield f"`make examples` builds those for {board.name} alone, which take own samples."
        yield ""


def _readme_library(identifier: str) -> Iterator[str]:
    yield "## As a library"
    yield ""
    yield f"`model/` and `nn/` are all that another program needs; `model/{identifier}.h` is its"
    yield "manual. The sources are C11, for a C compiler also where the program is C++; the headers"
    yield "are for both. Compile the sources with these two folders as include folders, or:"
    yield ""
    yield "- CMake: `add_subdirectory(<this folder>)`, or `cmake --install` and"
    yield f"  `find_package({identifier})`; then `target_link_libraries(<yours> PRIVATE"
    yield f"  Tendon::{identifier})`. Compiler and core are those of your toolchain file. The"
    yield "  kernels are compiled with -O3 (`TENDON_NN_LEVEL`), the rest with -Os"
    yield "  (`TENDON_LEVEL`)."
    yield "- PlatformIO: `lib_deps = symlink://<this folder>`."
    yield "- Arduino: put this folder into `libraries/`, under a name of letters, digits and"
    yield f"  underscores, and `#include <{identifier}.h>`. Arduino compiles with -Os, which"
    yield "  costs speed and no bit. Checked by a script that does what Arduino's library"
    yield "  specification says, not by its own tools. `examples/` has no sketch: Arduino passes"
    yield "  over what is in it."
    yield "- Zephyr: name this folder in `ZEPHYR_EXTRA_MODULES`, and say"
    yield f"  `CONFIG_TENDON_{identifier.upper()}=y`. Checked against the schema of module.yml and"
    yield "  with stand-ins for Zephyr's CMake functions, not with Zephyr itself."
    yield ""
    yield from _several()


def _several() -> Iterator[str]:
    yield "## Several networks in one program"
    yield ""
    yield "Each network's names begin with its own, and all call the kernels of `nn/` by the same"
    yield "names, one function to a file. So:"
    yield ""
    yield "- by hand: put the files of all their `model/` into one folder, and those of all their"
    yield "  `nn/` into another, which may be the folders of one of the projects. Files of `nn/`"
    yield "  that have one name are the same file; where they are not, another version of Tendon"
    yield "  wrote them, and the compiler stops at `NN_VERSION`. Files of `model/` that have one"
    yield "  name are not: they are two exports under one name, as two precisions of a model are."
    yield "  Call one otherwise when it is exported: `make export NAME=another`."
    yield "- CMake: one `add_subdirectory` or `find_package` for each, and all of them in"
    yield "  `target_link_libraries`. The linker takes each kernel once; CMake stops at"
    yield "  `TENDON_NN_VERSION` where versions differ."
    yield "- Zephyr: one folder for each in `ZEPHYR_EXTRA_MODULES`. Each kernel is compiled once;"
    yield "  CMake stops where versions differ."
    yield "- Streams of one network share its tables and its code. Each has a state of its own; an"
    yield "  arena may be shared by all that never step at the same time, also those of two"
    yield "  networks: as a union of their arena types."
    yield ""
    yield "Write all projects for one kind of core (`BOARD`): kernels that are not called are left"
    yield "out by the linker, those that are have to suit the core."
    yield ""


def _readme_build(board: Description, where: Where) -> Iterator[str]:
    yield "## Build"
    yield ""
    if board.prefix:
        yield "    apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi make     # on Debian"
    yield "    make"
    yield ""
    image = f"build/{board.name}/{board.image}"
    yield f"The image is `{image}`."
    if board.prefix:
        yield (
            "`make COMPILER=clang` takes clang 15 or later instead, with gcc's newlib; `make LTO=1`"
        )
        yield "optimizes the whole program at once, with either (clang: through lld)."
        yield "`make BOARD=posix` builds the application as a process on this machine, for tests"
        yield "without a board."
    yield ""
    yield "CMake does the same:"
    yield ""
    if board.prefix:
        yield f"    cmake --preset {board.name} && cmake --build build-cmake/{board.name}"
        yield ""
        yield f"The presets take the toolchain files in `cmake/`; `{board.name}-clang` and `posix`"
        yield "are others. Each builds in a folder of its own name."
        yield ""
        yield f"So does PlatformIO: `pio run` writes `.pio/build/{board.name}/{board.image}`. On"
        yield "its first run PlatformIO fetches its own build tool, tool-scons, and a compiler if"
        yield "there is no `arm-none-eabi-gcc`. Later runs are off-line."
    else:
        yield f"    cmake --preset {board.name} && cmake --build build-cmake/{board.name}"
    yield ""
    for name, part in apart(where).items():
        begin = board.memory[where[part]].origin
        yield (
            f"The network's {part} lie apart from the code: `{name}`, beside the image, belongs at"
            f" 0x{begin:08x}."
        )
    if board.emulator:
        yield ""
        yield "In QEMU, with the serial line on TCP port 5555:"
        yield ""
        arguments = " ".join(board.emulator.arguments)
        yield (
            f"    {board.emulator.command} {arguments} -kernel {image} -serial"
            " tcp::5555,server=on,wait=off"
        )
        if warned := board.emulator.warning:
            yield ""
            yield warned
    yield ""


def _readme_locked() -> Iterator[str]:
    yield "## A port that others can reach"
    yield ""
    yield "The serial line has no password: whoever reaches it may stream samples, and read and"
    yield "write the network's state. `make LOCKED=1` (CMake: `-DTENDON_LOCKED=ON`; elsewhere"
    yield "`-DAPP_LOCKED`) leaves out the requests for the state and the tap, which are then"
    yield "refused as unknown; samples, results and counts stay. A run on such a board resumes from"
    yield "its beginning, and a network with an initial pose cannot be given one."
    yield ""


def _readme_memory(board: Description, where: Where, identifier: str) -> Iterator[str]:
    """Which regions there are, and how something is put into another one than planned."""
    upper = identifier.upper()
    yield "## Memory"
    yield ""
    for name, memory in board.memory.items():
        held = f"for {', '.join(memory.holds)}" if memory.holds else "left to you"
        note = f" ({memory.note})" if memory.note else ""
        yield f"- {name}: {memory.size} bytes at 0x{memory.origin:08x}, {held}{note}"
    yield ""
    other = spare(board, where)
    if other is None:
        return
    script, state = f"port/{board.name}/{board.linker_script}", where["state"].upper()
    yield f"`{script}` says which of them holds what, as planned before building. To move the"
    yield "states of all streams, name another region in its"
    yield f'`REGION_ALIAS("STATE", {state})`; for all arenas, in the line of `ARENA`. The'
    yield "start-up code clears both wherever they lie."
    yield ""
    yield f"One object alone, as the state of a second stream, lies in {other} with this line above"
    yield f"`INCLUDE sections.ld` in `{script}`,"
    yield ""
    yield f"    SECTIONS {{ .{other} (NOLOAD) : ALIGN(8) {{ *(.bss.{other}) }} > {other.upper()} }}"
    yield ""
    yield "and these in C:"
    yield ""
    yield f"    static {identifier}_state second_state"
    yield f'        __attribute__((aligned(8), section(".bss.{other}")));'
    yield f"    static {identifier}_arena second_arena {upper}_IN_ARENA;"
    yield f"    static {identifier} second = {{&second_state, &second_arena}};"
    yield ""
    yield f"Nobody clears it at the start: call `{identifier}_reset()` before the first step. The"
    yield "name begins with `.bss.`, so that it takes no bytes of the image. The linker refuses a"
    yield f"section that `{script}` does not name."
    yield ""


def spare(board: Description, where: Where) -> str | None:
    """A region beside that of the state which a program can write."""
    writable = [n for n, m in board.memory.items() if not m.holds or CHANGING & set(m.holds)]
    return next((name for name in writable if name != where["state"]), None)


def _readme_flash(board: Description, where: Where, loading: Loading) -> Iterator[str]:
    yield "## Flash"
    yield ""
    yield (
        "Any of these, with an ST-LINK probe (on a Nucleo board its USB connector), from the folder"
        " of the image:"
    )
    yield ""
    scripts = " ".join(f"-f {script}" for script in loading.openocd)
    yield f"    openocd {scripts} -c 'program firmware.elf verify reset exit'"
    yield f"    st-flash --reset write firmware.bin 0x{loading.address:08x}"
    yield f"    STM32_Programmer_CLI -c port=SWD -w firmware.bin 0x{loading.address:08x} -v -rst"
    yield ""
    yield (
        "or `pio run -t upload` here. Without a probe, the chip's own boot loader takes the image"
        " from a serial port:"
    )
    yield f"{loading.boot_loader}; pin BOOT0 high, reset, then"
    yield ""
    yield f"    stm32flash -w firmware.bin -v -g 0x{loading.address:08x} /dev/ttyUSB0"
    yield ""
    for name, part in apart(where).items():
        yield (
            f"`{name}` belongs into another flash, at {board.memory[where[part]].origin:#010x}:"
            " OpenOCD fills that too, from"
        )
        yield (
            "the same file; STM32_Programmer_CLI with the board's external loader (-el), the others"
            " not at all."
        )
        yield ""
    yield f"The board then speaks the protocol of `docs/spec/serial-line.md` at {board.baud} baud,"
    yield "8N1."
    yield ""
