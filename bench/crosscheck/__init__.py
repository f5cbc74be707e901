"""The same seconds of signal through every engine there is, in one table: `make crosscheck`."""
