"""A sweep: the same job with other values, trial after trial and side by side, until the best ones are known."""
