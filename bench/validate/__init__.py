"""The cycle models against cycles that others published, of programs that are not part of this:
`make validate`."""
