"""Trained modules as folders of a Triton model repository, checked against the modules themselves."""
