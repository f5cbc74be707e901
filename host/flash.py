"""`flash`: the firmware of a board, built, loaded with what this machine has, and asked whether it
runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

from compress import artifacts, cli, pipeline
from compress.errors import TendonError, UsageError
from export import boards, compilers
from export import build as c_project
from export.exported import as_exported
from host import ports
from host.boards import check, open_board
from host.conversation import Timing
from host.errors import LinkError
from host.loaders import FORBIDDEN, LOADERS, Answer, Job, Loader, ask, load


class FlashError(TendonError):
    """Nothing can load the image, or what could did not."""


@dataclass(frozen=True)
class Chosen:
    """The program that will load, why, and what was seen of the others."""

    loader: Loader
    evidence: str
    others: list[str]


def run(args: argparse.Namespace) -> None:
    """Build, choose, load, ask."""
    board = boards.load_board(args.board)
    if board.loading is None:
        how = "QEMU plays it" if board.emulator else "it is a process here"
        raise UsageError(
            f"{board.name}: nothing is to be flashed: {how}. make hil BOARD={board.name} runs its"
            f" firmware; boards to flash are {', '.join(boards.chips())}"
        )
    if args.port:
        check(board.name, args.port)
    folder, sources = cli.folder(args), cli.sources(args)
    graph = pipeline.graphs(folder, artifacts.checkpoint_for(folder, sources), sources)
    if args.format == "tflm":
        from export.tflm import build as tflm_project

        cli.refuse_latency(args)
        compilers.refuse(args.compiler)
        image = tflm_project.make_firmware(graph, folder, board.name, args.tflm)
    else:
        if args.tap and args.latency:
            raise UsageError(
                f"LATENCY={args.latency:g} TAP=1: expected one of them; what is tapped is compared"
                " step by single frame"
            )
        make = c_project.make_tap_image
        if not args.tap:
            graph = as_exported(graph, folder, board.name, args.latency)
            make = c_project.make_firmware
        image = make(graph, folder, board.name, args.compiler)
    job = Job(
        board, board.loading, image, image.with_suffix(".bin"), image.parent / "project", args.port
    )
    chosen = choose(job, args.tool)
    print(
        f"{job.image.name} goes onto {board.name} with {chosen.loader.name}: {chosen.loader.virtue}"
        f" ({chosen.evidence})"
    )
    for line in chosen.others:
        print(f"  {line}")
    if wrong := artifacts.damage(image):
        raise FlashError(f"{wrong}; it is not loaded: repeat the command, which builds it again")
    load_image(chosen.loader, job)
    if chosen.loader.name == "stm32flash":
        print("BOOT0 low again now, or the next reset ends in the boot loader once more")
    print(meet(job, chosen.loader, graph.hash()))


# --- which program --------------------------------------------------------------------------------


def choose(job: Job, wanted: str | None = None) -> Chosen:
    """The first of LOADERS that a chip answers, of the `wanted` one if given. FlashError says what
    each lacks, and what to do."""
    considered = [loader for loader in LOADERS if wanted in (None, loader.name)]
    seen, outputs = [], []
    for loader in considered:
        lack = loader.lacks(job)
        if lack:
            seen.append(f"{loader.name:20} {lack}")
            continue
        evidence, answer = ask(loader, job)
        if evidence:
            return Chosen(loader, evidence, seen)
        seen.append(f"{loader.name:20} installed, but no chip answers it: {answer.last_words()}")
        outputs.append(answer.output)
    raise FlashError(
        "\n".join(
            [
                f"{job.image} is built, but nothing here can load it onto {job.board.name}:",
                *_advice(job, seen, outputs),
            ]
        )
    )


def _advice(job: Job, seen: list[str], outputs: list[str]) -> list[str]:
    """What was seen of each program, then the one or two things to do."""
    lines = [f"  {line}" for line in seen]
    if any(FORBIDDEN.search(output) for output in outputs):
        lines.append(
            "  a probe is there and may not be opened: install the udev rules that come with"
            " openocd or stlink-tools, then"
        )
        lines.append("  unplug it and plug it in again (or run this once with sudo)")
    elif outputs:
        lines.append(
            f"  plug in: {job.loading.connect}, with a cable that carries data; serial ports seen:"
            f" {_ports()}"
        )
    else:
        lines.append(
            f"  install {'one of them' if len(seen) > 1 else 'it'}, and plug in:"
            f" {job.loading.connect}"
        )
    lines.append(
        f"  without a probe: {job.loading.boot_loader}; BOOT0 high, reset, then with stm32flash"
    )
    lines.append(f"  make flash BOARD={job.board.name} PORT=/dev/ttyUSB0")
    if job.board.emulator:
        lines.append(f"  without a board: make hil BOARD={job.board.name} runs this image in QEMU")
    return lines


def _ports() -> str:
    return ports.listed(ports.here())


# --- loading and asking ---------------------------------------------------------------------------


def load_image(loader: Loader, job: Job) -> None:
    """FlashError when the program did not load and verify it."""
    answer = load(loader, job)
    if answer.code == 0:
        return
    raise FlashError(
        f"{loader.name} did not load {job.image.name} onto {job.board.name}"
        f" ({_how_it_ended(answer)}): {answer.last_words(3)}. Unplug the board, plug it in and"
        " repeat; where it stays so, its flash may be protected (STM32_Programmer_CLI -c port=SWD"
        " mode=UR -ob displ shows it), or take another program with TOOL="
    )


def _how_it_ended(answer: Answer) -> str:
    return "it never ended" if answer.code is None else f"exit status {answer.code}"


def meet(job: Job, loader: Loader, model_hash: str, timing: Timing | None = None) -> str:
    """What the board says of itself once it runs; when its port is not known, how to ask.
    FlashError when it is silent."""
    port = line_of(job, loader)
    if port is None:
        seen = f"serial ports seen: {_ports()}"
        return (
            f"loaded and verified. To hear from it: make hil BOARD={job.board.name} PORT=… ({seen})"
        )
    try:
        with open_board(job.board.name, job.image, model_hash, timing, port) as board:
            hello = board.link.handshake()
            told = board.link.told(hello)
    except LinkError as error:
        raise FlashError(
            f"loaded and verified, but it does not answer as it should: {error}"
        ) from error
    said = (
        f"{port}: {hello.board} answers with {hello.model}, model hash {hello.model_hash[:16]},"
        f" {hello.clock_hz / 1e6:g} MHz"
    )
    if hello.clock_hz != job.board.clock_hz:
        said += (
            f"; expected {job.board.clock_hz / 1e6:g} MHz: supply or PLL did not start, or the"
            " chip's revision allows no more"
        )
    said += f"; {hello.memory}" if hello.memory else ""
    return said + (f"; {told.text}" if told and hello.past.by_fault else "")


def line_of(
    job: Job, loader: Loader, find: Callable[[], list[ports.Port]] = ports.here
) -> str | None:
    """Where the running firmware speaks: the port given, unless that is the boot loader's alone;
    else the one ST-LINK's."""
    if job.port and (loader.name != "stm32flash" or job.loading.boots_on_its_line):
        return job.port
    lines = [port.device for port in find() if port.kind.startswith(("ST-LINK/V2-1", "STLINK-V3"))]
    return lines[0] if len(lines) == 1 else None
