"""Recordings through a board over its line, compared, scored and timed; the report of it: `make
hil`, `make demo`."""
