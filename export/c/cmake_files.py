"""The CMake files of a project: CMakeLists.txt, toolchain files, presets. Whole lines, no
templates.

The network is a library, for whoever adds this folder or finds the installed package; the
application is built where the project stands alone. Which compiler it is says the toolchain file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from export.boards import Description
from export.c import folding
from export.c.project_files import COMMON, LINK_CHECKS, STAMP, WARNINGS, link_flags
from export.compilers import NEWEST, OLDEST
from export.version import GENERATOR, NN_VERSION

ROOT = "${CMAKE_CURRENT_SOURCE_DIR}/"
FOLDER = "build-cmake"


def texts(
    boards: list[Description], title: str, files: list[str], identifier: str
) -> dict[str, Iterable[str]]:
    """File name -> lines. `files`: paths of the project's sources, sorted; `identifier`: the
    network's name in C."""
    crossed = [board for board in boards if board.prefix]
    found: dict[str, Iterable[str]] = {
        "CMakeLists.txt": folding.cmake(_lists(boards, title, files, identifier)),
        "CMakePresets.json": json.dumps(_presets(boards), indent=2).splitlines(),
    }
    for board in crossed:
        found[toolchain(board, "gcc")] = folding.cmake(_gcc(board))
        found[toolchain(board, "clang")] = folding.cmake(_clang(board))
    return found


def toolchain(board: Description, compiler: str) -> str:
    """Path of a toolchain file in the project."""
    first = board.prefix.rstrip("-") if compiler == "gcc" else compiler
    return f"cmake/{first}-{board.name}.cmake"


def _lists(
    boards: list[Description], title: str, files: list[str], identifier: str
) -> Iterator[str]:
    sources = [f for f in files if f.endswith((".c", ".S"))]
    yield f"# Tendon {GENERATOR}: {title}"
    yield from _about(boards[0], identifier)
    yield "cmake_minimum_required(VERSION 3.21)"
    yield 'if("${CMAKE_CURRENT_SOURCE_DIR}${CMAKE_CURRENT_BINARY_DIR}" MATCHES "[;\\"]")'
    yield '  message(FATAL_ERROR "CMake cannot build where a path has ; or \\" in it")'
    yield "endif()"
    languages = "C ASM" if any(f.endswith(".S") for f in sources) else "C"
    yield f"project({identifier} VERSION {GENERATOR} LANGUAGES {languages})"
    yield 'option(TENDON_APPLICATION "the serial application" ${PROJECT_IS_TOP_LEVEL})'
    yield 'option(TENDON_LOCKED "the application without requests for the state" OFF)'
    yield 'set(TENDON_LEVEL -Os CACHE STRING "optimization of everything but the kernels")'
    yield 'set(TENDON_NN_LEVEL -O3 CACHE STRING "optimization of the kernels")'
    yield 'if(CMAKE_C_COMPILER_ID STREQUAL "Clang" AND CMAKE_C_COMPILER_VERSION VERSION_LESS'
    yield f"    {OLDEST})"
    yield f'  message(FATAL_ERROR "expected clang {OLDEST} or later, found'
    yield '    ${CMAKE_C_COMPILER_VERSION}")'
    yield "endif()"
    yield ""
    yield from _library(sources, identifier)
    yield from _installed(files, identifier)
    yield from _application(boards, sources, identifier)


def _about(board: Description, identifier: str) -> Iterator[str]:
    yield "# As a part of another project: add_subdirectory(<this folder>), then"
    yield f"#   target_link_libraries(<yours> PRIVATE Tendon::{identifier})"
    yield f"# or install it, then find_package({identifier}) and the same."
    yield "# Alone it builds the application too; each preset has a build folder of its own:"
    yield f"#   cmake --preset {board.name} && cmake --build {FOLDER}/{board.name}"
    yield "# Without a preset or a toolchain file it builds for this machine."


