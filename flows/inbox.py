"""Placeholder until the next commit."""

from prefect import flow


@flow(name="inbox")
def inbox(folder: str, output_dir: str) -> None:
    """Sweep."""
