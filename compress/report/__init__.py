"""What pictures in reports are made of, for every package and for the tasks."""