def _library(sources: list[str], identifier: str) -> Iterator[str]:
    kernels = [f for f in sources if f.startswith("nn/") and f.endswith(".c")]
    yield "include(GNUInstallDirs)"
    yield f"add_library({identifier} STATIC"
    yield from (f"  {f}" for f in sources if f.startswith(("model/", "nn/")))
    yield ")"
    yield f"add_library(Tendon::{identifier} ALIAS {identifier})"
    yield "# Each kernel is a file of its own: their static functions have the same names."
    yield f"set_target_properties({identifier} PROPERTIES C_STANDARD 11 C_EXTENSIONS OFF"
    yield "  UNITY_BUILD OFF)"
    yield f"target_include_directories({identifier} PUBLIC"
    yield from (f"  $<BUILD_INTERFACE:${{CMAKE_CURRENT_SOURCE_DIR}}/{f}>" for f in ("model", "nn"))
    yield f"  $<INSTALL_INTERFACE:${{CMAKE_INSTALL_INCLUDEDIR}}/{identifier}>)"
    yield "# Networks of one program share the kernels: CMake refuses those of two versions."
    yield f"set_target_properties({identifier} PROPERTIES"
    yield f"  INTERFACE_TENDON_NN_VERSION {NN_VERSION}"
    yield "  COMPATIBLE_INTERFACE_STRING TENDON_NN_VERSION)"
    yield 'if(CMAKE_C_COMPILER_ID MATCHES "GNU|Clang")'
    yield f"  set(COMMON {COMMON})"
    yield f"  target_compile_options({identifier} PRIVATE"
    yield "    $<$<COMPILE_LANGUAGE:C>:${COMMON};${TENDON_LEVEL}>)"
    if kernels:
        yield "  set_source_files_properties("
        yield from (f"    {kernel}" for kernel in kernels)
        yield "    PROPERTIES COMPILE_OPTIONS ${TENDON_NN_LEVEL}) # the last -O counts"
    yield "endif()"
    yield "if(PROJECT_IS_TOP_LEVEL)"
    for number, (compiler, name) in enumerate((("gcc", "GNU"), ("clang", "Clang"))):
        yield f'  {"else" if number else ""}if(CMAKE_C_COMPILER_ID STREQUAL "{name}")'
        yield "    set(WARNINGS"
        yield from (f'      "{word}"' for word in WARNINGS[compiler].split())
        yield "    )"
    yield "  endif()"
    yield f"  target_compile_options({identifier} PRIVATE $<$<COMPILE_LANGUAGE:C>:${{WARNINGS}}>)"
    yield "endif()"
    yield ""


def _installed(files: list[str], identifier: str) -> Iterator[str]:
    """Headers lie in a folder of the network's own: two networks may be installed side by side."""
    headers = [f for f in files if f.startswith(("model/", "nn/")) and f.endswith(".h")]
    package = f"${{CMAKE_INSTALL_LIBDIR}}/cmake/{identifier}"
    yield f"install(TARGETS {identifier} EXPORT {identifier}"
    yield "  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})"
    yield "install(FILES"
    yield from (f"  {f}" for f in headers)
    yield f"  DESTINATION ${{CMAKE_INSTALL_INCLUDEDIR}}/{identifier})"
    yield f"install(EXPORT {identifier} FILE {identifier}-config.cmake NAMESPACE Tendon::"
    yield f"  DESTINATION {package})"
    yield "include(CMakePackageConfigHelpers)"
    yield f"write_basic_package_version_file({identifier}-config-version.cmake"
    yield "  COMPATIBILITY SameMinorVersion)"
    yield f'install(FILES "${{CMAKE_CURRENT_BINARY_DIR}}/{identifier}-config-version.cmake"'
    yield f"  DESTINATION {package})"
    yield ""


def _application(boards: list[Description], sources: list[str], identifier: str) -> Iterator[str]:
    yield "if(NOT TENDON_APPLICATION)"
    yield "  return()"
    yield "endif()"
    if len(boards) > 1:
        yield f"set(BOARD {boards[1].name})"
        yield "if(CMAKE_CROSSCOMPILING)"
        yield f"  set(BOARD {boards[0].name})"
        yield "endif()"
    else:
        yield f"set(BOARD {boards[0].name})"
    yield "add_executable(firmware"
    yield from (f"  {f}" for f in sources if f.startswith("app/"))
    yield ")"
    for board in boards:
        own = [f for f in sources if f.rpartition("/")[0] in board.port_folders]
        yield f'if(BOARD STREQUAL "{board.name}")'
        yield "  target_sources(firmware PRIVATE"
        yield from (f"    {f}" for f in own)
        yield "  )"
        yield f"  target_include_directories(firmware PRIVATE {' '.join(board.port_folders)})"
        if board.prefix:
            yield f"  set(CORE {' '.join(board.flags)})"
            yield f"  set(LINK {link_flags(board, ROOT)}"
            yield f"    {LINK_CHECKS} -Wl,-Map,firmware.map)"
            yield "  set_target_properties(firmware PROPERTIES SUFFIX .elf)"
        yield "endif()"
    yield "set_target_properties(firmware PROPERTIES C_STANDARD 11 C_EXTENSIONS OFF)"
    yield "set_target_properties(firmware PROPERTIES UNITY_BUILD OFF)"
    yield "target_include_directories(firmware PRIVATE app port)"
    yield "target_compile_options(firmware PRIVATE $<$<COMPILE_LANGUAGE:C>:${WARNINGS}>"
    yield "  ${COMMON} $<$<COMPILE_LANGUAGE:C>:${TENDON_LEVEL}>)"
    yield f"target_link_libraries(firmware PRIVATE {identifier})"
    yield "if(TENDON_LOCKED)"
    yield "  target_compile_definitions(firmware PRIVATE APP_LOCKED)"
    yield "  set(LOCKED -DAPP_LOCKED)"
    yield "endif()"
    yield "target_link_options(firmware PRIVATE ${LINK})"
    yield 'set(SEEN "${CORE} ${LOCKED} ${TENDON_NN_LEVEL} (kernels) ${TENDON_LEVEL} (the rest)")'
    yield 'string(REPLACE ";" " " SEEN "${SEEN}")'
    yield 'string(STRIP "${SEEN}" SEEN)'
    yield 'target_compile_definitions(firmware PRIVATE "APP_COMPILER_FLAGS=\\"${SEEN}\\"")'
    if boards[0].prefix:
        yield from _stamped(boards[0])


