"""python -m export c|tflm|firmware|onnx|tflite|check: the integer graph as a project, its firmware
for a board, or files."""

from __future__ import annotations

import sys

from compress import interruption

if __name__ == "__main__":
    interruption.begin()  # before what takes its time to import

from compress.cli import Command, run_main
from export import cli

COMMANDS = (
    Command(
        "c",
        "write a C project that a person can read and take away",
        cli.add_c_arguments,
        "export.commands:c",
        begins=True,
    ),
    Command(
        "tflm",
        "write a project around TFLite-Micro's interpreter",
        cli.add_project_arguments,
        "export.commands:tflm",
        begins=True,
    ),
    Command(
        "firmware",
        "write the project and build its image",
        cli.add_firmware_arguments,
        "export.commands:firmware",
    ),
    Command(
        "onnx",
        "write the streaming step as ONNX, float and QDQ",
        cli.add_project_arguments,
        "export.commands:onnx",
        begins=True,
    ),
    Command(
        "tflite",
        "write the step as TFLite files",
        cli.add_project_arguments,
        "export.commands:tflite",
        begins=True,
    ),
    Command(
        "check",
        "would an exported model overflow a 32-bit accumulator?",
        cli.add_check_arguments,
        "export.check:run",
    ),
)


def main(arguments: list[str] | None = None) -> int:
    """The commands of this package; returns the exit code."""
    return run_main("export", __doc__, COMMANDS, arguments)


if __name__ == "__main__":
    sys.exit(main())
