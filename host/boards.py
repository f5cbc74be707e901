"""Boards: anything that answers the protocol. A process of the posix port, QEMU, or a serial port;
all are context managers."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from compress import artifacts
from export.boards import Description, load_board
from host import ports
from host.checklist import Expected
from host.conversation import Timing
from host.errors import NoBoardError, NoPortError
from host.lines import Line, PtyLine, SerialLine, SocketLine
from host.link import Link

BAUD = 921_600  # of a port whose board is not named, or whose board has no rate
WAIT_S = 30.0  # for a port that went away in the middle of a run
LOOK_S = 0.25  # between looks at which ports there are
EMULATED = Timing(
    silence_s=60.0, boot_s=60.0
)  # at the speed its machine leaves it; an emulator that dies says so at once


class Board:
    """A board with a line to it. `link` is the conversation; leaving the context ends what
    open_board() started."""

    def __init__(
        self,
        name: str,
        line: Line,
        expect_hash: str | None = None,
        timing: Timing | None = None,
        port: str = "",
        baud: int = 0,
        image: Path | None = None,
    ):
        self.name = name
        self.line = line
        self.link = Link(
            line, expect_hash, timing or Timing(), expected=Expected(name, port, baud), image=image
        )

    def close(self) -> None:
        self.line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class ProcessBoard(Board):
    """A board that is a child process. It never outlives this object, nor this process."""

    def __init__(
        self,
        name: str,
        line: Line,
        process: subprocess.Popen[bytes],
        log: IO[bytes],
        **options: object,
    ):
        super().__init__(name, line, **options)  # type: ignore[arg-type]
        self.process = process
        self._log = log
        self.link.explain = self.fate

    def kill(self) -> None:
        """As when the power goes."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        try:
            self.kill()
        finally:
            super().close()
            self._log.close()

    def fate(self) -> str:
        """In words: whether the process runs, and what it said."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(0.2)  # a line closes a little before its process has ended
        code = self.process.poll()
        state = (
            "runs"
            if code is None
            else f"ended by {signal.Signals(-code).name}"
            if code < 0
            else f"ended with code {code}"
        )
        said = self.output().strip()[:300]
        return (
            f"its process {state} and said: {said}"
            if said
            else f"its process {state} and said nothing"
        )

    def output(self) -> str:
        """What the process wrote to standard error."""
        self._log.seek(0)
        return self._log.read().decode("utf-8", "replace")


_kept: dict[tuple[str, int], SerialLine] = {}  # ports that were opened to see whether they can be


def check(name: str, port: str | None, reach: bool = False) -> None:
    """Is there a way to this board? NoBoardError, before anything long begins: its port is none,
    or it has neither a port nor an emulator. `reach`: opens the port, for the first who asks for
    it."""
    board = load_board(name)
    if port is not None:
        if (wrong := ports.no_port(port, ports.here())) is not None:
            raise NoBoardError(wrong)
        baud = board.baud or BAUD
        if reach and (port, baud) not in _kept:
            _kept[port, baud] = SerialLine(port, baud)
    elif board.emulator is None and board.prefix:
        raise NoPortError(f"{board.name} has no emulator: connect it and give its port with PORT=")


def open_board(
    name_or_port: str,
    image: Path | None = None,
    expect_hash: str | None = None,
    timing: Timing | None = None,
    port: str | None = None,
) -> Board:
    """A board by its name (`image` is its firmware.elf, or the executable of the posix port), or by
    the port it is connected to; there the image, where it is known, names the lines of its faults.

    `port`, or a first argument that is no board's name, is a device path or a pyserial URL. Errors:
    NoBoardError.
    """
    if port is not None:
        baud = load_board(name_or_port).baud or BAUD
        return _open_port(name_or_port, port, baud, expect_hash, timing, image)
    if "/" in name_or_port:
        return _open_port("", name_or_port, BAUD, expect_hash, timing, image)
    board = load_board(name_or_port)
    _check_kept(image)
    if image is None or not image.is_file():
        raise NoBoardError(
            f"{board.name}: expected an image to run, found {image}; run make firmware"
            f" BOARD={board.name}"
        )
    if board.emulator is not None:
        return open_emulator(board, image, expect_hash, timing)
    check(name_or_port, port)
    return open_process(image, expect_hash, timing)


def _check_kept(image: Path | None) -> None:
    """NoBoardError for an image with a record of what was built that is not that any more."""
    wrong = artifacts.damage(image) if image and artifacts.sealed(image) else ""
    if wrong:
        raise NoBoardError(f"{wrong}; it is not run: make firmware builds it again")


class Reconnect:
    """Opens a board, and again after it was lost. What is behind its port is then waited for, by
    its USB serial number where it has one: it may come back later, and under another name."""

    def __init__(
        self,
        open_at: Callable[[str | None], Board],
        port: str | None,
        wait_s: float = WAIT_S,
        say: Callable[[str], None] = print,
    ):
        self.port, self._open_at, self._wait_s, self._say = port, open_at, wait_s, say
        self._before: ports.Port | None = None
        self._opened = False

    def __call__(self) -> Board:
        """NoBoardError: it is not there, or did not come back in time."""
        board = self._again(self.port) if self._opened and self.port else self._open_at(self.port)
        if self.port is not None and not ports.is_url(self.port):
            self._before = ports.behind(self.port, ports.here()) or self._before
        self._opened = True
        return board

    def _again(self, name: str) -> Board:
        begin, said, why = time.monotonic(), False, ""
        while time.monotonic() - begin < self._wait_s:
            now = ports.where_now(name, self._before, ports.here())
            if now is not None:
                try:
                    return self._meet(name, now)
                except NoBoardError as error:
                    why = str(error)
            if not said:
                self._say(f"waiting for {name} for up to {self._wait_s:g} s")
            said = True
            time.sleep(LOOK_S)
        raise NoBoardError(
            f"{name} did not come back within {self._wait_s:g} s; ports are:"
            f" {ports.listed(ports.here())}" + (f"\n{why}" if why else "")
        )

    def _meet(self, name: str, now: str) -> Board:
        """A port may be there before its board answers."""
        board = self._open_at(now)
        try:
            board.link.handshake()
        except BaseException:
            board.close()
            raise
        if now != name:
            self._say(f"what was {name} is {now} now, by its USB serial number")
        self.port = now
        return board


def _open_port(
    board: str,
    port: str,
    baud: int,
    expect_hash: str | None,
    timing: Timing | None,
    image: Path | None,
) -> Board:
    line = _kept.pop((port, baud), None) or SerialLine(port, baud)
    return Board(board, line, expect_hash, timing, port, baud, image)


def open_process(
    image: Path,
    expect_hash: str | None = None,
    timing: Timing | None = None,
    use_pty: bool = False,
    environment: dict[str, str] | None = None,
) -> ProcessBoard:
    """The posix port; its line is a socket pair, or a pty."""
    log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed with the board
    command, variables = [str(image.resolve())], {**os.environ, **(environment or {})}
    if use_pty:
        pty = PtyLine()
        process = _start(command, log, env=variables, stdin=pty.slave, stdout=pty.slave)
        return ProcessBoard("posix", pty, process, log, expect_hash=expect_hash, timing=timing)
    ours, theirs = socket.socketpair()
    with theirs:
        process = _start(command, log, env=variables, stdin=theirs, stdout=theirs)
    return ProcessBoard(
        "posix",
        SocketLine(ours, f"process {image.name}"),
        process,
        log,
        expect_hash=expect_hash,
        timing=timing,
    )


def open_emulator(
    board: Description,
    image: Path,
    expect_hash: str | None = None,
    timing: Timing | None = None,
    extra: list[str] | None = None,
) -> ProcessBoard:
    """QEMU with the board's image; its USART1 is a socket pair, so nothing listens and nothing is
    left behind."""
    assert board.emulator is not None
    program = shutil.which(board.emulator.command)
    if program is None:
        raise NoBoardError(
            f"{board.name}: {board.emulator.command} is not installed; run make tools, or connect a"
            " board and give PORT="
        )
    log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed with the board
    ours, theirs = socket.socketpair()
    with theirs:
        chardev = ["-chardev", f"socket,id=line,fd={theirs.fileno()}", "-serial", "chardev:line"]
        command = [
            *_on_one_core(),
            program,
            *board.emulator.arguments,
            "-kernel",
            str(image.resolve()),
            *chardev,
            *(extra or []),
        ]
        process = _start(
            command, log, stdin=subprocess.DEVNULL, stdout=log, pass_fds=(theirs.fileno(),)
        )
    return ProcessBoard(
        board.name,
        SocketLine(ours, f"{board.name} in QEMU"),
        process,
        log,
        expect_hash=expect_hash,
        timing=timing or EMULATED,
        image=image,
    )


def _on_one_core() -> list[str]:
    """Words that keep a command on one core: on two, QEMU's threads take its lock from each other
    and the UART gets 6 to 9 kB/s instead of 25 to 32 (measured, 7.2). Emulators of different
    processes get different cores."""
    if shutil.which("taskset") is None or not hasattr(os, "sched_getaffinity"):
        return []
    cores = sorted(os.sched_getaffinity(0))
    return ["taskset", "--cpu-list", str(cores[os.getpid() % len(cores)])]


def _start(command: list[str], log: IO[bytes], **options: object) -> subprocess.Popen[bytes]:
    """A child that ends with the thread that called, however that ends: the kernel kills it
    (setpriv is part of util-linux)."""
    guard = shutil.which("setpriv")
    command = [guard, "--pdeathsig", "KILL", "--", *command] if guard else command
    try:
        return subprocess.Popen(command, stderr=log, **options)  # type: ignore[call-overload,no-any-return]
    except OSError as error:
        raise NoBoardError(f"{command[0]}: cannot be started: {error.strerror}") from error
