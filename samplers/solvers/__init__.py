"""The solvers: the host's and two of our own, by name."""
