"""From an exported model to a served one: immutable sealed versions in a store, opened and verified by each pod.

Nothing here loads torch: `falaj-serve fetch` runs before every server starts.
"""
