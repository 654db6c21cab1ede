"""The engine: long recordings to transcripts, as a plain library without Prefect."""
