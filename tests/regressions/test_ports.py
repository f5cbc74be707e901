"""PORT=: what is no serial port is named for what it is, in a line with the ports there are; a port
that goes away comes back, later or under another name."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import serial
import serial.tools.list_ports

from bench.profile import command as profile
from bench.profile import measured
from bench.tendon import main as tendon
from compress.artifacts import Folder
from compress.graph.samples import Signal, to_int16
from compress.quantization.calibrate import observe
from compress.quantization.quantize import quantize
from export import build
from export.boards import load_board
from host import board_diagnosis, ports, tap
from host.boards import Board, Reconnect, open_board
from host.conversation import Timing
from host.engines import Artifacts
from host.errors import BoardLostError, NoBoardError
from host.lines import PtyLine, SerialLine
from host.ports import Port
from host.resume import to_end
from host.run import Run
from tests import toy
from tests.compress import test_networks as small
from tests.host.bridge import Bridge

BRIEF = Timing(answer_s=0.02, boot_s=0.1)
ST_LINK, PC = Port("/dev/ttyACM0", "ST-LINK/V2-1", "066AFF", "1.2"), Port("/dev/ttyS0", "")


def refusal(port: str) -> str:
    """What PORT= says."""
    with pytest.raises(NoBoardError) as error:
        open_board("nucleo-f446re", port=port, timing=BRIEF)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def with_st_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "here", lambda: [ST_LINK, PC])


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda path: path.write_text("localhost"), "a file"),
        (lambda path: path.mkdir(), "a folder"),
        (lambda path: os.mkfifo(path), "a pipe"),
        (lambda path: socket.socket(socket.AF_UNIX).bind(str(path)), "a socket of this machine"),
        (lambda path: path.symlink_to("/dev/null"), "a device"),
        (lambda path: path.symlink_to("/dev/zero"), "a device"),
    ],
)
def test_what_is_no_port_is_said_and_which_ports_there_are(
    make: Callable[[Path], object], kind: str, tmp_path: Path, with_st_link: None
) -> None:
    path = tmp_path / "a port"
    make(path)
    assert refusal(str(path)) == (
        f"{path} is {kind}, not a serial port; ports are: /dev/ttyACM0 (ST-LINK/V2-1), /dev/ttyS0"
        " (no USB device); give PORT=/dev/ttyACM0, an ST-LINK/V2-1"
    )


@pytest.mark.parametrize(
    "words",
    [
        ["hil", "--board", "nucleo-f446re"],
        ["demo", "--board", "virtual-f405"],
        ["profile", "--board", "nucleo-f446re"],
        ["crosscheck"],
        ["diagnose", "--board", "nucleo-f446re"],
        ["infer", "--engine", "nucleo-f446re", "--input", "a", "--output", "b.npy"],
        ["flash", "--board", "nucleo-f446re"],
    ],
)
def test_every_command_says_so_before_it_makes_anything(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build = tmp_path / "build"
    assert tendon([*words, "--build", str(build), "--port", str(tmp_path)]) == 1
    assert f"error: {tmp_path} is a folder, not a serial port" in capsys.readouterr().err
    assert {file.name for file in build.glob("*")} <= {".locks"}


def test_a_chip_without_a_port_is_told_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tendon(["hil", "--board", "nucleo-f446re", "--build", str(tmp_path / "b")]) == 2
    assert "connect it and give its port with PORT=" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["/dev/ttyNONE7", "no/such", "/etc/hostname/tty", ""])
def test_a_name_of_nothing_is_no_port(name: str, with_st_link: None) -> None:
    assert refusal(name).startswith(f"{name}: no such port; ports are: /dev/ttyACM0")


def test_a_name_without_its_folder_is_recognized(with_st_link: None) -> None:
    assert refusal("ttyS0").endswith("; give PORT=/dev/ttyS0")


def test_nothing_plugged_in_says_what_to_plug_in(monkeypatch: pytest.MonkeyPatch) -> None:
    for found in ([], [PC]):
        monkeypatch.setattr(ports, "here", lambda found=found: found)
        assert "cable that carries data" in refusal("/dev/ttyNONE7")


def test_the_terminal_of_the_command_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    line = PtyLine()
    monkeypatch.setattr(os, "ttyname", lambda number: line.path)
    assert "is the terminal of this command, not a serial port" in refusal(line.path)
    line.close()


def test_a_url_says_what_is_missing_at_its_other_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    for scheme in ("socket", "rfc2217"):
        said = refusal(f"{scheme}://127.0.0.1:{closed}")
        assert f"nothing listens at 127.0.0.1:{closed}" in said and "unplug" not in said
    for incomplete in ("socket://", "socket://127.0.0.1", "socket://:x", "foo://bar", "file:///a"):
        assert "socket://host:port or rfc2217://host:port" in refusal(incomplete)


def test_a_machine_that_is_not_known_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", unknown)
    assert "no machine of this name is known" in refusal("socket://nosuch:5")


def test_a_port_without_permission_names_the_group(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise serial.SerialException(errno.EACCES, "could not open port: Permission denied")

    line = PtyLine()
    monkeypatch.setattr(serial, "serial_for_url", forbidden)
    monkeypatch.setattr(ports.grp, "getgrgid", lambda _: SimpleNamespace(gr_name="dialout"))
    assert "belongs to group dialout; sudo usermod -a -G dialout $USER" in refusal(line.path)
    line.close()


def test_a_port_in_use_names_who_has_it() -> None:
    """Another host of the same port would get a part of the bytes: it is refused, not shared."""
    line = PtyLine()
    holder = "import sys; from host.lines import SerialLine; l = SerialLine(sys.argv[1], 921600)"
    process = subprocess.Popen(
        [sys.executable, "-c", f"{holder}; print('open', flush=True); sys.stdin.read()", line.path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None and process.stdout.readline() == b"open\n"
        said = refusal(line.path)
        assert f"in use by python (process {process.pid}); close that program" in said
        process.kill()
    SerialLine(line.path, 921_600).close()  # whoever was killed keeps nothing
    line.close()


def test_a_port_that_another_reads_without_a_lock_is_in_use_too() -> None:
    """As by `cat /dev/ttyUSB0`. Whoever is at the other end of a pseudo terminal is no reader."""
    line = PtyLine()
    with open(line.path, "rb", buffering=0) as port:
        process = subprocess.Popen(["sleep", "60"], stdin=port)
    with process:
        assert f"in use by sleep (process {process.pid})" in refusal(line.path)
        process.kill()
    SerialLine(line.path, 921_600).close()
    line.close()


def test_a_line_that_is_its_own_echo_is_told() -> None:
    with (
        open_board("nucleo-f446re", port="loop://", timing=BRIEF) as board,
        pytest.raises(NoBoardError, match=r"came back as they were sent.*\n.*\n.*\n.*loop-back"),
    ):
        board.link.handshake()


def test_ports_are_named_by_what_is_behind_them(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = [
        SimpleNamespace(device="/dev/ttyS0", vid=None, pid=None),
        SimpleNamespace(device="/dev/ttyUSB3", vid=0x1A86, pid=0x7523),
        SimpleNamespace(device="/dev/ttyACM1", vid=0x0483, pid=0x374E),
        SimpleNamespace(device="/dev/ttyACM0", vid=0x0483, pid=0x3752),
        SimpleNamespace(device="/dev/ttyACM2", vid=0x2341, pid=0x0043),
    ]
    monkeypatch.setattr(serial.tools.list_ports, "comports", lambda: seen)
    assert {port.device: port.kind for port in ports.here()} == {
        "/dev/ttyACM0": "ST-LINK/V2-1",
        "/dev/ttyACM1": "STLINK-V3",
        "/dev/ttyACM2": "USB device 2341:0043",
        "/dev/ttyUSB3": "CH340 adapter",
        "/dev/ttyS0": "",
    }


def test_a_file_that_is_closed_while_it_is_looked_at_hides_no_other(tmp_path: Path) -> None:
    device, files = tmp_path / "tty", tmp_path / "proc" / "123" / "fd"
    device.touch()
    files.mkdir(parents=True)
    (files.parent / "comm").write_text("minicom\n")
    (files / "4").symlink_to(device)
    for closed in ("3", "5"):
        (files / closed).touch()  # no link: cannot be read as one
    assert ports.holders(str(device), tmp_path / "proc") == ["minicom (process 123)"]


# --- ports that come back -------------------------------------------------------------------------


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Bridge]:
    with Bridge(toy.posix_image(), tmp_path / "port") as bridge:
        yield bridge


def run_over(
    bridge: Bridge, lose: Callable[[], None], wait_s: float = 20.0
) -> tuple[Run, list[str]]:
    """A run whose port is lost at its fourth frame, and what is said meanwhile."""
    content, said = toy.samples(9, seed=8), []
    run = Run(content, snapshot_every=2)

    def open_at(where: str | None) -> Board:
        return open_board(str(where), expect_hash=toy.MODEL_HASH, timing=toy.QUICK)

    def at_fourth(frame: int, *_: object) -> None:
        if frame == 3:
            lose()

    again = Reconnect(open_at, str(bridge.link), wait_s, said.append)
    board = again()
    board.link.handshake()
    to_end(run, board, again, at_fourth, said.append).close()
    np.testing.assert_array_equal(np.array(run.outputs), toy.run(content))
    return run, said


def test_a_port_that_is_gone_for_a_second_is_waited_for_and_its_frames_are_kept(
    bridge: Bridge,
) -> None:
    run, said = run_over(bridge, lambda: bridge.unplug(1.0))
    assert run.resumed == 1
    assert "frames are kept" in said[0] and f"waiting for {bridge.link} for up to 20 s" in said[1:]


def test_a_port_that_comes_back_under_another_name_is_known_by_its_serial_number(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And another device that has taken the old name is left alone."""
    other, moved = PtyLine(), tmp_path / "ttyACM7"
    now = [Port(str(bridge.link), "ST-LINK/V2-1", "066AFF", "1.2")]
    monkeypatch.setattr(ports, "here", lambda: list(now))

    def lose() -> None:
        old, bridge.link = bridge.link, moved
        bridge.unplug(0.5)
        old.symlink_to(other.path)
        now[:] = [
            Port(str(old), "ST-LINK/V2-1", "0777", "1.2"),
            Port(str(moved), "ST-LINK/V2-1", "066AFF", "1.0"),
            Port(str(moved), "ST-LINK/V2-1", "066AFF", "1.2"),
        ]

    old = bridge.link
    _, said = run_over(bridge, lose)
    assert f"what was {old} is {moved} now, by its USB serial number" in said
    other.close()