def _stamped(board: Description) -> Iterator[str]:
    yield "# the CRC over the whole image, which it checks at every start"
    yield "find_program(TENDON_SHELL sh)"
    yield f"find_program(TENDON_OBJDUMP {board.prefix}objdump)"
    yield "if(CMAKE_CROSSCOMPILING AND TENDON_SHELL AND TENDON_OBJDUMP)"
    yield "  add_custom_command(TARGET firmware POST_BUILD VERBATIM"
    yield f"    COMMAND ${{TENDON_SHELL}} {ROOT}{STAMP}"
    yield "    ${TENDON_OBJDUMP} $<TARGET_FILE:firmware>)"
    yield "elseif(CMAKE_CROSSCOMPILING)"
    yield '  message(WARNING "no CRC over the code: sh or objdump was not found")'
    yield "endif()"


# --- toolchains -----------------------------------------------------------------------------------


def _bare() -> Iterator[str]:
    yield "set(CMAKE_SYSTEM_NAME Generic)"
    yield "set(CMAKE_SYSTEM_PROCESSOR arm)"
    yield "set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)"


def _gcc(board: Description) -> Iterator[str]:
    yield f"# {board.title}: gcc for its core"
    yield from _bare()
    yield f"set(CMAKE_C_COMPILER {board.compiler})"
    yield f"set(CMAKE_CXX_COMPILER {board.prefix}g++)"
    yield f"set(CMAKE_ASM_COMPILER {board.compiler})"
    yield from _flags(board)


def _flags(board: Description, more: str = "") -> Iterator[str]:
    for language in ("C", "CXX", "ASM"):
        yield f'set(CMAKE_{language}_FLAGS_INIT "{" ".join(board.flags)}{more}")'


def _clang(board: Description) -> Iterator[str]:
    gcc, flags = board.compiler, " ".join(board.flags)
    names = " ".join(f"clang-{version}" for version in range(NEWEST, OLDEST - 1, -1))
    yield f"# {board.title}: clang for its core, with the newlib and the linker of {gcc}"
    yield from _bare()
    yield f"find_program(TENDON_CLANG NAMES {names} clang REQUIRED)"
    for language in ("C", "CXX", "ASM"):
        yield f'set(CMAKE_{language}_COMPILER "${{TENDON_CLANG}}")'
        yield f"set(CMAKE_{language}_COMPILER_TARGET {board.prefix.rstrip('-')})"
    for variable, tool in (("AR", "ar"), ("RANLIB", "ranlib"), ("LINKER", "ld")):
        yield f"find_program(CMAKE_{variable} {board.prefix}{tool} REQUIRED)"
    yield f"execute_process(COMMAND {gcc} -include string.h -E -x c /dev/null"
    yield "  OUTPUT_VARIABLE SEEN COMMAND_ERROR_IS_FATAL ANY)"
    yield 'string(REGEX MATCH "\\"([^\\"]*)/string\\\\.h\\"" SEEN "${SEEN}")'
    for language in ("C", "CXX"):
        yield f'set(CMAKE_{language}_STANDARD_INCLUDE_DIRECTORIES "${{CMAKE_MATCH_1}}")'
    yield from _flags(board, " -fshort-enums")
    yield "set(CMAKE_EXE_LINKER_FLAGS_INIT"
    yield '  "-nostdlib -Wno-unused-command-line-argument \\"--ld-path=${CMAKE_LINKER}\\"")'
    yield 'string(APPEND CMAKE_EXE_LINKER_FLAGS_INIT " -Wl,-z,noexecstack")'
    for name in ("c", "gcc"):
        yield f"execute_process(COMMAND {gcc} {flags} -print-file-name=lib{name}.a"
        yield "  OUTPUT_VARIABLE FOUND OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)"
        yield 'string(APPEND LIBRARIES " \\"${FOUND}\\"")'
    for language in ("C", "CXX"):
        yield f'set(CMAKE_{language}_STANDARD_LIBRARIES "${{LIBRARIES}}")'


def _presets(boards: list[Description]) -> dict[str, object]:
    """One of each toolchain file, and one for this machine's own compiler; each has a folder, for a
    folder keeps the compiler that it was made with."""
    presets: list[dict[str, str]] = []
    for board in boards:
        for compiler in ("gcc", "clang") if board.prefix else ("gcc",):
            preset = {"name": board.name, "displayName": board.title}
            if compiler == "clang":
                preset = {"name": f"{board.name}-clang", "displayName": f"{board.title}, clang"}
            preset["binaryDir"] = f"${{sourceDir}}/{FOLDER}/{preset['name']}"
            if board.prefix:
                preset["toolchainFile"] = f"${{sourceDir}}/{toolchain(board, compiler)}"
            presets.append(preset)
    return {"version": 3, "configurePresets": presets}
