"""What every command of `tendon` shares: the record of a command, what its arguments mean, and how
errors end. `options` has the options, `commands` the table of those of this package.

Options are asked for far more often than commands run, so that whoever defines them imports nothing
that is slow to import: names come from light modules, and the code of a command is imported when it
runs.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, NoReturn

from compress import interruption
from compress.artifacts import (
    COMPRESSED,
    GIVEN,
    Folder,
    Sources,
    intend,
    locks,
    resolve,
    usual_precision,
)
from compress.cli import named, options
from compress.errors import RecordingError, TendonError, UsageError, printable
from compress.report import console, logs, said


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with an option, without the list of all of them."""

    begins = False  # as its command says

    def error(self, message: str) -> NoReturn:
        raise UsageError(named.both(message))

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """As ever, but for a command that is none: the nearest instead of all of them."""
        if isinstance(action, argparse._SubParsersAction) and value not in action.choices:
            near = difflib.get_close_matches(value, action.choices, n=1)
            nearest = f"the nearest is {near[0]}; " if near else ""
            raise UsageError(f"no such command: {value}; {nearest}{self.prog} --help lists them")
        super()._check_value(action, value)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As ever. Where an option is refused, what the others name is still what was meant."""
        try:
            found = super().parse_known_args(args, namespace)
        except TendonError:
            self._intend(args)
            raise
        if found[1]:  # what is no option is refused later
            self._intend(args)
        return found

    def _intend(self, args: Any) -> None:
        if not self.begins:
            return
        lenient = Parser(add_help=False)
        options.add_source_arguments(lenient)
        with contextlib.suppress(TendonError):
            seen, _ = lenient.parse_known_args(args)
            intend(_folder_of(seen), asked_of(seen), True)


def _network(args: argparse.Namespace) -> list[str]:
    """Of commands with --model: the folder of that network."""
    return [args.model] if "model" in args else []


@dataclass(frozen=True)
class Command:
    """One command of `tendon`.

    Args:
        help: a line about it.
        add_arguments: gives a parser its options.
        runs: `module:function`, called with the parsed options; returns the exit code, or None
            for 0.
        examples: lines that a user may type.
        begins: whether it may replace what a folder of a network was made from by what its options
            name.
        looks: whether it makes nothing that a board runs, and may look at another checkpoint
            beside what a folder was made from.
        writes: names of what it writes below --build, by its options: folders of networks, ….
    """

    name: str
    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    runs: str
    examples: Sequence[str] = ()
    begins: bool = False
    looks: bool = False
    writes: Callable[[argparse.Namespace], Sequence[str]] = _network

    def run(self, args: argparse.Namespace) -> Any:
        """Import its code and call it, as the only one that writes there."""
        module, _, function = self.runs.partition(":")
        with locks.held(args.build, *self.writes(args)) if "build" in args else nullcontext():
            if self.writes is _network and "model" in args:
                _meant(args)  # before anything is refused: what was meant is not forgotten
            return getattr(import_module(module), function)(args)


def parser_of(
    prog: str, about: str, commands: Sequence[Command], version: str
) -> argparse.ArgumentParser:
    """The parser of a program that has these commands."""
    parser = Parser(prog=prog, description=about)
    parser.add_argument("--version", action="version", version=f"{prog} {version}")
    _add_level(parser, False)
    added = parser.add_subparsers(metavar="command", dest="command")
    for command in commands:
        own: Parser = added.add_parser(
            command.name,
            help=command.help,
            description=_sentence(command.help),
            epilog="\n".join(["examples:", *(f"  {line}" for line in command.examples)]),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(own)
        _add_level(own, argparse.SUPPRESS)
        own.begins = command.begins
        own.set_defaults(run=command.run, begins=command.begins, looks=command.looks)
    return parser


def _sentence(words: str) -> str:
    """With a capital and a full stop, where no other mark ends it."""
    return f"{words[0].upper()}{words[1:]}{'' if words.endswith(('?', '!', '.')) else '.'}"


def _add_level(parser: argparse.ArgumentParser, default: Any) -> None:
    """-v, -q: how much is said beside results and errors."""
    levels = parser.add_mutually_exclusive_group()
    levels.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        default=default,
        help="say also when and where, and what is run",
    )
    levels.add_argument(
        "-q",
        "--quiet",
        action="store_true",
        default=default,
        help="say results, warnings and errors only",
    )


def refuse_latency(args: argparse.Namespace) -> None:
    """An interpreter runs a file of one frame a step."""
    if args.latency:
        raise UsageError(
            f"LATENCY={args.latency:g} FORMAT=tflm: expected 0; TFLite-Micro computes one output"
            " frame at a time"
        )


def folder(args: argparse.Namespace) -> Folder:
    """Where the artifacts of these arguments live; TendonError for a window beside a network
    file."""
    return _made_from(args)[0]


def sources(args: argparse.Namespace) -> Sources:
    """What they are made from: what these arguments say, else what was remembered, which is
    printed; SourcesError where both do not agree and the command does not begin anew."""
    return _made_from(args)[1]


def asked_of(args: argparse.Namespace) -> dict[str, Any]:
    """What its options name of what a network is made from."""
    return {name: getattr(args, name, None) for name in GIVEN}


def _folder_of(args: argparse.Namespace) -> Folder:
    """That of a network, whatever its precision."""
    return Folder(args.build, args.model, COMPRESSED, network=args.network)


def _meant(args: argparse.Namespace) -> Mapping[str, Any]:
    """What a network is to be made from by these arguments, which is written down first."""
    if "meant" not in args:
        args.meant = intend(_folder_of(args), asked_of(args), args.begins)
    meant: Mapping[str, Any] = args.meant
    return meant


def _made_from(args: argparse.Namespace) -> tuple[Folder, Sources]:
    if "made_from" not in args:
        asked, folder = _meant(args), _folder_of(args)
        window = getattr(args, "window", None)
        if args.network is not None and window is not None:
            raise UsageError(
                f"WINDOW={window}: the window of {args.network.title} is the one that the file"
                f" says: set WINDOW in {args.network.path}"
            )
        found = resolve(folder, asked, args.begins, args.looks)
        if "precision" in args:
            precision = args.precision or usual_precision(folder, found)
            folder = replace(folder, precision=precision, window=found.window)
        args.made_from = folder, found
    made: tuple[Folder, Sources] = args.made_from
    return made


def run(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
    after: Callable[[argparse.Namespace], None] = lambda _: None,
) -> int:
    """Parse and call the command's `run`, then `after`, also where the command failed; returns the
    exit code: 0 done, 1 what was asked failed, 2 wrong usage, 129, 130 or 143 ended by a signal. A
    TendonError, and a file that cannot be read or written, becomes one line."""
    console.prepare()
    try:
        interruption.running()
        try:
            parsed = _parsed(parser, arguments)
            said.begin()
            logs.listen(logs.LEVELS[1 + parsed.verbose - parsed.quiet])
            try:
                code = int(parsed.run(parsed) or 0)
            except TendonError:
                after(parsed)
                raise
            after(parsed)
            return code
        finally:
            sys.stdout.flush()
    except BaseException as error:
        console.end_bars()
        if isinstance(error, KeyboardInterrupt) or interruption.came():
            return interruption.code()
        if isinstance(error, TendonError):
            print(f"error: {printable(str(error))}", file=sys.stderr)
            return 2 if isinstance(error, UsageError) else 1
        if isinstance(error, OSError) and error.filename:
            print(f"error: {printable(f'{error.filename}: {error.strerror}')}", file=sys.stderr)
            return 1
        raise
    finally:
        interruption.ending()


def _parsed(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """What the command line says; UsageError for whatever is wrong with it, but for files that are
    not there and a --help that cannot be written."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        parsed = parser.parse_args(words, argparse.Namespace(arguments=words))
    except (RecordingError, console.OutputError):
        raise
    except TendonError as error:
        raise UsageError(str(error)) from error
    if parsed.command is None:
        raise UsageError(f"expected a command; {parser.prog} --help lists them")
    return parsed
