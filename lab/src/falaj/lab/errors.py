"""The one error that a person sees as one line."""


class LabError(Exception):
    """Something that the person can put right; the message says what is wrong and what to do, in one line."""
