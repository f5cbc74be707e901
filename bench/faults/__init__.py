"""What goes wrong with boards and lines, done on purpose: nothing wrong may be accepted (`make
faults`)."""
