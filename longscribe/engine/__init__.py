"""Whisper networks: what computes them, on whichever processor."""
