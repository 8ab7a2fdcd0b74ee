"""Evidence of a run: signed, chained to the one before, and checked again by whoever receives it."""
