"""The training runtime: one job file, from a laptop to a GPU fleet."""
