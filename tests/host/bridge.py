"""A pseudo terminal in front of the posix firmware, as a USB adapter is in front of a board: it can
be unplugged."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import socket
import subprocess
import threading
import time
import tty
from pathlib import Path
from typing import Self


class Bridge:
    """`link` is the port's name: it may be changed while the bridge is unplugged."""

    def __init__(self, image: Path, link: Path):
        self.image, self.link = image, link
        self._away: list[float | None] = []
        self._ended = threading.Event()
        self._gone = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(10)

    def unplug(self, away_s: float | None) -> None:
        """The port vanishes, and the board with it; after `away_s` seconds both are back. None:
        they stay away."""
        self._gone.clear()
        self._away.append(away_s)
        self._gone.wait(10)

    def _serve(self) -> None:
        while not self._ended.is_set():
            self._plugged_in()
            if not self._away:
                return
            away_s = self._away.pop()
            if away_s is None:
                return
            time.sleep(away_s)

    def _plugged_in(self) -> None:
        master, slave = pty.openpty()
        tty.setraw(slave)
        link = self.link
        link.symlink_to(os.ttyname(slave))
        ours, theirs = socket.socketpair()
        with ours, theirs:
            process = subprocess.Popen([self.image], stdin=theirs, stdout=theirs)
            self._ready.set()
            self._pass_on(master, ours)
            process.kill()
            process.wait()
        os.close(master)
        os.close(slave)
        link.unlink()
        self._gone.set()

    def _pass_on(self, master: int, board: socket.socket) -> None:
        while not self._ended.is_set() and not self._away:
            ready, _, _ = select.select([master, board], [], [], 0.02)
            with contextlib.suppress(OSError):
                if master in ready:
                    board.sendall(os.read(master, 4096))
                if board in ready:
                    os.write(master, board.recv(4096))
