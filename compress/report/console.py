"""Standard output and error whatever they are: of an encoding that lacks some of our signs, closed,
a pipe whose reader has gone, a disk that is full."""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import os
import sys
from typing import BinaryIO, TextIO, cast

from compress.errors import TendonError

PLAIN = {  # where an encoding has no such sign; what else it lacks is written as an escape
    "…": "...",
    "–": "-",
    "—": "-",
    "─": "-",
    "→": "->",
    "×": "x",
    "·": "*",
    "≥": ">=",
    "≤": "<=",
    "−": "-",
    "°": " deg",
    "µ": "u",
    "α": "alpha",
}
_ERRORS = "tendon.plain"


class OutputError(TendonError):
    """What a command says cannot be written."""


class _Output(io.FileIO):
    """A descriptor of ours. What nobody reads any more is dropped: the command goes on to its
    end."""

    lost = False

    def write(self, content: object) -> int:
        """As of a file. OutputError once, for whatever else a descriptor refuses."""
        size = memoryview(content).nbytes  # type: ignore[arg-type]
        if self.lost:
            return size
        try:
            return super().write(content) or 0  # type: ignore[arg-type]
        except OSError as error:
            self.lost = True
            if error.errno == errno.EPIPE:
                return size
            raise OutputError(
                f"what this command says cannot be written: {error.strerror}"
            ) from error


def prepare() -> None:
    """Once, before a command says anything. Streams that somebody has put in place of the
    process's own stay as they are."""
    codecs.register_error(_ERRORS, _plain)
    _open_what_is_closed()
    sys.stdout = _ours(sys.stdout, 1)
    sys.stderr = _ours(sys.stderr, 2)


def end_bars() -> None:
    """Before an error is said: progress bars end, and with them their line."""
    tqdm = sys.modules.get("tqdm")
    for bar in tuple(getattr(tqdm and tqdm.tqdm, "_instances", ())):
        bar.close()


def _ours(stream: TextIO | None, descriptor: int) -> TextIO:
    """The stream that writes to a descriptor, with the encoding and buffering of the one that did;
    another stays."""
    if stream is None:  # it was closed
        return _over(descriptor, "utf-8", True, True)
    if type(stream) is not io.TextIOWrapper or not _is_plain(stream, descriptor):
        return stream
    with contextlib.suppress(OSError):
        stream.flush()
    buffered = isinstance(stream.buffer, io.BufferedWriter)
    return _over(descriptor, stream.encoding, stream.line_buffering, buffered)


def _over(descriptor: int, encoding: str, lines: bool, buffered: bool) -> TextIO:
    raw = _Output(descriptor, "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw) if buffered else cast(BinaryIO, raw),
        encoding=encoding,
        errors=_ERRORS,
        line_buffering=lines,
        write_through=not buffered,
    )


def _is_plain(stream: io.TextIOWrapper, descriptor: int) -> bool:
    """Whether it writes to this descriptor, and is none of ours."""
    raw = getattr(stream.buffer, "raw", stream.buffer)
    return type(raw) is io.FileIO and raw.fileno() == descriptor


def _open_what_is_closed() -> None:
    """Else the next file that is opened would take the place of standard output, with all that is
    said in it."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
            os.set_inheritable(descriptor, True)


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Of a file's name the bytes that are no text, of signs what stands for them."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_written, error.object[error.start : error.end])), error.end


def _written(sign: str) -> str:
    if "\udc80" <= sign <= "\udcff":
        return f"\\x{ord(sign) - 0xDC00:02x}"
    return PLAIN.get(sign, sign.encode("ascii", "backslashreplace").decode("ascii"))
