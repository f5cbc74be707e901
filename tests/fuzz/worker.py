"""The process in which damaged files are read: python -m tests.fuzz.worker FOLDER < plan.

A line of the plan is JSON: a reader, the first seed, how many, and seconds of wall time. For each
input a line of JSON says what became of it. What the process was reading when it ended lies in
FOLDER.
"""

from __future__ import annotations

import contextlib
import json
import resource
import shutil
import sys
import time
import traceback
import unicodedata
from pathlib import Path
from typing import Any

from tests.fuzz.mutate import mutated
from tests.fuzz.reader import Reader
from tests.fuzz.registry import readers

MEMORY = 3 << 30  # bytes that reading may take beside what the libraries take
LONGEST = 2000  # characters of a message
SAID = sys.stdout  # what readers print is not heard


def main(folder: Path) -> None:
    """Read the plan line by line and do it."""
    known = readers()
    bound_memory()
    with Path("/dev/null").open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        say({"ready": sorted(known)})
        for line in sys.stdin:
            task = json.loads(line)
            work(known[task["reader"]], folder, task)
            say({"reader": task["reader"], "done": True, "peak": peak()})


def work(reader: Reader, folder: Path, task: dict[str, Any]) -> None:
    """So many inputs, or those that fit into the seconds."""
    home = folder / reader.name.replace(" ", "-")
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    path = home / reader.file
    reader.make(path)
    good = path.read_bytes()
    try:
        reader.read(path)
    except Exception:
        why = f"a good file is refused: {traceback.format_exc()[-2000:]}"
        say({"seed": task["first"], "outcome": "wrong", "message": why, "seconds": 0.0})
        return
    end = time.monotonic() + task["seconds"]
    for number in range(task["first"], task["first"] + task["count"]):
        if time.monotonic() > end:
            break
        path.write_bytes(mutated(good, f"{reader.name}/{number}", reader.tokens))
        begin = time.monotonic()
        outcome, message = tried(reader, path)
        took = time.monotonic() - begin
        say({"seed": number, "outcome": outcome, "message": message, "seconds": took})


def tried(reader: Reader, path: Path) -> tuple[str, str]:
    """What became of reading a file: accepted, refused, or wrong with what is wrong."""
    try:
        reader.read(path)
    except reader.refusals as error:
        flaw = flaw_of(str(error).replace("\n", " ") if reader.lines else str(error), reader.lines)
        return ("wrong", f"{flaw}: {str(error)!r:.500}") if flaw else ("refused", str(error))
    except Exception:
        return "wrong", traceback.format_exc()[-2000:]
    return "accepted", ""


def flaw_of(message: str, listed: bool = False) -> str:
    """What is wrong with the words of a refusal; "" where nothing is."""
    if not message.strip():
        return "an empty message"
    if len(message) > LONGEST and not listed:
        return f"a message of {len(message)} characters"
    if any(unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs") for c in message):
        return "a message of several lines, or with control characters"
    return ""


def say(content: dict[str, Any]) -> None:
    """One line for whoever started this process."""
    SAID.write(json.dumps(content) + "\n")
    SAID.flush()


def bound_memory() -> None:
    """What a reader may allocate, beside what is there already."""
    pages = int(Path("/proc/self/statm").read_text().split()[5])
    resource.setrlimit(resource.RLIMIT_DATA, (pages * resource.getpagesize() + MEMORY,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def peak() -> int:
    """Bytes that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main(Path(sys.argv[1]))
