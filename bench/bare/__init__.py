"""Programs of their own on QEMU's bare Cortex-M cores: kernels on cases from a file, a network's
steps, exact counts."""
