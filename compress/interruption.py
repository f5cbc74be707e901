"""How a command ends that is interrupted or terminated, at any moment: with one line and no
traceback. Imported before all that is slow to import."""

from __future__ import annotations

import contextlib
import os
import signal
from types import FrameType

SAYS = "{}; nothing half-written was left, and the same command can be repeated\n"
_WORDS = {
    signal.SIGINT: "interrupted",
    signal.SIGTERM: "terminated",
    signal.SIGHUP: "ended with its terminal",
}
_came: list[int] = []  # signals


class _Interrupt(KeyboardInterrupt):
    """A KeyboardInterrupt itself that passes through `exec` on its way, as of a dataclass that is
    being imported, makes Python end by a signal and not with the exit code that it is given."""


def begin() -> None:
    """While a program is imported: a signal ends it at once. Nothing has been written yet."""
    for number in _WORDS:
        if signal.getsignal(number) != signal.SIG_IGN:  # as behind nohup
            signal.signal(number, _leave)


def running() -> None:
    """From here on a signal raises KeyboardInterrupt, so that what was begun is put away; where
    `begin` was called, else as it was."""
    _replace(_leave, _raise)


def ending() -> None:
    """Once a command is over, another signal ends what is left of the process."""
    _replace(_raise, _leave)


def came() -> bool:
    """Whether a signal raised, whatever became of its exception on the way."""
    return bool(_came)


def code() -> int:
    """Says that the command ends, and returns its exit code."""
    number = _came[0] if _came else signal.SIGINT
    _say(number)
    return 128 + number


def _replace(old: object, new: object) -> None:
    for number in _WORDS:
        if signal.getsignal(number) is old:
            signal.signal(number, new)  # type: ignore[arg-type]


def _leave(number: int, frame: FrameType | None) -> None:
    if not _came:
        _say(number)
    os._exit(128 + number)


def _raise(number: int, frame: FrameType | None) -> None:
    _came.append(number)
    raise _Interrupt


def _say(number: int) -> None:
    with contextlib.suppress(OSError):  # its terminal may be gone
        os.write(2, SAYS.format(_WORDS[signal.Signals(number)]).encode())
