"""The Python API: recordings to transcripts in this process, without a server."""
