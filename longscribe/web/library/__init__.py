"""The library in the browser: drop recordings, see them run, read, search, correct, share."""
