"""What reports are made of, for every package and for the tasks: pictures, figures, and how a
command says it."""
