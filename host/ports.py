"""Serial ports: which there are, what a name stands for that is none, who has one open, and where
one is that came back under another name."""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import re
import socket
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import serial.tools.list_ports

ST_LINK = {  # product ids of vendor 0483
    0x3744: "ST-LINK/V1, which has no serial port",
    0x3748: "ST-LINK/V2, which has no serial port",
    0x374B: "ST-LINK/V2-1",
    0x3752: "ST-LINK/V2-1",
    0x374E: "STLINK-V3",
    0x374F: "STLINK-V3",
    0x3753: "STLINK-V3",
    0x3754: "STLINK-V3",
}
ADAPTERS = {
    0x0403: "FTDI adapter",
    0x10C4: "CP210x adapter",
    0x1A86: "CH340 adapter",
    0x067B: "PL2303 adapter",
}
URLS = "socket://host:port or rfc2217://host:port"
KINDS = (  # of what is no serial port
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISREG, "a file"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket of this machine"),
    (stat.S_ISBLK, "a disk"),
)
MASTERS = ("/dev/ptmx", "/dev/pts/ptmx")
NOTHING_PLUGGED_IN = (
    "connect the board by the USB connector of its debugger with a cable that carries data, and"
    " look again; in a virtual machine or container pass the device through"
)


@dataclass(frozen=True)
class Port:
    """A serial port of this machine. `kind`: the debugger or adapter behind it, by its USB ids; ""
    when unknown. `serial` and `interface`, of USB, tell it from all others whatever its name."""

    device: str
    kind: str
    serial: str = ""
    interface: str = ""


def here() -> list[Port]:
    """The serial ports of this machine; debuggers and adapters first."""
    found = [
        Port(c.device, _kind(c.vid, c.pid), _text(c, "serial_number"), _interface(c))
        for c in serial.tools.list_ports.comports()
    ]
    return sorted(found, key=lambda port: (not port.kind, port.device))


def _text(port: object, name: str) -> str:
    return getattr(port, name, None) or ""


def _interface(port: object) -> str:
    """Of an adapter with several ports: "1.2" of the place "3-4.1:1.2"."""
    return _text(port, "location").partition(":")[2]


def _kind(vendor: int | None, product: int | None) -> str:
    if vendor is None or product is None:
        return ""
    if vendor == 0x0483:
        return ST_LINK.get(product, f"STMicroelectronics device {product:04x}")
    return ADAPTERS.get(vendor, f"USB device {vendor:04x}:{product:04x}")


def listed(found: list[Port]) -> str:
    """Serial ports by name."""
    return ", ".join(f"{p.device} ({p.kind or 'no USB device'})" for p in found) or "none"


# --- a name that is no port -----------------------------------------------------------------------


def is_url(name: str) -> bool:
    return "://" in name


def no_port(name: str, found: list[Port]) -> str | None:
    """Why nothing of this name can be opened as a serial port, in a line; None: it may be one."""
    if is_url(name):
        return None if _is_complete(name) else f"{name}: expected {URLS}"
    try:
        mode = os.stat(name).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return f"{name}: no such port; {_choice(name, found)}"
    except OSError as error:
        return f"{name}: {error.strerror}; {_choice(name, found)}"
    kind = next((said for is_kind, said in KINDS if is_kind(mode)), None)
    if kind is None and _is_own_terminal(name):
        kind = "the terminal of this command"
    if kind is None and os.path.realpath(name) in MASTERS:
        kind = "the maker of pseudo terminals"
    return None if kind is None else _is_none(name, kind, found)


def _is_complete(url: str) -> bool:
    """Does it say a machine and a number, where it has to?"""
    try:
        parts = urlsplit(url)
        return parts.scheme not in ("socket", "rfc2217") or bool(parts.hostname and parts.port)
    except ValueError:
        return False


def _is_none(name: str, kind: str, found: list[Port]) -> str:
    return f"{name} is {kind}, not a serial port; {_choice(name, found)}"


def _choice(name: str, found: list[Port]) -> str:
    """The ports there are, and the one that is likely meant."""
    if not found:
        return f"ports are: none; {NOTHING_PLUGGED_IN}"
    likely = [p for p in found if Path(p.device).name == name] or [p for p in found if p.kind]
    if not likely:
        return f"ports are: {listed(found)}; {NOTHING_PLUGGED_IN}"
    which = f", an {likely[0].kind}" if likely[0].kind else ""
    return f"ports are: {listed(found)}; give PORT={likely[0].device}{which}"


