"""What makes a project a library of others: library.json (PlatformIO), library.properties and src/
(Arduino), zephyr/ (a Zephyr module). Whole lines, no templates.

None of them builds the application: they take model/ and nn/. CMake's part is in cmake_files.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from export.version import GENERATOR, NN_VERSION

WHO = "Tendon"
URL = "README.md"  # Arduino demands one, for a person to visit
ONLY = "no malloc, no floating point"
_INCLUDE = re.compile(rb'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def texts(title: str, files: dict[str, bytes], identifier: str) -> dict[str, Iterable[str]]:
    """File name -> lines. `files`: the project's sources by path; `identifier`: the network's name
    in C."""
    return {
        "library.json": json.dumps(_platformio(title, identifier), indent=2).splitlines(),
        "library.properties": _arduino(title, identifier),
        **_forwarding(files, identifier),
        "zephyr/module.yml": _module(identifier),
        "zephyr/Kconfig": _kconfig(title, identifier),
        "zephyr/CMakeLists.txt": _zephyr(files, identifier),
    }


def sources(files: Iterable[str]) -> list[str]:
    """Of the network and its kernels."""
    return sorted(f for f in files if f.startswith(("model/", "nn/")) and f.endswith((".c", ".S")))


def _platformio(title: str, identifier: str) -> dict[str, object]:
    return {
        "$schema": (
            "https://raw.githubusercontent.com/platformio/platformio-core/develop/platformio/assets"
            "/schema/library.json"
        ),
        "name": identifier,
        "version": GENERATOR,
        "description": f"{title}: {ONLY}",
        "authors": [{"name": WHO}],
        "headers": f"{identifier}.h",
        "frameworks": "*",
        "platforms": "*",
        "build": {
            "srcDir": ".",
            "includeDir": "model",
            "srcFilter": ["-<*>", "+<model/>", "+<nn/>"],
            "flags": ["-Imodel", "-Inn"],
            "libLDFMode": "off",
        },
    }


# --- Arduino --------------------------------------------------------------------------------------


def _arduino(title: str, identifier: str) -> Iterator[str]:
    yield f"name={identifier}"
    yield f"version={GENERATOR}"
    yield f"author={WHO}"
    yield f"maintainer={WHO}"
    yield f"sentence={title}: a network for surface EMG, in C."
    yield f"paragraph={ONLY[0].upper()}{ONLY[1:]}; its header is its manual."
    yield "category=Data Processing"
    yield f"url={URL}"
    yield "architectures=*"
    yield f"includes={identifier}.h"
    yield "dot_a_linkage=true"


def _forwarding(files: dict[str, bytes], identifier: str) -> dict[str, Iterable[str]]:
    """src/, the only folder where Arduino looks: each file of it includes one of model/ or nn/.

    A source of model/ finds its own headers beside it, and those of nn/ through src/.
    """
    beside = {name.removeprefix("model/") for name in files if name.startswith("model/")}
    wanted = {
        include.decode()
        for name, content in files.items()
        if name.startswith("model/") and name.endswith((".c", ".h"))
        for include in _INCLUDE.findall(content)
    }
    headers = [f"model/{identifier}.h"]
    headers += [f"nn/{name}" for name in sorted(wanted - beside) if f"nn/{name}" in files]
    found: dict[str, Iterable[str]] = {}
    for header in headers:
        found[f"src/{PurePosixPath(header).name}"] = [f'#include "../{header}"']
    for source in sources(files):
        found[f"src/{source}"] = [f'#include "../../{source}"']
    return found


# --- Zephyr ---------------------------------------------------------------------------------------


def _module(identifier: str) -> Iterator[str]:
    yield f"name: {identifier}"
    yield "build:"
    yield "  cmake: zephyr"
    yield "  kconfig: zephyr/Kconfig"


def _kconfig(title: str, identifier: str) -> Iterator[str]:
    yield f"config TENDON_{identifier.upper()}"
    yield f'\tbool "{title}"'
    yield "\thelp"
    yield f"\t  A network for surface EMG, written by Tendon {GENERATOR}: {ONLY}."
    yield f"\t  Its header {identifier}.h is its manual."


def _zephyr(files: dict[str, bytes], identifier: str) -> Iterator[str]:
    """Zephyr links whole archives, so a kernel that two networks call may be in one of them only:
    the first that names it has it. The library is not called as the network is: a target of
    Zephyr's own may be."""
    kernels = [f for f in sources(files) if f.startswith("nn/")]
    yield f"if(CONFIG_TENDON_{identifier.upper()})"
    yield "  set(HERE ${CMAKE_CURRENT_LIST_DIR}/..)"
    yield "  # networks of one image share the kernels"
    yield "  get_property(VERSION GLOBAL PROPERTY TENDON_NN_VERSION)"
    yield f'  if(NOT "${{VERSION}}" MATCHES "^({NN_VERSION})?$")'
    yield f'    message(FATAL_ERROR "{identifier} calls version {NN_VERSION} of the kernels,"'
    yield '      " another network version ${VERSION}: export both with the same Tendon")'
    yield "  endif()"
    yield f"  set_property(GLOBAL PROPERTY TENDON_NN_VERSION {NN_VERSION})"
    yield "  zephyr_include_directories(${HERE}/model ${HERE}/nn)"
    yield f"  zephyr_library_named(tendon_{identifier})"
    yield "  zephyr_library_sources("
    yield from (f"    ${{HERE}}/{source}" for source in sources(files) if source not in kernels)
    yield "  )"
    yield "  # Zephyr links whole libraries: each kernel is in that of the first network to call it"
    yield "  get_property(TAKEN GLOBAL PROPERTY TENDON_NN_FILES)"
    yield "  foreach(KERNEL"
    yield from (f"    {kernel}" for kernel in kernels)
    yield "  )"
    yield "    if(NOT KERNEL IN_LIST TAKEN)"
    yield "      set_property(GLOBAL APPEND PROPERTY TENDON_NN_FILES ${KERNEL})"
    yield "      zephyr_library_sources(${HERE}/${KERNEL})"
    yield "      # the kernels are built for speed: the last -O counts"
    yield "      if(KERNEL MATCHES [.]c$)"
    yield "        set_source_files_properties(${HERE}/${KERNEL} PROPERTIES COMPILE_OPTIONS -O3)"
    yield "      endif()"
    yield "    endif()"
    yield "  endforeach()"
    yield "endif()"
