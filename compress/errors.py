"""The errors a user can cause or mend. `__main__` of each package catches TendonError once and
exits with code 2.

A message says what was expected, what was found and what to do.
"""


class TendonError(Exception):
    """Root of every error that is reported without a traceback."""


class CheckpointError(TendonError):
    """A checkpoint cannot be read, is damaged, or belongs to another model."""


class RecordingError(TendonError):
    """A recording cannot be read, is damaged, or has another layout."""


class GraphError(TendonError):
    """A network cannot be lowered, quantized or verified; names the module path."""
