"""What an option is called where make calls the command: --seconds is SECONDS=."""

from __future__ import annotations

import re

OTHERWISE = {"--out": "OUTPUT", "--engines": "ENGINE", "--start": "CHECKPOINT"}
NONE = frozenset(  # make has no variable for them
    ["--help", "--seed", "--threads", "--core", "--cycles", "--order", "--prompts", "--splits"]
)
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*(?![\w-])")


def variable(option: str) -> str | None:
    """The variable of make that gives an option; None where there is none."""
    if option in NONE:
        return None
    return OTHERWISE.get(option, option.removeprefix("--").replace("-", "_").upper())


def both(message: str) -> str:
    """A message of argparse with the variable of each option beside it."""
    return _OPTION.sub(lambda found: _both(found[0]), message)


def _both(option: str) -> str:
    name = variable(option)
    return option if name is None else f"{name}= ({option})"
