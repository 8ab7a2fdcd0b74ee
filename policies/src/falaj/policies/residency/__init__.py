"""Residency: where things are, what leaves the home region, and by which entry of the transfer register."""
