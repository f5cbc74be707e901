#!/bin/sh
# Makes the environment of a checkout, .venv, and .venv/ready once it is whole.
set -eu
. firmware/alone.sh
[ -n "$(find .venv/ready -newer pyproject.toml 2>/dev/null)" ] && exit 0 # who was waited for did it
python3.11 -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -e ".[test]"
# what commands import is compiled once, even where Python is told to write no bytecode
env -u PYTHONDONTWRITEBYTECODE .venv/bin/python -c "import torch.export._trace, torch._dynamo"
touch .venv/ready
