"""The SLA scheduler: turns deadlines, measured progress and waiting into the priorities that Kueue goes by.

It stands on Kueue and not in its place: Kueue decides what is admitted and displaced; this decides how much each work
counts. It knows nothing of Pulumi and nothing of falaj's other packages.
"""
