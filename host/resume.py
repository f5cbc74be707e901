"""A run to its end, over boards that are lost on the way."""

from __future__ import annotations

from collections.abc import Callable

from compress.reading.words import counted, noun
from host.boards import Board
from host.errors import BoardLostError
from host.faults import Told
from host.run import Run
from host.stream import OnFrame

RESUMES = 2  # times that a run goes on after a loss
SNAPSHOT_EVERY = 1250  # output frames, a minute at 48 ms: shorter runs are replayed from reset


def snapshots(frames: int) -> int:
    """Every how many output frames a run of so many takes a snapshot; 0: never."""
    return SNAPSHOT_EVERY if frames > 2 * SNAPSHOT_EVERY else 0


def to_end(
    run: Run,
    board: Board,
    open_again: Callable[[], Board],
    on_frame: OnFrame | None,
    say: Callable[[str], None],
    note: Callable[[int, Told | None], None] = lambda frames, told: None,
) -> Board:
    """From the first sample; where the board is lost, on the one that `open_again` gives. Returns
    the board it ended on. `note`: frames received before a loss, and what the board says of it."""
    try:
        run.start(board.link, on_frame)
        return board
    except BoardLostError as error:
        lost = error
    for _ in range(RESUMES):
        kept = f"{counted(run.done, 'frame')} {noun(run.done, 'is', 'are')} kept"
        say(f"{lost}\nconnecting again, {kept}")
        board.close()
        board = open_again()
        hello = board.link.handshake()
        note(run.done, lost.told or board.link.told(hello))
        try:
            run.resume(board.link, on_frame)
            return board
        except BoardLostError as error:
            lost = error
    board.close()
    raise lost
