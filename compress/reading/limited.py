"""Processes with limits, for libraries that trust what a file says of itself and crash, hang or
fill memory over a damaged one.

A `Server` is started once for each process and library. It has imported the library, and forks a
child for every file, so that a child costs milliseconds and what a bad file does to one is not seen
by another. A child ends by itself when a request takes it too long, and when its file is closed.

A library's side is a module with `serve(argument) -> answer`: `answer(request)` gives a value that
JSON can hold and an iterator of blocks of bytes. Its `Refusal` goes to whoever asked.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

HEAD = struct.Struct("<I")  # bytes of a message in JSON, which follows
LONGEST = 1 << 26  # bytes of a message
START_S = 120.0  # for a server to import its library, on a busy machine


class Refusal(Exception):
    """Why something cannot be read, in words that follow "it cannot be read: "."""


@dataclass(frozen=True)
class Limits:
    """Of a child. `memory`: bytes beside what the library takes; `cpu_s` and `wall_s`: for each
    request."""

    memory: int = 2 << 30
    cpu_s: int = 20
    wall_s: int = 120


Answer = tuple[Any, Iterable[memoryview]]


class Server:
    """Forks children that serve with a module. Safe to use from several threads; a process that
    was forked from one that has a server starts its own."""

    def __init__(self, module: str, library: str, limits: Limits | None = None):
        self.module, self.library, self.limits = module, library, limits or Limits()
        self._control: socket.socket | None = None
        self._owner = 0
        self._lock = threading.Lock()

    def open(self, argument: Any, limits: Limits | None = None) -> Child:
        """A child that serves this argument, with limits of its own if some are given."""
        ours, theirs = socket.socketpair()
        with self._lock, theirs:
            for again in (False, True):
                if self._control is None or self._owner != os.getpid() or again:
                    self._start()
                assert self._control is not None
                try:
                    socket.send_fds(self._control, [b"\0"], [theirs.fileno()])
                    break
                except OSError:  # it was ended from outside
                    if again:
                        raise
        return Child(ours, self.library, limits or self.limits, argument)

    def _start(self) -> None:
        """Start the process that forks."""
        ours, theirs = socket.socketpair()
        root = Path(__file__).parents[2]
        with theirs:
            subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    "-B",
                    __file__,
                    str(root),
                    self.module,
                    str(theirs.fileno()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "HDF5_PLUGIN_PRELOAD": "::"},
                start_new_session=True,  # Ctrl-C is for who asks
            )
        self._control, self._owner = ours, os.getpid()


class Child:
    """One process that reads one file, for the process that opened it. Refusal for what it refuses,
    and when it crashes, hangs or answers with something else than an answer."""

    def __init__(self, line: socket.socket, library: str, limits: Limits, argument: Any):
        self._line, self._library, self._limits = line, library, limits
        self._lock = threading.Lock()
        self._first = {"argument": argument} | {
            name: getattr(limits, name) for name in ("memory", "cpu_s", "wall_s")
        }
        self._begun, self._owner = False, os.getpid()

    def close(self) -> None:
        """End it."""
        self._line.close()

    def ask(self, request: Any, into: np.ndarray | None = None) -> Any:
        """Its answer to a request. The bytes that come with it must fill `into` exactly; whatever
        `into` is, they are bytes to this method."""
        if self._owner != os.getpid():
            raise Refusal("it was opened by another process")
        with self._lock:
            asked = time.monotonic()
            try:
                self._line.settimeout(self._limits.wall_s + START_S)
                if not self._begun:
                    self._begun = True
                    self._send(self._first)
                    self._answer(None)  # that it is there
                    asked = time.monotonic()
                self._send(request)
                answer = self._answer(None if into is None else _bytes_of(into))
            except (OSError, EOFError, ValueError, RecursionError) as error:
                self._line.close()
                raise Refusal(self._death(error, time.monotonic() - asked)) from error
        if "refused" in answer:
            raise Refusal(str(answer["refused"]))
        return answer.get("value")

    def _death(self, error: Exception, seconds: float) -> str:
        limits = self._limits
        if isinstance(error, TimeoutError) or seconds >= limits.cpu_s:
            return (
                f"{self._library} does not come to an end with it ({limits.cpu_s} s of processor"
                f" time, {limits.wall_s} s in all)"
            )
        return f"{self._library} crashes on it"

    def _send(self, content: Any) -> None:
        self._line.sendall(packed(content))

    def _answer(self, into: memoryview | None) -> dict[str, Any]:
        """The last message of an answer, after the blocks of bytes that come before it."""
        while True:
            (size,) = HEAD.unpack(received(self._line, HEAD.size))
            if size > LONGEST:
                raise ValueError("a message that is too long")
            answer = json.loads(received(self._line, size))
            if not isinstance(answer, dict):
                raise ValueError("a message that is no answer")
            if "refused" in answer or ("value" in answer and not into):
                return answer
            count = answer.get("bytes")
            if not into or not isinstance(count, int) or not 0 <= count <= len(into):
                raise ValueError("not as many bytes as were asked for")
            self._fill(into[:count])
            into = into[count:]

    def _fill(self, view: memoryview) -> None:
        while view:
            count = self._line.recv_into(view)
            if not count:
                raise EOFError
            view = view[count:]


def _bytes_of(array: np.ndarray) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def packed(content: Any) -> bytes:
    """A message of the line."""
    text = json.dumps(content).encode()
    return HEAD.pack(len(text)) + text


def received(line: socket.socket, size: int) -> bytes:
    """So many bytes; EOFError when the other side has gone."""
    found = bytearray()
    while len(found) < size:
        part = line.recv(min(size - len(found), 1 << 20))
        if not part:
            raise EOFError
        found += part
    return bytes(found)


# --- in the server and its children ---------------------------------------------------------------


def fork_for_ever(module: ModuleType, control: socket.socket) -> None:
    """Fork a child for each line that comes, until whoever started this has gone."""
    import signal

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for children
    while True:
        message, lines, _, _ = socket.recv_fds(control, 1, 1)
        if not message:
            return
        if os.fork() == 0:
            control.close()
            status = 1
            try:
                _serve(module, socket.socket(fileno=lines[0]))
                status = 0
            finally:
                os._exit(status)
        for line in lines:
            os.close(line)


def _serve(module: ModuleType, line: socket.socket) -> None:
    """Answer requests until the other side closes the line."""
    begin = _received(line)
    _limit_memory(begin["memory"])
    line.sendall(packed({"value": "here"}))
    answer: Callable[[Any], Answer] | None = None
    while True:
        request = _received(line)
        _limit_time(begin["cpu_s"], begin["wall_s"])
        try:
            answer = answer or module.serve(begin["argument"])
            value, blocks = answer(request)
            for block in blocks:
                _limit_time(0, 0)  # who listens may be slow
                line.sendall(packed({"bytes": len(block)}))
                line.sendall(block)
                _limit_time(begin["cpu_s"], begin["wall_s"])
            said = {"value": value}
        except Exception as error:
            said = {"refused": words_of(error)}
        _limit_time(0, 0)
        line.sendall(packed(said))


def words_of(error: Exception) -> str:
    """Of an error of a library: one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _received(line: socket.socket) -> Any:
    (size,) = HEAD.unpack(received(line, HEAD.size))
    return json.loads(received(line, size))


def _limit_memory(memory: int) -> None:
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + memory
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _limit_time(cpu_s: int, wall_s: int) -> None:
    """From now on so many seconds of processor and wall time, whatever code runs; 0: no limit."""
    import resource
    import signal

    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = int(time.process_time()) + 1 + cpu_s if cpu_s else hard
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
    signal.alarm(wall_s)


if __name__ == "__main__":
    from importlib import import_module

    sys.path.insert(0, sys.argv[1])
    fork_for_ever(import_module(sys.argv[2]), socket.socket(fileno=int(sys.argv[3])))
