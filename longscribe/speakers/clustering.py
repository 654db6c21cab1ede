"""Which voices are the same person: over the whole recording, however long it is."""

from typing import Final

import numpy as np
import numpy.typing as npt

from longscribe.speakers.windows import Embeddings

SAME_VOICE: Final = 0.40
SAME_PERSON: Final = 0.62
_CLEAR_S: Final = 1.5  # of a voice alone
_HARDLY_S: Final = 0.1
# With fewer, as in half a minute of talk, shorter moments count too: 22.5 to 21.3 % errors on AMI.
_FEWEST_CLEAR: Final = 8
_MOST_AT_ONCE: Final = 1200
_SURELY_SAME: Final = 0.7
_LEAST_SHARE: Final = 0.02
_LEAST_S: Final = 6.0
_MOST_BRANCHES: Final = 60

Labels = npt.NDArray[np.int64]
Seconds = npt.NDArray[np.float32]


def people(embeddings: Embeddings, seconds: Seconds, least: int = 1, most: int = 20) -> Embeddings:
    """The people whose voices these are.

    Args:
        embeddings: of voices, shape (n, 192), each of length 1.
        seconds: for how long each was heard alone.
        least: people there are at least.
        most: people there are at most.

    Returns:
        what each sounds like, of length 1, shape (people, 192).
    """
    if not len(embeddings):
        return embeddings
    clear = seconds >= _CLEAR_S
    if clear.sum() < max(_FEWEST_CLEAR, least):
        clear = seconds > 0.0 if seconds.any() else np.ones(len(seconds), np.bool_)
        seconds = np.maximum(seconds, _HARDLY_S)
    points, weights = _grouped(embeddings[clear], seconds[clear])
    labels = _tree(points, weights, least)
    centres, spoken_s = _centres(points, weights, labels)
    return _merged(centres, spoken_s, least, most)


def _grouped(points: Embeddings, weights: Seconds) -> tuple[Embeddings, Seconds]:
    """As many as one tree can hold: those that surely are the same voice taken together."""
    while len(points) > _MOST_AT_ONCE:
        before = len(points)
        parts = []
        for at in range(0, len(points), _MOST_AT_ONCE):
            piece, weight = points[at : at + _MOST_AT_ONCE], weights[at : at + _MOST_AT_ONCE]
            if len(piece) < 2:
                parts.append((piece, weight))
                continue
            parts.append(_centres(piece, weight, _cut(_linked(piece), 1.0 - _SURELY_SAME)))
        points = np.concatenate([centres for centres, _ in parts])
        weights = np.concatenate([spoken for _, spoken in parts])
        if len(points) > 0.9 * before:  # little is the same: the shortest are left out
            kept = np.sort(np.argsort(-weights)[:_MOST_AT_ONCE])
            points, weights = points[kept], weights[kept]
    return points, weights


def _tree(points: Embeddings, weights: Seconds, least: int) -> Labels:
    """The person of each, by how alike voices are, or by as many branches as `least` asks for."""
    if len(points) == 1:
        return np.zeros(1, np.int64)
    tree = _linked(points)
    labels = _cut(tree, 1.0 - SAME_VOICE)
    enough_s = min(_LEAST_S, _LEAST_SHARE * float(weights.sum()))
    for branches in range(least, min(len(points), _MOST_BRANCHES) + 1):
        if (np.bincount(labels, weights) >= enough_s).sum() >= least:
            break
        labels = _branches(tree, branches)
    return labels


def _linked(points: Embeddings) -> npt.NDArray[np.float64]:
    from scipy.cluster.hierarchy import linkage

    return np.asarray(linkage(points, method="average", metric="cosine"))


def _cut(tree: npt.NDArray[np.float64], distance: float) -> Labels:
    from scipy.cluster.hierarchy import fcluster

    return np.asarray(fcluster(tree, distance, criterion="distance"), np.int64) - 1


def _branches(tree: npt.NDArray[np.float64], count: int) -> Labels:
    from scipy.cluster.hierarchy import fcluster

    return np.asarray(fcluster(tree, count, criterion="maxclust"), np.int64) - 1


def _centres(points: Embeddings, weights: Seconds, labels: Labels) -> tuple[Embeddings, Seconds]:
    count = int(labels.max()) + 1
    sums = np.zeros((count, points.shape[1]), np.float32)
    np.add.at(sums, labels, points * weights[:, None])
    spoken = np.bincount(labels, weights, count).astype(np.float32)
    return _units(sums), spoken


def _merged(centres: Embeddings, spoken_s: Seconds, least: int, most: int) -> Embeddings:
    """People whose voices are alike taken together, and those who hardly speak left out."""
    order = np.argsort(-spoken_s)
    sums, spoken_s = centres[order] * spoken_s[order, None], spoken_s[order]
    while len(sums) > least:
        units = _units(sums)
        alike = units @ units.T
        np.fill_diagonal(alike, -1.0)
        first, second = divmod(int(alike.argmax()), len(units))
        total_s = float(spoken_s.sum())
        shortest = int(spoken_s.argmin())
        if alike[first, second] >= SAME_PERSON or len(sums) > 3 * most:
            keep, gone = min(first, second), max(first, second)
            sums[keep] += sums[gone]
            spoken_s[keep] += spoken_s[gone]
        elif spoken_s[shortest] < min(_LEAST_S, _LEAST_SHARE * total_s) or len(sums) > most:
            gone = shortest
        else:
            break
        sums = np.delete(sums, gone, axis=0)
        spoken_s = np.delete(spoken_s, gone)
    return _units(sums)


def _units(sums: Embeddings) -> Embeddings:
    lengths = np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
    return np.asarray(sums / lengths, np.float32)
