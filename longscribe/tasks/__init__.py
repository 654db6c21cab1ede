"""One stage of the chain a file: what Prefect has to know about it, around the engine's work."""
