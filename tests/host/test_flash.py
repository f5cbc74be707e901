"""`flash` takes the first program that a chip answers, says which and why, and where none does,
what to install or plug in."""

from __future__ import annotations

import os
import pty
import subprocess
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.tendon import main as tendon
from export.boards import load_board, names
from host.flash import FlashError, choose, line_of, load_image, meet
from host.loaders import LOADERS, Job
from host.ports import Port
from tests import toy
from tests.test_commands import common, here  # noqa: F401  a fixture

BOARD = "nucleo-f446re"
BY_NAME = {loader.name: loader for loader in LOADERS}
# What each prints and its exit status: OpenOCD 0.12, stlink 1.7, PlatformIO 6.2, stm32flash 0.7,
# STM32CubeProgrammer (UM2237).
PROBE_FOUND = {
    "openocd": (
        (
            "Info : STLINK V2J39M27 (API v2) VID:PID 0483:374B\nInfo : [stm32f4x.cpu] Cortex-M4"
            " processor detected"
        ),
        0,
    ),
    "st-info": (
        (
            "Found 1 stlink programmers\n  flash:      524288 (pagesize: 16384)\n  sram:  131072\n "
            " chipid:     0x421"
        ),
        0,
    ),
    "STM32_Programmer_CLI": (
        (
            "-------- Connected ST-LINK Probes List --------\nST-LINK Probe 0 :\n   ST-LINK SN  :"
            " 0669FF545457"
        ),
        0,
    ),
    "pio": (
        (
            '[{"port": "/dev/ttyACM0", "description": "STM32 STLink", "hwid": "USB'
            ' VID:PID=0483:374B SER=0669"}]'
        ),
        0,
    ),
    "stm32flash": ("Version      : 0x31\nDevice ID    : 0x0421 (STM32F446xx)", 0),
}
NO_PROBE = {
    "openocd": ("Error: open failed\n\n", 1),
    "st-info": ("Found 0 stlink programmers", 0),
    "STM32_Programmer_CLI": ("Error: No ST-Link detected!", 0),
    "pio": ("[]", 0),
    "stm32flash": ("Failed to init device, timeout.", 1),
}
LOADED = {
    "openocd": (
        "** Programming Finished **\n** Verify Started **\n** Verified OK **\n** Resetting"
        " Target **"
    ),
    "st-flash": "Flash written and verified! jolly good!",
    "STM32_Programmer_CLI": "Download verified successfully",
    "pio": "** Verified OK **\n[SUCCESS] Took 3.10 seconds",
    "stm32flash": "Wrote and verified address 0x08002000 (100.00%) Done.",
}


