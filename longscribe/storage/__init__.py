"""Where recordings come from and transcripts go."""
