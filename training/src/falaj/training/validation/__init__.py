"""Whether data may be trained on: what it must look like, what it was like before, and where it may lie."""
