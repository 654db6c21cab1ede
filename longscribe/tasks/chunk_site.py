"""A chunk and its model where its worker is, which may share no disk with the run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from longscribe.audio.chunks import Chunk, OwnTempo
from longscribe.audio.recording import BYTES_PER_SAMPLE, read_samples
from longscribe.models.weights import ModelSpec
from longscribe.runtime.machine import scratch_folder
from longscribe.task_runner.cluster_inside import attachment

_SAMPLES: Final = "samples"
_OWN_TEMPO: Final = "own tempo"

_models: dict[str, ModelSpec] = {}  # of this process, by their digests


def packed(chunk: Chunk) -> dict[str, bytes]:
    """A chunk's samples, int16, as they travel."""
    own = chunk.own_tempo
    content = {
        _SAMPLES: read_samples(chunk.pcm_path, chunk.start_sample, chunk.stop_sample).tobytes()
    }
    if own is not None:
        samples = read_samples(own.pcm_path, own.start_sample, own.stop_sample)
        content[_OWN_TEMPO] = samples.tobytes()
    return content


def have_model(spec: ModelSpec) -> None:
    """On a worker elsewhere: where a model's weights are there."""
    _models[spec.sha256] = spec


def model_here(spec: ModelSpec) -> ModelSpec:
    """A model as it is on this machine."""
    return _models.get(spec.sha256, spec)


@contextmanager
def on_site(chunk: Chunk, spec: ModelSpec) -> Iterator[tuple[Chunk, ModelSpec]]:
    """A chunk and a model with the paths that they have where this is called.

    On the run's own machine these are the same. Elsewhere samples that came along lie in a file of
    the scratch folder while the block lasts.
    """
    content = attachment(_SAMPLES)
    if content is None:
        yield chunk, spec
        return
    with TemporaryDirectory(prefix="longscribe-", dir=scratch_folder()) as folder:
        path = _written(Path(folder, "samples.pcm"), content)
        own, own_content = chunk.own_tempo, attachment(_OWN_TEMPO)
        if own is not None and own_content is not None:
            own_path = _written(Path(folder, "own_tempo.pcm"), own_content)
            count = len(own_content) // BYTES_PER_SAMPLE
            own = OwnTempo(pcm_path=own_path, start_sample=0, stop_sample=count)
        here = {
            "pcm_path": path,
            "start_sample": 0,
            "stop_sample": len(content) // BYTES_PER_SAMPLE,
            "own_tempo": own,
        }
        yield chunk.model_copy(update=here), model_here(spec)


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
