"""What can go wrong between the host and a board. A message says what was expected, what was found
and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compress.errors import TendonError, UsageError

if TYPE_CHECKING:  # which needs the messages, which need these errors
    from host.faults import Told


class LinkError(TendonError):
    """Root of the boundary between host and board."""


class NoBoardError(LinkError):
    """Nothing answered: no such port, no such board, or silence from the start."""


class NoPortError(NoBoardError, UsageError):
    """A board that has to be connected, and no port was given."""


class ProtocolError(LinkError):
    """The board speaks another version of the protocol, or refused a request that should be
    possible."""


class UnknownRequestError(ProtocolError):
    """The board's firmware knows no such request: an older one, or one built without what the
    request is about."""


class OvertakenError(ProtocolError):
    """The board has begun another session since it was asked for its challenge."""


class NoTapError(LinkError):
    """The board's image was built without -DMODEL_TAP: it cannot say what its operators put out."""


class HashMismatchError(LinkError):
    """The board carries another model than the run is about."""


class DamagedImageError(LinkError):
    """The board's code or tables are not what was built; it answers and infers nothing."""


class ModelFaultError(LinkError):
    """The board's model, one around an interpreter, cannot start; it answers and infers nothing."""


class BoardLostError(LinkError):
    """The board vanished, fell silent or was reset in the middle of a run. The run can be resumed.

    `told`: what the board says of its reset, where it has started again and was heard.
    """

    def __init__(self, message: str, told: Told | None = None):
        super().__init__(message)
        self.told = told


class SnapshotError(LinkError):
    """A snapshot is damaged or belongs to another model."""
