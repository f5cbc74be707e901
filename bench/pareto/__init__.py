"""Error rate against cost, of every network at every precision through every decoder: `make
pareto`."""

FLOAT = "float"  # beside the precisions: the float network
