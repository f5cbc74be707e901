"""Lines: a way for bytes to a board and back. When the other end is gone, they raise LineClosed."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import socket
import termios
import tty
from typing import Any, Protocol

import serial

from host import ports
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
        if (wrong := ports.no_port(url, ports.here())) is not None:
            raise NoBoardError(wrong)
        # two readers of one port would share its bytes out
        options: dict[str, Any] = {} if ports.is_url(url) else {"exclusive": True}
        try:
            self._port = serial.serial_for_url(
                url, baudrate=baud, timeout=0, write_timeout=STUCK_S, **options
            )
            self._keep_others_out()
        except (serial.SerialException, ValueError, OSError, termios.error) as error:
            raise NoBoardError(ports.refused(url, error, ports.here())) from error
        if (taken := ports.taken(url)) is not None:
            self.close()
            raise NoBoardError(taken)

    def _keep_others_out(self) -> None:
        """The lock above is one that programs ask for; this one they meet. A pseudo terminal keeps
        it for as long as its other end lives, also when this process was killed."""
        if not ports.is_url(self.name) and not os.path.realpath(self.name).startswith("/dev/pts/"):
            fcntl.ioctl(self._port.fileno(), termios.TIOCEXCL)

    def receive(self, timeout_s: float) -> bytes:
        try:
            self._port.timeout = timeout_s
            first = self._port.read(1)
            self._port.timeout = 0
            return bytes(first + self._port.read(65536)) if first else b""
        except (serial.SerialException, OSError, TypeError) as error:
            raise self._closed(error) from error

    def send(self, content: bytes) -> None:
        try:
            self._port.write(content)
        except (serial.SerialException, OSError) as error:
            raise self._closed(error) from error

    def _closed(self, error: Exception) -> LineClosed:
        gone = not ports.is_url(self.name) and not os.path.exists(self.name)
        return LineClosed(f"{self.name}: {'the port is gone' if gone else error}")

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
