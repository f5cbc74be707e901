"""A Python that has imported what commands take seconds to import.

`python -m tests.docs.warm SOCKET` says "ready", listens there and forks for each command;
`python tests/docs/warm.py SOCKET -m compress ...` is one, with the folder, the environment and the
output of whoever calls it.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import socket
import sys

IMPORTED = ("torch", "torch.fx", "h5py", "onnx", "scipy.signal", "tqdm", "yaml")
PACKAGES = ("compress", "export", "host", "bench")
LONGEST = 1 << 20  # bytes that describe a command


def serve(path: str) -> None:
    """Until it is ended."""
    for name in IMPORTED:
        importlib.import_module(name)
    for package in PACKAGES:
        table = importlib.import_module(f"{package}.__main__").COMMANDS
        for command in table:
            importlib.import_module(command.runs.partition(":")[0])
        del sys.modules[f"{package}.__main__"]  # it is run as another's
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        print("ready", flush=True)
        while True:
            line, _ = listening.accept()
            with line:
                message, streams, *_ = socket.recv_fds(line, LONGEST, 3)
                child = os.fork()
                if child == 0:
                    become(json.loads(message), streams)
                    return
                for stream in streams:
                    os.close(stream)
                status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                line.sendall(bytes([status % 256]))


def become(command: dict, streams: list[int]) -> None:
    """Run it in this process."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(command["folder"])
    os.environ.clear()
    os.environ.update(command["environment"])
    option, module, *words = command["words"]
    assert option == "-m"
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def ask(path: str, words: list[str]) -> int:
    """The status that a command ended with."""
    command = {"words": words, "folder": os.getcwd(), "environment": dict(os.environ)}
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(path)
        socket.send_fds(line, [json.dumps(command).encode()], [0, 1, 2])
        return (line.recv(1) or b"\1")[0]


if __name__ == "__main__":
    if sys.argv[2:]:
        sys.exit(ask(sys.argv[1], sys.argv[2:]))
    serve(sys.argv[1])
