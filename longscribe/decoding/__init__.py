"""One chunk of samples to segments."""
