"""The catalogue: controls as data, the rules that serve them, and the pages that show both."""
