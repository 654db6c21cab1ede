"""Measurements that do not belong into the tests; each runs by itself with `python -m`."""

import os

os.environ["LONGSCRIBE_UI_LANGUAGE"] = "en"  # they read the log's lines
