"""After stage 7, in runs of a deployment: the transcript where the API and the UI can read it.

Whoever started such a run need not have access to the worker's disk: each written text is an
artifact of the run, `transcript-txt`, `transcript-srt` and so on.
"""

from collections.abc import Sequence
from pathlib import Path

from prefect.artifacts import Artifact, create_markdown_artifact
from prefect.logging import get_run_logger

from longscribe.tasks.current_run import is_deployment_s
from longscribe.tasks.stage import stage
from longscribe.wording.catalog import translated

_TEXTS = (".txt", ".srt", ".vtt", ".tsv", ".json")
_WORDS = ".words.json"  # whose key would be that of the transcript
# Ten hours with the tokens of every segment; more than this is no request for a database.
_LARGEST_BYTES = 16_000_000


def publish(files: Sequence[Path]) -> None:
    """Store the texts among a run's files on the Prefect server, if it is a deployment's run."""
    if is_deployment_s():
        _publish([f for f in files if f.suffix in _TEXTS and not f.name.endswith(_WORDS)])


@stage("publish")
def _publish(files: Sequence[Path]) -> None:
    for file in files:
        key = f"transcript-{file.suffix[1:]}"
        if file.stat().st_size > _LARGEST_BYTES:
            get_run_logger().warning(translated("%s is too large for an artifact: %s"), key, file)
            continue
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".txt":
            create_markdown_artifact(text, key=key, description=file.name)
        else:
            Artifact(type=file.suffix[1:], key=key, description=file.name, data=text).create()
