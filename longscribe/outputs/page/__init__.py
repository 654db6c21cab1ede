"""The transcript as one HTML page to read and listen to."""
