"""Lines: a way for bytes to a board and back. When the other end is gone, they raise LineClosed."""

from __future__ import annotations

import os
import pty
import select
import socket
import termios
import tty
from pathlib import Path
from typing import Any, Protocol

import serial

from host import checklist
from host.errors import LinkError, NoBoardError

STUCK_S = 5.0  # the longest a line may refuse to take a byte


class LineClosed(LinkError):
    """The other end of the line is gone: the process ended, the cable was pulled, the peer hung
    up."""


class Line(Protocol):
    """Bytes both ways."""

    name: str

    def receive(self, timeout_s: float) -> bytes:
        """What has arrived; waits up to `timeout_s` for the first byte, then b""."""

    def send(self, content: bytes) -> None:
        """All of it."""

    def close(self) -> None:
        """Idempotent."""


class SocketLine:
    """A connected stream socket; one end of a pair for a process."""

    def __init__(self, connection: socket.socket, name: str):
        self.name = name
        self._socket = connection

    def receive(self, timeout_s: float) -> bytes:
        try:
            ready, _, _ = select.select([self._socket], [], [], timeout_s)
            content = self._socket.recv(65536) if ready else None
        except (OSError, ValueError) as error:
            raise LineClosed(f"{self.name}: {error}") from error
        if content == b"":
            raise LineClosed(f"{self.name}: the other end closed the line")
        return content or b""

    def send(self, content: bytes) -> None:
        _write_all(self._socket.fileno(), content, self.name)

    def close(self) -> None:
        self._socket.close()


class PtyLine:
    """The master side of a pseudo terminal in raw mode; `path` is what a serial port would be
    called."""

    def __init__(self) -> None:
        self._master, self.slave = pty.openpty()
        tty.setraw(self.slave, termios.TCSANOW)
        self.path = os.ttyname(self.slave)
        self.name = f"pty {self.path}"

    def receive(self, timeout_s: float) -> bytes:
        try:
            ready, _, _ = select.select([self._master], [], [], timeout_s)
            return os.read(self._master, 65536) if ready else b""
        except (OSError, ValueError) as error:
            raise LineClosed(f"{self.name}: {error}") from error

    def send(self, content: bytes) -> None:
        _write_all(self._master, content, self.name)

    def close(self) -> None:
        for descriptor in (self._master, self.slave):
            if descriptor >= 0:
                os.close(descriptor)
        self._master = self.slave = -1


class SerialLine:
    """A serial port through pyserial: a device path, or a URL such as socket://host:port."""

    def __init__(self, url: str, baud: int):
        self.name = url
        is_device = "://" not in url
        if is_device and not Path(url).exists():
            found = checklist.ports()
            raise NoBoardError(checklist.missing(found).lines(f"{url}: no such port", found))
        options: dict[str, Any] = (
            {"exclusive": True} if is_device else {}
        )  # two readers of one port would share its bytes out
        try:
            self._port = serial.serial_for_url(
                url, baudrate=baud, timeout=0, write_timeout=STUCK_S, **options
            )
        except (serial.SerialException, ValueError, OSError) as error:
            finding = checklist.refused(url, error, checklist.holders(url) if is_device else [])
            raise NoBoardError(
                finding.lines(f"{url}: cannot be opened", checklist.ports())
            ) from error

    def receive(self, timeout_s: float) -> bytes:
        try:
            self._port.timeout = timeout_s
            first = self._port.read(1)
            self._port.timeout = 0
            return bytes(first + self._port.read(65536)) if first else b""
        except (serial.SerialException, OSError, TypeError) as error:
            raise LineClosed(f"{self.name}: {error}") from error

    def send(self, content: bytes) -> None:
        try:
            self._port.write(content)
        except (serial.SerialException, OSError) as error:
            raise LineClosed(f"{self.name}: {error}") from error

    def close(self) -> None:
        self._port.close()


def _write_all(descriptor: int, content: bytes, name: str) -> None:
    """Blocks no longer than STUCK_S at a time: a board that hangs must not hang the host."""
    try:
        while content:
            _, ready, _ = select.select([], [descriptor], [], STUCK_S)
            if not ready:
                raise LineClosed(f"{name}: takes no more bytes since {STUCK_S:g} s")
            content = content[os.write(descriptor, content[:512]) :]
    except (OSError, ValueError) as error:
        raise LineClosed(f"{name}: {error}") from error
