"""Emulated Pulumi providers: thin, table-driven, and open about what they enact and what they only record."""
