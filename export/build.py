"""`export` and `firmware`: graph -> C project -> image, each rebuilt exactly when what it is made from has changed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from compress import artifacts
from compress import graph as g
from compress.artifacts import Folder
from compress.errors import TendonError
from compress.files import write_json
from export import emit
from export.boards import load_board, names
from export.project import build_project, write_project

CODE_ALLOWANCE = 16 * 1024  # bytes of flash for kernels, application and port, before anything is built
RAM_ALLOWANCE = 24 * 1024  # line buffers, result cache, one step of samples, stack


def make_project(graph: g.Graph, folder: Folder, board: str) -> Path:
    """Write the C project of an integer graph for a board below the folder; refuses a network that cannot fit."""
    model = emit.build(graph)
    check_fit(model, board)
    out = folder.target(board) / "project"
    write_project(out, board, emit.files(model), emit.kernels(graph), f"{graph.name} {folder.precision}")
    write_json(folder.target(board) / "memory.json", memory_plan(model, board))
    return out


def make_firmware(graph: g.Graph, folder: Folder, board: str) -> Path:
    """The image of a board (firmware.elf, or an executable for posix), built unless its key says nothing changed."""
    description = load_board(board)
    target = folder.target(board)
    image, record = target / description.image, target / "firmware.json"
    key = artifacts.key(graph=graph.hash(), board=board, code=artifacts.code_hash("export", "firmware"))
    if image.is_file() and artifacts.recorded_key(record) == key:
        print(f"{image}: unchanged")
        return image
    record.unlink(missing_ok=True)
    project = make_project(graph, folder, board)
    built = build_project(project, board)
    aside = target / f".{description.image}.tmp"
    shutil.copy(built, aside)
    aside.replace(image)
    write_json(record, {"key": key, "board": board, "graph": graph.hash(), "compiler": compiler_version(board)})
    return image


def memory_plan(model: emit.Model, board: str) -> dict[str, Any]:
    """What the network will take, known before anything is built: bytes by purpose, and each buffer of the arena."""
    plan = model.plan
    regions = {name: {"size": m.size, "limit": m.limit} for name, m in load_board(board).memory.items()}
    return {
        "board": board,
        "regions": regions,
        "tables": model.table_bytes,
        "code_allowance": CODE_ALLOWANCE,
        "state": plan.state_bytes,
        "arena": plan.arena_bytes,
        "arena_lower_bound": plan.lower_bound_bytes,
        "ram_allowance": RAM_ALLOWANCE,
        "flash": model.table_bytes + CODE_ALLOWANCE,
        "ram": plan.state_bytes + plan.arena_bytes + RAM_ALLOWANCE,
        "buffers": [
            {"tensors": b.tensors, "offset": b.offset, "bytes": b.size, "first": b.first, "last": b.last} for b in plan.buffers
        ],
        "states": {name: offset for name, offset in plan.state_offsets.items()},
    }


def check_fit(model: emit.Model, board: str) -> None:
    """TendonError with the shortfall and what would help when the plan exceeds what the board's memory allows."""
    plan = memory_plan(model, board)
    for region, limit in plan["regions"].items():
        wanted = plan[region]
        if wanted > limit["limit"]:
            parts = "tables" if region == "flash" else "state and arena"
            raise TendonError(
                f"{model.graph.name} does not fit {board}: {region} needs {wanted:,} bytes ({parts} "
                f"{plan['tables'] if region == 'flash' else plan['state'] + plan['arena']:,}), the limit is {limit['limit']:,}: "
                f"{wanted - limit['limit']:,} too many. A smaller network helps, or a board with more {region}: "
                f"{_larger(region, wanted)}"
            )


def _larger(region: str, wanted: int) -> str:
    fitting = [b for b in names() if not load_board(b).memory or load_board(b).memory[region].limit >= wanted]
    return ", ".join(fitting) or "none of the boards here is large enough"


def compiler_version(board: str) -> str:
    """First line of the board's compiler's --version."""
    command = [load_board(board).compiler, "--version"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError) as error:
        raise TendonError(f"{command[0]} cannot be run ({error}); `make tools` installs it") from error
