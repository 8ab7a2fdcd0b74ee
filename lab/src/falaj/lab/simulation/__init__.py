"""A replayable simulation of a shared GPU cluster on the lab's real control plane; only nodes and run times are played.

Read in this order: `scenario` (what is simulated), `arrivals` and `public_traces` (which work comes when), `driver`
(what is done to the cluster), `measuring` (what is made of what was seen), `report` (how it is told).
"""
