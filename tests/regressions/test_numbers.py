"""Every numeric option of every command refuses what is no number of its range, in one line and
before anything is computed."""

from __future__ import annotations

import argparse

import pytest

from bench.tendon import COMMANDS
from compress import cli
from compress.cli import options
from compress.errors import TendonError

ABSURD = ("nan", "inf", "-inf", "-1", "1e999", "9" * 5000, "1e12", "", "x", "0x10")


def numeric() -> dict[str, tuple[argparse.ArgumentParser, argparse.Action]]:
    """Every option of every command that is a number: "diagnose --seconds" and so on."""
    found = {}
    for command in COMMANDS:
        parser = cli.Parser(prog=command.name)
        command.add_arguments(parser)
        for action in parser._actions:
            if action.type not in (None, str) and action.type is not options.path:
                found[f"{parser.prog} {action.option_strings[0]}"] = (parser, action)
    return found


NUMERIC = numeric()


def test_the_options_that_are_numbers_are_found() -> None:
    found = {name.rsplit(maxsplit=1)[1] for name in NUMERIC}
    assert {"--seconds", "--steps", "--latency", "--window", "--jobs", "--load"} <= found
    plain = [name for name, (_, action) in NUMERIC.items() if action.type in (int, float)]
    assert plain == [], "these take NaN or any size: options.whole or options.real say a range"


@pytest.mark.parametrize("name", NUMERIC)
def test_what_is_no_number_of_the_range_is_refused_in_one_line(
    name: str,
) -> None:
    parser, action = NUMERIC[name]
    needed = [
        word
        for other in parser._actions
        if other.required and other is not action
        for word in (other.option_strings[0], str((other.choices or ["1M"])[0]))
    ]
    for text in ABSURD:
        if action.choices is None and text == "1e12" and "cycles" in name:
            continue  # a core of 1 THz is only unlikely
        with pytest.raises(TendonError, match="argument ") as error:
            parser.parse_args([*needed, f"{action.option_strings[0]}={text}"])
        said = str(error.value)
        assert "\n" not in said, said
        assert action.option_strings[0] in said and len(said) < 300, said
