"""The programs that load an image onto a chip: how each is asked whether a chip answers, how it
loads, what it says when it did.

None of them is part of Tendon. Each is run as its own documentation says; what it prints is passed
on.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from export.boards import Description, Loading

PROBE_S = 15.0  # a probe answers within two; a serial boot loader is asked ten times
LOAD_S = 900.0  # 2 MB through a serial boot loader
BOOT_LOADER_BAUD = 115200
FORBIDDEN = re.compile(
    r"LIBUSB_ERROR_ACCESS|[Pp]ermission denied|insufficient permissions", re.IGNORECASE
)
COMPLAINT = re.compile(
    r"error|fail|cannot|unable|unsupported|denied|found 0|\bno\b|not ", re.IGNORECASE
)
CUBE = Path(
    "STMicroelectronics/STM32Cube/STM32CubeProgrammer/bin"
)  # below the home folder, where its installer puts it
WHOLE_IMAGES = (
    "openocd",
    "pio",
)  # loaders that put every section of an image where it belongs, in whichever flash


@dataclass(frozen=True)
class Job:
    """An image for a board. `binary`: its bytes from `loading.address` on; `project`: where it was
    built; `port`: the user's."""

    board: Description
    loading: Loading
    image: Path
    binary: Path
    project: Path
    port: str | None


@dataclass(frozen=True)
class Loader:
    """One program. `sign`: what its `probe` prints when a chip answers; `success`: what its `load`
    prints when all went well."""

    name: str
    programs: tuple[str, ...]
    install: str
    virtue: str
    probe: Callable[[Job], list[str]]
    sign: str
    load: Callable[[Job], list[str]]
    success: str

    def missing(self) -> list[str]:
        """Programs of it that this machine lacks."""
        return [program for program in self.programs if find(program) is None]

    def lacks(self, job: Job) -> str:
        """What is wanting before it can be tried, "" when nothing."""
        if self.missing():
            return f"not installed: {self.install}"
        if self.name == "stm32flash" and not job.port:
            return "installed; it needs PORT= and the chip in its boot loader"
        if self.name == "pio" and not (job.project / "platformio.ini").is_file():
            return "this project has no platformio.ini"
        if self.name not in WHOLE_IMAGES and job.image.with_name("cold_tables.bin").is_file():
            return "it does not fill the external flash, in which some tables of this image lie"
        return ""


@dataclass(frozen=True)
class Answer:
    """What a program did. `code`: its exit status; None when it ran out of time or could not be
    started."""

    code: int | None
    output: str

    def last_words(self, count: int = 1) -> str:
        """Its last lines that complain; where none does, its last ones."""
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        return (
            " / ".join(([line for line in lines if COMPLAINT.search(line)] or lines)[-count:])
            or "it said nothing"
        )


def find(program: str) -> str | None:
    """Where a program is; STM32CubeProgrammer's installer leaves the PATH as it is."""
    return shutil.which(program) or shutil.which(program, path=str(Path.home() / CUBE))


def ask(loader: Loader, job: Job) -> tuple[str, Answer]:
    """Does a chip answer it? What says so ("" when nothing does), and all it said."""
    answer = _run(loader.probe(job), PROBE_S, lambda text: None)
    found = re.search(loader.sign, answer.output, re.IGNORECASE) if answer.code == 0 else None
    return " ".join(found[0].split()) if found else "", answer


def load(loader: Loader, job: Job) -> Answer:
    """Load, verify, reset; what it prints is shown as it comes. `code` 0 means all of that went
    well."""
    # PlatformIO builds for itself: of the sources, not of what an earlier build left
    shutil.rmtree(job.project / ".pio" / "build", ignore_errors=True)
    answer = _run(loader.load(job), LOAD_S, _show)
    if answer.code == 0 and not re.search(loader.success, answer.output, re.IGNORECASE):
        return Answer(1, answer.output)
    return answer


