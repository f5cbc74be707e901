"""A CMSIS-NN that lies somewhere on this machine: its headers, and for each core a library, found
or compiled from its sources.

Nothing of it is part of this repository. What is searched: `Include/arm_nnfunctions.h` in the
folder or below it, and static libraries (*.a) that define its layers; which core one is for is read
from the ELF attributes of its objects (ABI for the Arm Architecture, addenda32, section 3.3). A
core without a library gets one compiled from the `Source` folder beside the headers.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import ARMAttributesSection

from bench.bare.cores import CORES, Core
from compress.errors import TendonError

log = logging.getLogger(__name__)

HEADER = "arm_nnfunctions.h"
LAYER = b"arm_convolve_wrapper_s8"  # whoever defines it is CMSIS-NN
CORES_WITH_PEERS = ("cortex-m4", "cortex-m55")
FLAGS = ("-O3", "-ffunction-sections", "-fdata-sections")
SOURCES = (
    "FullyConnectedFunctions/*_s8*.c",
    "FullyConnectedFunctions/*_s16*.c",
    "ConvolutionFunctions/*_s8*.c",
    "ConvolutionFunctions/*_s16*.c",
    "SoftmaxFunctions/*softmax_s16.c",
    "NNSupportFunctions/*.c",
)
FLOATS = ("_f16", "_f32")
MAGIC, MEMBER_HEAD = b"!<arch>\n", 60
ARMV7E_M, ARMV81_M = 13, 21  # Tag_CPU_arch


class CmsisNnError(TendonError):
    """There is no CMSIS-NN where one was said to be, or it cannot be used."""


@dataclass(frozen=True)
class Library:
    """CMSIS-NN for one core. `flags` compile and link what calls it, `made` says where it comes
    from."""

    core: Core
    archive: Path
    include: Path
    flags: tuple[str, ...]
    made: str


def find(path: Path, cache: Path) -> list[Library]:
    """One library for each core that can be had below `path`; what is compiled goes into the folder
    `cache`.

    CmsisNnError when the path holds no headers, or neither sources nor a library for one of these
    cores.
    """
    path, cache = path.resolve(), cache.resolve()  # compiler and linker run elsewhere
    include = _include(path)
    built = _built(path, include)
    sources = include.parent / "Source"
    missing = [CORES[name] for name in CORES_WITH_PEERS if name not in built]
    if sources.is_dir():
        built |= {core.name: _compile(core, sources, include, cache) for core in missing}
    if not built:
        raise CmsisNnError(
            f"{path}: expected a library (*.a) of CMSIS-NN for {' or '.join(CORES_WITH_PEERS)}, or"
            f" its sources in {sources}, found neither; build it with arm-none-eabi-gcc, or give a"
            " checkout: git clone https://github.com/ARM-software/CMSIS-NN"
        )
    return [built[name] for name in CORES_WITH_PEERS if name in built]


def version(path: Path) -> str:
    """What to call this CMSIS-NN: the commit of a checkout, otherwise the name of its folder."""
    command = ["git", "-C", str(path), "rev-parse", "--short=8", "HEAD"]
    done = (
        subprocess.run(command, capture_output=True, text=True, errors="replace")
        if (path / ".git").exists()
        else None
    )
    return (
        f"CMSIS-NN {done.stdout.strip()}"
        if done and done.returncode == 0
        else f"CMSIS-NN in {path.resolve().name}"
    )


def _include(path: Path) -> Path:
    headers = sorted(path.rglob(f"Include/{HEADER}"), key=lambda p: (len(p.parts), p))
    if not headers:
        raise CmsisNnError(
            f"{path}: expected Include/{HEADER} there or below it, found none; give a checkout of"
            " CMSIS-NN, or leave CMSIS_NN out to compare with the recorded figures"
        )
    return headers[0].parent


# --- libraries that are there ---------------------------------------------------------------------


def _built(path: Path, include: Path) -> dict[str, Library]:
    """Core -> the library that lies nearest to the folder, of those that define the layers."""
    found: dict[str, Library] = {}
    for archive in sorted(path.rglob("*.a"), key=lambda p: (len(p.parts), p)):
        attributes = attributes_of(archive)
        core = core_for(attributes) if attributes else None
        if attributes is not None and core is not None and core.name not in found:
            made = f"as built: {archive.relative_to(path)}"
            found[core.name] = Library(
                core, archive, include, calling_flags(core, attributes), made
            )
    return found


def attributes_of(archive: Path) -> dict[str, int | str] | None:
    """Build attributes of the object that defines the layers; None when no object of the archive
    does."""
    try:
        member = _defining_member(archive.read_bytes())
        section = (
            ELFFile(io.BytesIO(member)).get_section_by_name(".ARM.attributes")
            if member is not None
            else None
        )
    except (ELFError, ValueError) as error:
        raise CmsisNnError(
            f"{archive}: expected a whole library of ELF objects, found {error}; build it again"
        ) from error
    if not isinstance(section, ARMAttributesSection):
        return None
    groups = [g for vendor in section.iter_subsections() for g in vendor.iter_subsubsections()]
    return {
        attribute.tag: attribute.value for group in groups for attribute in group.iter_attributes()
    }


def _defining_member(archive: bytes) -> bytes | None:
    """The object in which an archive's own index has LAYER; ValueError for an archive that is cut
    short.

    The index is the first member, "/": big-endian count and offsets of members, then as many names,
    each with a final 0."""
    if not archive.startswith(MAGIC + b"/ "):
        return None
    index = _member(archive, len(MAGIC))
    count = int.from_bytes(index[:4], "big")
    names = index[4 + 4 * count :].split(b"\0")[:count]
    if LAYER not in names:
        return None
    at = 4 + 4 * names.index(LAYER)
    return _member(archive, int.from_bytes(index[at : at + 4], "big"))


def _member(archive: bytes, offset: int) -> bytes:
    head = archive[offset : offset + MEMBER_HEAD]
    size = head[48:58].strip()
    if not size.isdigit():
        raise ValueError(f"no member at byte {offset}")
    return archive[offset + MEMBER_HEAD : offset + MEMBER_HEAD + int(size)]


def core_for(attributes: dict[str, int | str]) -> Core | None:
    """The core an object with these attributes is for. A Cortex-M7 executes what was built for a
    Cortex-M4 and the reverse."""
    arch, vectors = attributes.get("TAG_CPU_ARCH"), attributes.get("TAG_MVE_ARCH", 0)
    if arch == ARMV7E_M:
        return CORES["cortex-m4"]
    return CORES["cortex-m55"] if arch == ARMV81_M and vectors else None


def calling_flags(core: Core, attributes: dict[str, int | str]) -> tuple[str, ...]:
    """Flags of this core for code that calls such objects: floats are passed as there, or nothing
    links."""
    hard = attributes.get("TAG_ABI_VFP_ARGS") == 1
    others = tuple(flag for flag in core.flags if not flag.startswith("-mfloat-abi="))
    if core.name == "cortex-m4":
        return (
            (*others, "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")
            if hard
            else (*others, "-mfloat-abi=soft")
        )
    return (*others, "-mfloat-abi=hard" if hard else "-mfloat-abi=softfp")


# --- libraries made here --------------------------------------------------------------------------


def _compile(core: Core, sources: Path, include: Path, cache: Path) -> Library:
    """The layers alone, at -O3; kept by the hash of sources, headers and flags."""
    every = (f for pattern in SOURCES for f in sources.glob(pattern))
    files = sorted({f for f in every if not any(f.stem.endswith(t) for t in FLOATS)})
    headers = sorted(include.rglob("*.h"))
    flags = (*core.flags, *FLAGS)
    digest = hashlib.sha256(" ".join(flags).encode())
    for file in (*files, *headers):
        digest.update(file.name.encode() + file.read_bytes())
    folder = cache / digest.hexdigest()[:16]
    archive = folder / f"libcmsis-nn-{core.name}.a"
    if not archive.is_file():
        log.info(f"compiling CMSIS-NN for {core.name}: {len(files)} files")
        folder.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = list(pool.map(lambda file: _object(file, include, flags, folder), files))
        aside = archive.with_suffix(".tmp")
        aside.unlink(missing_ok=True)
        _run(["arm-none-eabi-ar", "rcs", str(aside), *map(str, objects)])
        aside.replace(archive)
    return Library(
        core,
        archive,
        include,
        core.flags,
        "compiled here: " + " ".join(flags[: len(core.flags) + 1]),
    )


def _object(file: Path, include: Path, flags: tuple[str, ...], folder: Path) -> Path:
    target = folder / f"{file.stem}.o"
    _run(["arm-none-eabi-gcc", *flags, f"-I{include}", "-c", str(file), "-o", str(target)])
    return target


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=300
        )
    except FileNotFoundError:
        raise CmsisNnError(f"{command[0]} is not installed; run make tools") from None
    if done.returncode:
        raise CmsisNnError(f"{command[0]} failed:\n{done.stderr[-2000:]}")
