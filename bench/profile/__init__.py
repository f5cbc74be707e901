"""Every layer of a network on a board: time, what its instructions do, memory, what would help:
`make profile`."""