class Bench:
    """A PATH of fakes: each writes down how it was called and says what it was told to."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.calls = folder / "calls"

    def install(
        self, program: str, probe: tuple[str, int], load: tuple[str, int] = ("", 0)
    ) -> None:
        """What it says depends on whether its words are those of a load."""
        loads = "*program*|*write*|*-w*|*upload*"
        replies = [f"printf '%s\\n' {_quoted(text)}; exit {code};;" for text, code in (load, probe)]
        cases = f'case "$*" in {loads}) {replies[0]} *) {replies[1]} esac'
        path = self.folder / program
        path.write_text(f'#!/bin/sh\necho "{program} $*" >> {_quoted(str(self.calls))}\n{cases}\n')
        path.chmod(0o755)

    def called(self) -> list[str]:
        return self.calls.read_text().splitlines() if self.calls.exists() else []


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path))
    return Bench(folder)


def job(tmp_path: Path, board: str = BOARD, port: str | None = None) -> Job:
    description = load_board(board)
    assert description.loading is not None
    (tmp_path / "project").mkdir(exist_ok=True)
    (tmp_path / "project" / "platformio.ini").touch()
    image = tmp_path / "firmware.elf"
    return Job(
        description,
        description.loading,
        image,
        image.with_suffix(".bin"),
        tmp_path / "project",
        port,
    )


def programs(
    name: str, probe: dict[str, tuple[str, int]], load: tuple[str, int] = ("", 0)
) -> list[tuple[str, tuple[str, int], tuple[str, int]]]:
    """The fakes one loader needs."""
    return [(program, probe.get(program, ("", 0)), load) for program in BY_NAME[name].programs]


DEBUG_OFF = "verify reset -c catch {mww 0xE000EDF0 0xA05F0000} -c shutdown"
EXPECTED = {
    "openocd": f"openocd -f board/st_nucleo_f4.cfg -c program {{ELF}} {DEBUG_OFF}",
    "st-flash": "st-flash --reset write BIN 0x08000000",
    "STM32_Programmer_CLI": "STM32_Programmer_CLI -c port=SWD -w BIN 0x08000000 -v -rst",
    "pio": "pio run -d PROJECT -t upload",
    "stm32flash": "stm32flash -b 115200 -w BIN -v -g 0x08000000 /dev/ttyUSB0",
}


@pytest.mark.parametrize("name", EXPECTED)
def test_an_image_with_tables_in_an_external_flash_is_left_to_those_that_fill_it(
    name: str, bench: Bench, tmp_path: Path
) -> None:
    for program in programs(name, PROBE_FOUND, (LOADED[name], 0)):
        bench.install(*program)
    work = job(tmp_path, "stm32h735g-dk", port="/dev/ttyUSB0")
    work.image.with_name("cold_tables.bin").touch()
    if name in ("openocd", "pio"):
        assert choose(work).loader.name == name
    else:
        with pytest.raises(
            FlashError,
            match="it does not fill the external flash, in which some tables of this image lie",
        ):
            choose(work)


@pytest.mark.parametrize("name", EXPECTED)
def test_each_program_is_asked_first_and_then_loads_verifies_and_resets(
    name: str, bench: Bench, tmp_path: Path
) -> None:
    for program in programs(name, PROBE_FOUND, (LOADED[name], 0)):
        bench.install(*program)
    work = job(tmp_path, port="/dev/ttyUSB0")
    chosen = choose(work)
    assert chosen.loader.name == name and chosen.evidence
    load_image(chosen.loader, work)
    probe, load = bench.called()
    assert (
        "init; shutdown" in probe
        or "--probe" in probe
        or "-l st-link" in probe
        or "list" in probe
        or probe.endswith("/dev/ttyUSB0")
    )
    places = {"ELF": str(work.image), "BIN": str(work.binary), "PROJECT": str(work.project)}
    expected = EXPECTED[name]
    for word, path in places.items():
        expected = expected.replace(word, path)
    assert load == expected


def test_the_first_that_a_chip_answers_is_taken_and_the_others_are_said(
    bench: Bench, tmp_path: Path
) -> None:
    for name, probes in (("openocd", NO_PROBE), ("st-flash", PROBE_FOUND), ("pio", PROBE_FOUND)):
        for program in programs(name, probes):
            bench.install(*program)
    chosen = choose(job(tmp_path))
    assert chosen.loader.name == "st-flash" and "0x421" in chosen.evidence
    assert chosen.others == [
        "openocd              installed, but no chip answers it: Error: open failed"
    ]


def test_nothing_installed_names_what_to_install_and_plug_in(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(FlashError) as found:
        choose(job(tmp_path))
    text = str(found.value)
    for words in (
        "apt-get install openocd",
        "apt-get install stlink-tools",
        "st.com",
        "pip install platformio",
        "stm32flash",
    ):
        assert words in text
    assert "install one of them, and plug in: the USB connector CN1 of its ST-LINK" in text
    assert f"make flash BOARD={BOARD} PORT=" in text and "BOOT0 high" in text and "PA10" in text


def test_no_probe_repeats_what_each_program_said(bench: Bench, tmp_path: Path) -> None:
    for name in ("openocd", "st-flash", "STM32_Programmer_CLI", "stm32flash"):
        for program in programs(name, NO_PROBE):
            bench.install(*program)
    with pytest.raises(FlashError) as found:
        choose(job(tmp_path, port="/dev/ttyUSB0"))
    for words in (
        "Error: open failed",
        "Found 0 stlink programmers",
        "No ST-Link detected",
        "Failed to init device",
        "plug in: the USB",
    ):
        assert words in str(found.value)


def test_a_chip_that_st_flash_does_not_know_does_not_answer_it(
    bench: Bench, tmp_path: Path
) -> None:
    """stlink 1.7 and an STM32U575: it sees the probe and a number, and could not write."""
    unknown = (
        "Found 1 stlink programmers\n  flash:      0 (pagesize: 0)\n  sram:       0\n  chipid:    "
        " 0x482"
    )
    bench.install("st-info", (unknown, 0))
    bench.install("st-flash", ("", 0))
    with pytest.raises(FlashError, match=r"st-flash +installed, but no chip answers it"):
        choose(job(tmp_path, "nucleo-u575zi-q"))


def test_a_probe_that_may_not_be_opened_is_a_matter_of_rights(bench: Bench, tmp_path: Path) -> None:
    bench.install(
        "openocd", ("Error: libusb_open() failed with LIBUSB_ERROR_ACCESS\nError: open failed", 1)
    )
    with pytest.raises(FlashError, match="may not be opened: install the udev rules"):
        choose(job(tmp_path))


def test_the_program_that_is_wanted_is_the_only_one_asked(bench: Bench, tmp_path: Path) -> None:
    for name in ("openocd", "st-flash"):
        for program in programs(name, PROBE_FOUND):
            bench.install(*program)
    assert choose(job(tmp_path), "st-flash").loader.name == "st-flash"
    assert not any(call.startswith("openocd") for call in bench.called())
    with pytest.raises(FlashError, match=r"stm32flash +not installed"):
        choose(job(tmp_path), "stm32flash")


def test_the_boot_loader_needs_a_port(bench: Bench, tmp_path: Path) -> None:
    bench.install("stm32flash", PROBE_FOUND["stm32flash"])
    with pytest.raises(FlashError, match="it needs PORT= and the chip in its boot loader"):
        choose(job(tmp_path))


def test_a_program_that_hangs_is_ended(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("host.loaders.PROBE_S", 0.3)
    (bench.folder / "openocd").write_text("#!/bin/sh\necho waiting\nexec /bin/sleep 60\n")
    (bench.folder / "openocd").chmod(0o755)
    with pytest.raises(FlashError, match=r"no answer within 0\.3 s"):
        choose(job(tmp_path))


@pytest.mark.parametrize(
    ("output", "code"),
    [
        ("** Verify Failed **\nError: checksum mismatch", 1),
        ("** Programming Finished **", 0),
        ("killed", 137),
    ],
    ids=["verify failed", "never verified", "ended otherwise"],
)
def test_what_was_not_verified_was_not_loaded(
    output: str, code: int, bench: Bench, tmp_path: Path
) -> None:
    bench.install("openocd", PROBE_FOUND["openocd"], (output, code))
    work = job(tmp_path)
    with pytest.raises(
        FlashError, match=r"openocd did not load firmware\.elf onto nucleo-f446re .*TOOL="
    ):
        load_image(choose(work).loader, work)


# --- afterwards -----------------------------------------------------------------------------------

LINK, ADAPTER = Port("/dev/ttyACM0", "ST-LINK/V2-1"), Port("/dev/ttyUSB0", "FTDI adapter")


@pytest.mark.parametrize(
    ("board", "port", "tool", "ports", "line"),
    [
        (BOARD, None, "openocd", [LINK, ADAPTER], "/dev/ttyACM0"),
        (BOARD, None, "openocd", [ADAPTER], None),
        (BOARD, None, "openocd", [LINK, Port("/dev/ttyACM1", "STLINK-V3")], None),
        (BOARD, "/dev/ttyUSB7", "openocd", [LINK], "/dev/ttyUSB7"),
        (BOARD, "/dev/ttyUSB0", "stm32flash", [LINK, ADAPTER], "/dev/ttyACM0"),
        ("nucleo-u575zi-q", "/dev/ttyACM0", "stm32flash", [LINK], "/dev/ttyACM0"),
    ],
)
def test_the_board_is_met_where_it_speaks(
    board: str, port: str | None, tool: str, ports: list[Port], line: str | None, tmp_path: Path
) -> None:
    """The pins of the ROM's boot loader are those of the firmware's line on some boards only."""
    assert line_of(job(tmp_path, board, port), BY_NAME[tool], lambda: ports) == line


@pytest.fixture
def serial_port() -> Iterator[str]:
    """The application as a process behind a pseudo terminal: what a serial port with a board is to
    the host."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    process = subprocess.Popen([toy.posix_image()], stdin=master, stdout=master)
    yield os.ttyname(slave)
    process.kill()
    process.wait()
    os.close(master)
    os.close(slave)


