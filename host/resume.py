"""A run to its end, over boards that are lost on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from compress.reading.words import counted, noun
from host.boards import Board
from host.errors import BoardLostError
from host.faults import Told
from host.run import Run
from host.stream import OnFrame

Found = TypeVar("Found")

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

    def work(board: Board, again: bool) -> None:
        (run.resume if again else run.start)(board.link, on_frame)

    return _again_and_again(
        board,
        open_again,
        work,
        lambda lost: say(f"{lost}\nconnecting again, {_kept(run)}"),
        lambda told: note(run.done, told),
    )[0]


def from_the_beginning(
    open_again: Callable[[], Board], work: Callable[[Board], Found], say: Callable[[str], None]
) -> Found:
    """What `work` gives on a board that is opened and closed here; where that is lost, begun again
    on the one that `open_again` gives then."""
    board, found = _again_and_again(
        open_again(),
        open_again,
        lambda board, _: _or_closed(board, work),
        lambda lost: say(f"{lost}\nconnecting again, and from the first step on"),
    )
    board.close()
    return found


def _or_closed(board: Board, work: Callable[[Board], Found]) -> Found:
    try:
        return work(board)
    except BaseException:
        board.close()
        raise


def _again_and_again(
    board: Board,
    open_again: Callable[[], Board],
    work: Callable[[Board, bool], Found],
    say: Callable[[BoardLostError], None],
    note: Callable[[Told | None], None] = lambda told: None,
) -> tuple[Board, Found]:
    """The board on which `work` ended, and what it gave; it is told whether a board was lost
    before."""
    try:
        return board, work(board, False)
    except BoardLostError as error:
        lost = error
    for _ in range(RESUMES):
        say(lost)
        board.close()
        board = open_again()
        hello = board.link.handshake()
        note(lost.told or board.link.told(hello))
        try:
            return board, work(board, True)
        except BoardLostError as error:
            lost = error
    board.close()
    raise lost


def _kept(run: Run) -> str:
    return f"{counted(run.done, 'frame')} {noun(run.done, 'is', 'are')} kept"
