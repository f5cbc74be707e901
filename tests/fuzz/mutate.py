"""Damaged versions of a good file, each drawn from its own seed."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Callable, Sequence

Change = Callable[[random.Random, bytearray, Sequence[bytes]], None]
NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
WORDS = (b"-1", b"0", b"1e999", b"NaN", b"null", b"true", b"[]", b"{}", b'""', b"1" * 30, b"\xff")
WORDS += (b"\x00" * 8, b"\xff" * 8, b"\n", b"\x1b[31m", "é\u2028".encode())
DEEP = 100_000  # how often an opening bracket is repeated, at most


def mutated(content: bytes, seed: str, tokens: Sequence[bytes] = ()) -> bytes:
    """A damaged version of the content: the same for the same seed, and never the content itself.

    Of a zip archive half the versions are damaged inside one member, whose checksum is made right.
    """
    draw = random.Random(seed)
    members = _members(content)
    while True:
        if members and draw.random() < 0.5:
            found = _in_a_member(draw, members, tokens)
        else:
            found = _changed(draw, content, tokens)
        if found != content:
            return found


def _changed(draw: random.Random, content: bytes, tokens: Sequence[bytes]) -> bytes:
    found = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        draw.choice(CHANGES)(draw, found, tokens)
    return bytes(found)


def _in_a_member(draw: random.Random, members: dict[str, bytes], tokens: Sequence[bytes]) -> bytes:
    name = draw.choice(sorted(members))
    changed = members | {name: _changed(draw, members[name], tokens)}
    if draw.random() < 0.1:
        del changed[name]
    packed = draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packed) as archive:
        for key, value in changed.items():
            archive.writestr(zipfile.ZipInfo(key), value, packed)
    return buffer.getvalue()


def _members(content: bytes) -> dict[str, bytes]:
    if not content.startswith(b"PK\x03\x04"):
        return {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _place(draw: random.Random, found: bytearray) -> int:
    """Anywhere; half the time near the beginning, where headers are."""
    end = len(found)
    return draw.randrange(min(end, 512) if draw.random() < 0.5 else end) if end else 0


def _span(draw: random.Random, found: bytearray) -> slice:
    begin = _place(draw, found)
    return slice(begin, begin + draw.choice((1, 2, 4, 8, 16, 64, 512, 4096)))


def _flip(draw: random.Random, found: bytearray, tokens: Sequence[bytes]) -> None:
    if found:
        found[_place(draw, found)] ^= 1 << draw.randrange(8)


def _set(draw: random.Random, found: bytearray, tokens: Sequence[bytes]) -> None:
    size = draw.choice((1, 2, 4, 8))
    number = draw.choice(NUMBERS) % (1 << 8 * size)
    at = _place(draw, found)
    found[at : at + size] = number.to_bytes(size, draw.choice(("little", "big")))


def _cut_the_end(draw: random.Random, found: bytearray, tokens: Sequence[bytes]) -> None:
    del found[_place(draw, found) :]


def _cut(draw: random.Random, found: bytearray, tokens: Sequence[bytes]) -> None:
    del found[_span(draw, found)]


def _insert(draw: random.Random, found: bytearray, tokens: Sequence[bytes]) -> None:
    at = _place(draw, found)
    found[at:at] = draw.randbytes(draw.choice((1, 2, 8, 100, 5000)))


def _splice(draw: random.Random, found: bytearray, tokens: Sequence[bytes]) -> None:
    """A part of the file over another."""
    part = found[_span(draw, found)]
    at = _place(draw, found)
    found[at : at + (len(part) if draw.random() < 0.5 else 0)] = part


def _token(draw: random.Random, found: bytearray, tokens: Sequence[bytes]) -> None:
    """A known token over another where that stands, or over anything."""
    known = (*tokens, *WORDS)
    new, old = draw.choice(known), draw.choice(known)
    at = found.find(old, _place(draw, found))
    size = len(old)
    if at < 0:
        at, size = _place(draw, found), draw.choice((0, len(new), 1))
    found[at : at + size] = new


def _number(draw: random.Random, found: bytearray, tokens: Sequence[bytes]) -> None:
    """Another number where digits stand."""
    at = _place(draw, found)
    while at < len(found) and not chr(found[at]).isdigit():
        at += 1
    end = at
    while end < len(found) and chr(found[end]).isdigit():
        end += 1
    found[at:end] = draw.choice((b"0", b"-1", b"1e400", b"1" * 400, b"1000000000000", b"0.5"))


def _deep(draw: random.Random, found: bytearray, tokens: Sequence[bytes]) -> None:
    """A bracket that opens very often."""
    at = _place(draw, found)
    found[at:at] = draw.choice((b"[", b"{", b"(", b'{"a":', b"[[")) * draw.choice((200, DEEP))


CHANGES: tuple[Change, ...] = (
    *(_flip,) * 4,
    *(_set,) * 2,
    _cut_the_end,
    _cut,
    _insert,
    _splice,
    *(_token,) * 2,
    _number,
    _deep,
)