def test_a_port_that_does_not_come_back_is_given_up_after_the_stated_time(bridge: Bridge) -> None:
    with pytest.raises(NoBoardError, match=r"port did not come back within 0\.5 s; ports are: "):
        run_over(bridge, lambda: bridge.unplug(None), 0.5)


@pytest.fixture(scope="module")
def tapped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifacts, Signal, Path]:
    """A small network, a signal of a few steps, and its image with a tap."""
    toy.need("gcc", "make")
    real = small.lower(small.network())
    integer = quantize(real, observe(real, [small.signal(20_000)]), "w8a16")
    folder = Folder(tmp_path_factory.mktemp("tapped"), "small", "w8a16")
    made = Artifacts(folder, folder.build / "none.ckpt", real, integer)
    signal = Signal(small.signal(6 * integer.samples_per_step))
    return made, signal, build.make_tap_image(integer, folder, "posix")


@pytest.fixture
def unplugged_once(
    tapped: tuple[Artifacts, Signal, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bridge]:
    """A port that is gone for a second after the third step."""
    walk, left = tap.walk, [1.0]
    with Bridge(tapped[2], tmp_path / "port") as bridge:

        def losing(*given: Any, **named: Any) -> Iterator[tap.Step]:
            for number, step in enumerate(walk(*given, **named)):
                if number == 3 and left:
                    bridge.unplug(left.pop())
                yield step

        monkeypatch.setattr(tap, "walk", losing)
        yield bridge
        assert not left


def test_a_board_that_is_diagnosed_may_be_gone_for_a_second(
    tapped: tuple[Artifacts, Signal, Path],
    unplugged_once: Bridge,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made, signal, _ = tapped
    report = board_diagnosis.run(made, "posix", str(unplugged_once.link), signal)
    assert report["equal"] and report["steps"] == 6
    assert "connecting again, and from the first step on" in capsys.readouterr().err


def test_a_board_that_is_profiled_may_be_gone_for_a_second(
    tapped: tuple[Artifacts, Signal, Path],
    unplugged_once: Bridge,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made, signal, _ = tapped
    monkeypatch.setitem(measured.CYCLES_ARE, "nothing", "of a process, which has no counter")
    samples = to_int16(made.integer, np.asarray(signal.samples))
    board, port = load_board("posix"), str(unplugged_once.link)
    found = profile.over_the_line(made, board, port, samples)
    assert found.steps == 6 and found.counted == 0
    assert "connecting again, and from the first step on" in capsys.readouterr().err


def test_a_url_is_waited_for_too() -> None:
    """A bridge of the network whose board was reset listens again a little later."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        where = server.getsockname()[1]
    tries: list[str | None] = []

    def open_at(name: str | None) -> Board:
        tries.append(name)
        if len(tries) < 3:
            return open_board("nucleo-f446re", port=name, timing=BRIEF)
        raise BoardLostError("enough")

    again = Reconnect(open_at, f"socket://127.0.0.1:{where}", 5.0, lambda _: None)
    again._opened = True
    with pytest.raises(BoardLostError, match="enough"):
        again()
    assert len(tries) == 3
