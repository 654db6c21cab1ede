"""Who speaks when, told by the voice; and which words are whose."""
