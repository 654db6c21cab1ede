"""The chunks' texts as one, and what improves it."""
