"""Measurements that do not belong into the tests; each runs by itself with `python -m`."""
