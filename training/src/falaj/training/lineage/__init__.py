"""Where a model comes from, and who vouches for it: signatures, runs, events and the chain between them."""
