"""How others put voices together, for benchmarks.speakers: on the same networks' voices.

`senko 0.2.2`: its spectral clustering for recordings under 20 minutes, 3D-Speaker's, with its own
settings (speakerlab/process/cluster.py, Apache-2.0; senko/cluster/conf/spectral.yaml, MIT). It is
given what ours is given, not senko's pieces of a second and a half. Beyond 20 minutes senko uses
umap and hdbscan, which are not tried.

`pyannote 3.1`: agglomerative clustering as in speaker-diarization-3.1
(pyannote/audio/pipelines/clustering.py, MIT), with its settings for an embedding network of its
own. Community-1's VBx needs a PLDA trained for its network, and there is none for CAM++.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from longscribe.audio.voice_activity import Spans
from longscribe.speakers.spans import Span, SpanVoices
from longscribe.speakers.turns import Timed, assigned, turns
from longscribe.speakers.windows import EMBEDDING_SIZE, Embeddings

Labels = npt.NDArray[np.int64]
Matrix = npt.NDArray[np.float64]

SENKO: Final = "senko 0.2.2"
PYANNOTE: Final = "pyannote 3.1"
PUBLISHED: Final = (SENKO, PYANNOTE)

_SENKO_FEWEST: Final = 10  # fewer voices are one person
_SENKO_KEPT_SHARE: Final = 0.012
_SENKO_KEPT_LEAST: Final = 6
_SENKO_MOST: Final = 15
_SENKO_SMALLEST: Final = 4
_SENKO_SAME: Final = 0.875

_PYANNOTE_ALONE_S: Final = 2.0  # a fifth of a window
_PYANNOTE_DISTANCE: Final = 0.7045654963945799
_PYANNOTE_SMALLEST: Final = 12


def as_published(
    way: str, heard: Sequence[tuple[Span, SpanVoices]], duration_s: float, spoken: Spans
) -> list[Timed]:
    """When each person speaks, where people are found as another program does.

    Args:
        way: of `PUBLISHED`.
        heard: the recording's spans and what was heard in them.
        duration_s: of the recording.
        spoken: where somebody may be speaking, in seconds, shape (n, 2).
    """
    if not heard:
        return []
    embeddings = np.concatenate([voices.heard_embeddings() for _, voices in heard])
    alone_s = np.array([s for _, voices in heard for s in voices.alone_s])
    clear = alone_s >= (_PYANNOTE_ALONE_S if way == PYANNOTE else 0.5)
    points = embeddings[clear] if clear.any() else embeddings
    if not len(points):
        return []
    labels = (agglomerative if way == PYANNOTE else spectral)(points)
    means = [points[labels == one].mean(axis=0) for one in np.unique(labels)]
    people = np.array(means, np.float32).reshape(-1, EMBEDDING_SIZE)
    people /= np.linalg.norm(people, axis=1, keepdims=True)
    return turns(assigned(heard, people), len(people), duration_s, spoken)


def spectral(points: Embeddings) -> Labels:
    """Senko's labels of voices of length 1, shape (n, size)."""
    from scipy.cluster.vq import kmeans2

    count = len(points)
    if count < _SENKO_FEWEST:
        return np.zeros(count, np.int64)
    alike = (points @ points.T).astype(np.float64)
    cut = min(int((1 - _SENKO_KEPT_SHARE) * count), count - _SENKO_KEPT_LEAST)
    for row in alike:
        row[np.argsort(row)[:cut]] = 0.0
    alike = 0.5 * (alike + alike.T)
    np.fill_diagonal(alike, 0.0)
    laplacian = np.diag(np.abs(alike).sum(axis=1)) - alike
    values, vectors = np.linalg.eigh(laplacian)
    people = int(np.argmax(np.diff(values[: _SENKO_MOST + 1]))) + 1
    # scikit-learn's in senko; the best of ten starts there as here.
    tries = [
        kmeans2(vectors[:, :people], people, minit="++", seed=seed, missing="warn")
        for seed in range(10)
    ]
    labels = min(tries, key=lambda one: float(((vectors[:, :people] - one[0][one[1]]) ** 2).sum()))[
        1
    ]
    return _merged(_without_small(labels.astype(np.int64), points, _SENKO_SMALLEST), points)


def agglomerative(points: Embeddings) -> Labels:
    """Pyannote's labels of voices of length 1, shape (n, size)."""
    from scipy.cluster.hierarchy import fcluster, linkage

    if len(points) == 1:
        return np.zeros(1, np.int64)
    tree = linkage(points, method="centroid", metric="euclidean")
    labels = fcluster(tree, _PYANNOTE_DISTANCE, criterion="distance").astype(np.int64) - 1
    smallest = min(_PYANNOTE_SMALLEST, max(1, round(0.1 * len(points))))
    return _without_small(labels, points, smallest, whole=True)


def _without_small(
    labels: Labels, points: Embeddings, smallest: int, *, whole: bool = False
) -> Labels:
    """With few voices of a cluster, or the whole of it, given to the one that is most alike."""
    names, counts = np.unique(labels, return_counts=True)
    large = names[counts >= smallest]
    if not len(large):
        return np.zeros_like(labels)
    centres = _means(points, labels, large)
    result = labels.copy()
    for small in names[counts < smallest]:
        own = labels == small
        asked = _means(points, labels, [small]) if whole else points[own]
        result[own] = large[(_units(asked) @ _units(centres).T).argmax(axis=1)]
    return result


def _merged(labels: Labels, points: Embeddings) -> Labels:
    result = labels.copy()
    while len(names := np.unique(result)) > 1:
        centres = _units(_means(points, result, names))
        alike = np.triu(centres @ centres.T, 1)
        first, second = divmod(int(alike.argmax()), len(names))
        if alike[first, second] < _SENKO_SAME:
            break
        result[result == names[second]] = names[first]
    return result


def _means(points: Embeddings, labels: Labels, names: Sequence[int] | Labels) -> Embeddings:
    return np.stack([points[labels == one].mean(axis=0) for one in names])


def _units(points: Embeddings) -> Embeddings:
    return np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True), np.float32)
