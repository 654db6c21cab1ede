"""Recordings to samples, and where in them somebody speaks."""
