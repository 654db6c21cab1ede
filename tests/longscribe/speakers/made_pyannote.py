"""community-1 played: a package `pyannote.audio` for processes that would import the real one, a
pipeline's folder, and what pyannote.audio 4 gives for a recording.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import yaml

Said = tuple[float, float, str]  # start, end, label

PARTS = ("segmentation", "embedding", "plda")
_PACKAGE = """
import os
from pathlib import Path

import yaml

from tests.longscribe.speakers.made_pyannote import Output


class Pipeline:
    @classmethod
    def from_pretrained(cls, folder):
        pipeline = cls()
        pipeline.config = yaml.safe_load(Path(folder, "config.yaml").read_text())
        return pipeline

    def __call__(self, file, hook, **bounds):
        made = self.config["made"]
        with open(made["calls"], "a") as calls:
            calls.write(f"{bounds} {os.environ['PYANNOTE_METRICS_ENABLED']}\\\\n")
        if made["fails"]:
            raise RuntimeError(made["fails"])
        hook("segmentation", None, file=file, total=2, completed=1)
        hook("embeddings", [], file=file)
        return Output([tuple(one) for one in made["says"]])
""".replace("\\\\n", "\\n")


class Turn(NamedTuple):
    """As a Segment of pyannote.core."""

    start: float
    end: float


class Annotation:
    """As much of pyannote.core's as is asked for."""

    def __init__(self, said: Sequence[Said]) -> None:
        self._said = said

    def itertracks(self, yield_label: bool) -> Iterator[tuple[Turn, str, str]]:
        assert yield_label
        for number, (start, end, label) in enumerate(self._said):
            yield Turn(start, end), str(number), label

    def labels(self) -> list[str]:
        return sorted({label for *_, label in self._said})


class Output:
    """As a DiarizeOutput of pyannote.audio.pipelines.speaker_diarization."""

    def __init__(self, said: Sequence[Said], embeddings: np.ndarray | None = None) -> None:
        self.speaker_diarization = self.exclusive_speaker_diarization = Annotation(said)
        count = len(self.speaker_diarization.labels())
        self.speaker_embeddings = np.eye(count, 256) if embeddings is None else embeddings


def write_pyannote(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Put the package into a folder that this process, workers and programs look into first."""
    package = folder / "pyannote" / "audio"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(_PACKAGE)
    about = folder / "pyannote_audio-4.0.7.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: pyannote.audio\nVersion: 4.0.7\n")
    patch.syspath_prepend(folder)
    project = Path(__file__).parents[3]
    patch.setenv("PYTHONPATH", os.pathsep.join((str(folder), str(project))))


def write_pipeline(folder: Path, said: Sequence[Said] = (), fails: str = "", **changes: Any) -> str:
    """Write a pipeline's folder; its path, as the option has it.

    Args:
        folder: that is made.
        said: what it hears in whatever recording.
        fails: what it says instead.
        changes: of the parameters in its configuration.
    """
    params: dict[str, Any] = {part: f"$model/{part}" for part in PARTS} | changes
    name = params.pop("name", "pyannote.audio.pipelines.SpeakerDiarization")
    for part in PARTS:
        (folder / part).mkdir(parents=True)
        (folder / part / "pytorch_model.bin").write_bytes(part.encode())
    made = {"said": 1, "says": [list(one) for one in said], "fails": fails}
    made["calls"] = str(folder / "calls.txt")
    content = {"pipeline": {"name": name, "params": params}, "made": made}
    (folder / "config.yaml").write_text(yaml.safe_dump(content))
    return str(folder)


def calls(pipeline: str) -> list[str]:
    """Each call of the package's pipeline: its bounds, and the metrics' switch."""
    path = Path(pipeline, "calls.txt")
    return path.read_text().splitlines() if path.exists() else []
