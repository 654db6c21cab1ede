"""The steps of one recording as a story, and the command line that starts it."""
