"""The demo model: its data, its training recipe and held-out recordings."""