def _is_own_terminal(name: str) -> bool:
    for number in (0, 1, 2):
        with contextlib.suppress(OSError):
            if os.path.samefile(os.ttyname(number), name):
                return True
    return os.path.realpath(name) == "/dev/tty"


def refused(name: str, error: Exception, found: list[Port]) -> str:
    """Why a port, or what a URL names, did not open, and what to do, in a line."""
    return _refused_url(name, error) if is_url(name) else _refused_device(name, error, found)


def _refused_device(name: str, error: Exception, found: list[Port]) -> str:
    number = _number(error)
    if number in (errno.EACCES, errno.EPERM):
        group = _group(name)
        return (
            f"{name}: you may not open it, it belongs to group {group}; sudo usermod -a -G"
            f" {group} $USER, then log out and in again"
        )
    if number in (errno.EBUSY, errno.EAGAIN):
        return _in_use(name, holders(name))
    if number == errno.ENOTTY:
        return _is_none(name, "a device", found)
    if number in (errno.EIO, errno.ENXIO, errno.ENODEV):
        return f"{name}: there is nothing behind this port any more; {_choice(name, found)}"
    return f"{name}: cannot be opened: {_words(error)}; {_choice(name, found)}"


def _in_use(name: str, who: list[str]) -> str:
    by = ", ".join(who) or "a process of another user (sudo fuser -v shows which)"
    return f"{name}: in use by {by}; close that program, or give another PORT="


def taken(name: str) -> str | None:
    """Who else reads this port, also without a lock of it, in a line; None: nobody that this user
    may see. Both would get a part of the bytes."""
    who = [] if is_url(name) else holders(name)
    return _in_use(name, who) if who else None


def _refused_url(name: str, error: Exception) -> str:
    causes, where = list(_causes(error)), urlsplit(name).netloc
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return f"{name}: no machine of this name is known; expected {URLS}"
    if _number(error) == errno.ECONNREFUSED:
        return (
            f"{name}: nothing listens at {where}; start what has the board's port there, or give"
            " another PORT="
        )
    if any(isinstance(cause, TimeoutError) for cause in causes) or _number(error) in (
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
        errno.ETIMEDOUT,
    ):
        return f"{name}: {where} does not answer; is the machine on, and its name right?"
    return f"{name}: expected a device path, {URLS}: {_words(error)}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came from: pyserial puts the system's into a text of its own."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _number(error: Exception) -> int | None:
    """The system's number of an error, also of one that pyserial tells as text only."""
    for cause in _causes(error):
        number = getattr(cause, "errno", None)
        if number is None and len(cause.args) and isinstance(cause.args[0], int):
            number = cause.args[0]  # termios.error
        if number is not None:
            return int(number)
    return None


def _words(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error))[:200]


def _group(device: str) -> str:
    try:
        return grp.getgrgid(os.stat(device).st_gid).gr_name
    except (OSError, KeyError):
        return "dialout"


# --- who has it -----------------------------------------------------------------------------------


def holders(device: str, processes: Path = Path("/proc")) -> list[str]:
    """Other processes that have a device open, as far as this user may see. Not those at the other
    end of a pseudo terminal, which hold it open so that it stays."""
    real, found = os.path.realpath(device), []
    for folder in processes.glob("[0-9]*"):
        if folder.name == str(os.getpid()):
            continue
        files = set(_open_files(folder / "fd"))
        if real in files and not files.intersection(MASTERS):
            try:
                name = (folder / "comm").read_text().strip()
            except OSError:
                name = "a process"
            found.append(f"{name} (process {folder.name})")
    return sorted(found)


def _open_files(folder: Path) -> Iterable[str]:
    try:
        entries = list(folder.iterdir())
    except OSError:
        return  # ended meanwhile, or another user's
    for entry in entries:
        with contextlib.suppress(OSError):  # closed meanwhile; the others may still be open
            yield os.readlink(entry)


# --- a port that comes back -----------------------------------------------------------------------


def behind(name: str, found: list[Port]) -> Port | None:
    """The port that a path, or a link, leads to."""
    real = os.path.realpath(name)
    return next((port for port in found if os.path.realpath(port.device) == real), None)


def where_now(name: str, before: Port | None, found: list[Port]) -> str | None:
    """The name under which a port is to be had that was `before` behind `name`; None: nowhere.

    What has a USB serial number is known by it: the next free name may be its own now, and its old
    one another's. Anything else is known by its name.
    """
    if is_url(name):
        return name
    if before is None or not before.serial:
        return name if os.path.exists(name) else None
    same = [p for p in found if (p.serial, p.interface) == (before.serial, before.interface)]
    if not same:
        return None
    return name if behind(name, same) else same[0].device
