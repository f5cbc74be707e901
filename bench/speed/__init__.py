"""Kernels and networks in executed instructions, beside CMSIS-NN, their floors and their targets:
`make bench`."""