def test_a_board_that_runs_is_quoted_and_its_clock_compared(
    serial_port: str, tmp_path: Path
) -> None:
    work = job(tmp_path, port=serial_port)
    said = meet(work, BY_NAME["openocd"], toy.MODEL_HASH, toy.QUICK)
    assert said.startswith(f"{serial_port}: posix answers with") and toy.MODEL_HASH[:16] in said
    assert "expected 180 MHz: supply or PLL did not start" in said
    with pytest.raises(
        FlashError,
        match=r"loaded and verified, but it does not answer as it should: .*expected model hash",
    ):
        meet(work, BY_NAME["openocd"], "0" * 64, toy.QUICK)


def test_without_a_known_port_it_says_how_to_hear_from_the_board(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serial.tools.list_ports.comports", list)
    assert f"make hil BOARD={BOARD} PORT=" in meet(
        job(tmp_path), BY_NAME["openocd"], toy.MODEL_HASH
    )


# --- the command ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in names() if load_board(name).loading is None])
def test_what_is_no_chip_is_not_flashed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert tendon(["flash", "--board", name]) == 2
    error = capsys.readouterr().err
    assert (
        f"{name}: nothing is to be flashed" in error
        and f"make hil BOARD={name}" in error
        and BOARD in error
    )


def test_the_command_builds_chooses_and_loads(here, tmp_path, monkeypatch, capfd):  # type: ignore[no-untyped-def]
    toy.need("arm-none-eabi-gcc", "make")
    bench = Bench(tmp_path)
    bench.install("openocd", PROBE_FOUND["openocd"], (LOADED["openocd"], 0))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr("serial.tools.list_ports.comports", list)
    assert tendon(["flash", *common(here), "--board", BOARD, "--tool", "openocd"]) == 0
    image = here / "build/TC_S4_small/w8a16/c" / BOARD / "firmware.elf"
    assert image.is_file() and bench.called()[-1].endswith(f"program {{{image}}} {DEBUG_OFF}")
    said = capfd.readouterr().out
    assert (
        f"firmware.elf goes onto {BOARD} with openocd: it asks the chip itself" in said
        and "** Verified OK **" in said
    )
    assert tendon(["flash", *common(here), "--board", BOARD, "--tool", "openocd", "--tap"]) == 0
    with_tap = image.parent / "tap" / "firmware.elf"
    assert bench.called()[-1].endswith(f"program {{{with_tap}}} {DEBUG_OFF}")
    assert b"-DMODEL_TAP" in with_tap.read_bytes() and b"-DMODEL_TAP" not in image.read_bytes()
