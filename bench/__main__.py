"""`tendon`, as the console script and `python -m bench` start it."""

from __future__ import annotations

import sys

from compress import interruption


def main() -> int:
    """Listen for Ctrl-C before what takes its time to import, then run the command."""
    interruption.begin()
    from bench import tendon

    return tendon.main()


if __name__ == "__main__":
    sys.exit(main())
