"""Whether a model may be served: what it must reach, against whom it is held, and the verdict that says so."""