def _show(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _run(command: list[str], limit_s: float, heard: Callable[[str], None]) -> Answer:
    """A program within its time; what it says on either stream, piece by piece to `heard` and all
    of it in the answer."""
    where = find(command[0]) or command[0]
    try:
        process = subprocess.Popen(
            [where, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        return Answer(None, f"{where}: cannot be started: {error.strerror}")
    assert process.stdout is not None
    late = threading.Event()

    def end() -> None:
        late.set()
        process.kill()

    clock = threading.Timer(limit_s, end)
    clock.start()
    pieces = []
    with process:
        try:
            while piece := process.stdout.read1(4096).decode("utf-8", "replace"):  # type: ignore[attr-defined]
                pieces.append(piece)
                heard(piece)
        except BaseException:
            process.kill()
            raise
        finally:
            clock.cancel()
    said = "".join(pieces)
    return (
        Answer(None, f"{said}\nno answer within {limit_s:g} s")
        if late.is_set()
        else Answer(process.returncode, said)
    )


# --- the programs ---------------------------------------------------------------------------------


def _openocd(job: Job, *commands: str) -> list[str]:
    scripts = [word for script in job.loading.openocd for word in ("-f", script)]
    return ["openocd", *scripts, *(word for command in commands for word in ("-c", command))]


def _load_with_openocd(job: Job) -> list[str]:
    """It leaves debugging enabled in the core (DHCSR) until the power goes, and there a fault would
    stop it for good instead of resetting it: so that is written too, where it can be."""
    off = "catch {mww 0xE000EDF0 0xA05F0000}"
    return _openocd(job, f"program {{{job.image}}} verify reset", off, "shutdown")


def _port(job: Job) -> str:
    assert job.port is not None, "lacks() asks for it"
    return job.port


LOADERS = (
    Loader(
        name="openocd",
        programs=("openocd",),
        install="apt-get install openocd",
        virtue="it asks the chip itself and verifies what it wrote",
        probe=lambda job: _openocd(job, "init; shutdown"),
        sign=r"STLINK \S.*|CMSIS-DAP: \S.*|.*processor detected",
        load=_load_with_openocd,
        success=r"Verified OK",
    ),
    Loader(
        name="st-flash",
        programs=("st-flash", "st-info"),
        install="apt-get install stlink-tools",
        virtue="it knows the chip behind the ST-LINK and verifies what it wrote",
        probe=lambda job: ["st-info", "--probe"],
        # a chip it does not know has a flash of 0 for it
        sign=r"flash: +[1-9]\d*[\s\S]*?chip_?id: +\S+",
        load=lambda job: [
            "st-flash",
            "--reset",
            "write",
            str(job.binary),
            f"0x{job.loading.address:08x}",
        ],
        success=r"verified|jolly good",
    ),
    Loader(
        name="STM32_Programmer_CLI",
        programs=("STM32_Programmer_CLI",),
        install="STM32CubeProgrammer from st.com",
        virtue="it finds the ST-LINK and verifies what it writes",
        probe=lambda job: ["STM32_Programmer_CLI", "-l", "st-link"],
        sign=r"ST-LINK SN *: *\S+",
        load=lambda job: [
            *(
                "STM32_Programmer_CLI",
                "-c",
                "port=SWD",
                "-w",
                str(job.binary),
                f"0x{job.loading.address:08x}",
                "-v",
                "-rst",
            )
        ],
        success=r"verified successfully",
    ),
    Loader(
        name="pio",
        programs=("pio",),
        install="pip install platformio",
        virtue="it sees an ST-LINK on USB and brings its own OpenOCD",
        probe=lambda job: ["pio", "device", "list", "--json-output"],
        sign=r"VID:PID=0483:37\w\w",
        load=lambda job: ["pio", "run", "-d", str(job.project), "-t", "upload"],
        success=r"Verified OK",
    ),
    Loader(
        name="stm32flash",
        programs=("stm32flash",),
        install="apt-get install stm32flash",
        virtue="the chip's own boot loader answers on this port, and no probe does",
        probe=lambda job: ["stm32flash", "-b", str(BOOT_LOADER_BAUD), _port(job)],
        sign=r"Device ID *: *0x[0-9a-f]+.*",
        load=lambda job: [
            *("stm32flash", "-b", str(BOOT_LOADER_BAUD), "-w", str(job.binary), "-v"),
            *("-g", f"0x{job.loading.address:08x}", _port(job)),
        ],
        success=r"verified|Done\.",
    ),
)
