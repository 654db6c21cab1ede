"""Chunks: where a long recording is cut, and what a worker is told about its piece."""

import hashlib
import heapq
import math
from itertools import accumulate, pairwise, takewhile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from longscribe.audio.recording import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ, AcceleratedAudio
from longscribe.audio.timeline import Timeline
from longscribe.audio.voice_activity import HOP_S, Spans, clip_spans, silence_spans
from longscribe.transcript import format_time
from longscribe.wording.catalog import translated

# A cut is looked for close to its target and then wider, (fraction of the chunk length, shortest
# pause in seconds after the detector's padding): between phrases first, then at any pause at all.
_SEARCHES = ((0.05, 0.25), (0.1, 0.0))
_QUIET_WINDOW_S = 0.2

# A remainder shorter than this fraction of a chunk joins the chunk before it.
_SHORTEST_TAIL_FRACTION = 0.1

# Workers are kept busy to the end by shorter chunks, but not by ones that hold only a few windows.
_SHORTEST_CHUNK_S = 60.0
_BUSY_ENOUGH = 0.97

# Of a second of sound: windows are filled with sound and the short pauses in it.
_WORK_OF_SILENCE = 0.05

_DIGEST_BLOCK_BYTES = 1 << 20


class OwnTempo(BaseModel):
    """A chunk's samples at the recording's own tempo: a part of another scratch file."""

    model_config = ConfigDict(frozen=True)

    pcm_path: Path
    start_sample: int
    stop_sample: int


class Chunk(BaseModel):
    """One piece of an accelerated recording, as it travels to a worker.

    `start_sample` and `stop_sample` count the 16 kHz samples of the scratch file; `sound` holds the
    stretches of sound within the chunk, in accelerated seconds from the chunk's start; the original
    times are seconds of the recording as the user knows it. `own_tempo` is there where what the
    model is unsure of is to be heard again. `lane` is the number of the channel or file that it
    is a part of, and `speaker` that one's name, where each is heard by itself.
    """

    model_config = ConfigDict(frozen=True)

    index: int
    count: int
    pcm_path: Path
    start_sample: int
    stop_sample: int
    original_start_s: float
    original_end_s: float
    sha256: str
    cut_in_pause: bool
    sound: tuple[tuple[float, float], ...]
    own_tempo: OwnTempo | None = None
    lane: int = 0
    speaker: str = ""

    @property
    def number(self) -> str:
        """The chunk's number of how many, counted from one: `3 of 7`."""
        return translated("{number} of {count}").format(number=self.index + 1, count=self.count)

    @property
    def span(self) -> str:
        """Where the chunk lies in the recording: `0:20:00-0:30:00`, `..., Host`."""
        span = f"{format_time(self.original_start_s)}-{format_time(self.original_end_s)}"
        return f"{span}, {self.speaker}" if self.speaker else span

    @property
    def label(self) -> str:
        """The chunk's name in the Prefect UI: `chunk 03 of 07, 0:20:00-0:30:00`."""
        digits = max(2, len(str(self.count)))  # so that names sort as the chunks lie
        return f"chunk {self.index + 1:0{digits}d} of {self.count:0{digits}d}, {self.span}"

    @property
    def duration_s(self) -> float:
        """Length of the chunk in accelerated seconds."""
        return (self.stop_sample - self.start_sample) / SAMPLE_RATE_HZ


def chunk_lengths(duration_s: float, chunk_s: float, workers: int = 1) -> list[float]:
    """How long the chunks of a recording should be, in order.

    All but the last few are `chunk_s` long; those are shorter where workers would otherwise sit
    idle at the end, and a short recording is shared out among the workers.
    """
    count = max(1, math.ceil(duration_s / chunk_s))
    if count > 1 and duration_s - (count - 1) * chunk_s < _SHORTEST_TAIL_FRACTION * chunk_s:
        count -= 1
    # A remainder that joined its neighbour may make that one longer than a chunk.
    longest_s = max(chunk_s, duration_s / count)
    most = max(count, min(count + 2 * workers, int(duration_s / _SHORTEST_CHUNK_S)))
    best, best_busy = [chunk_s] * (count - 1) + [duration_s - (count - 1) * chunk_s], 0.0
    for pieces in range(count, most + 1):
        for shorter in range(1, pieces + 1):
            piece_s = (duration_s - (pieces - shorter) * chunk_s) / shorter
            if not min(_SHORTEST_CHUNK_S, 0.5 * chunk_s) <= piece_s <= longest_s:
                continue
            lengths = [chunk_s] * (pieces - shorter) + [piece_s] * shorter
            busy = duration_s / (workers * _makespan_s(lengths, workers))
            if busy > best_busy + 1e-9:
                best, best_busy = lengths, busy
        if best_busy >= _BUSY_ENOUGH:
            break
    return best


def most_chunks(duration_s: float, chunk_s: float) -> int:
    """How many chunks a recording makes at most: as many workers may have something to do."""
    return max(1, math.ceil(duration_s / chunk_s), int(duration_s / _SHORTEST_CHUNK_S))


def _makespan_s(lengths: list[float], workers: int) -> float:
    """When the last of the workers is done, each taking the next chunk as soon as it is free."""
    free_s = [0.0] * workers
    for length_s in lengths:
        heapq.heapreplace(free_s, free_s[0] + length_s)
    return max(free_s)


def plan_cuts(
    samples: int,
    chunk_s: float,
    sound: Spans,
    levels: npt.NDArray[np.float32],
    workers: int = 1,
) -> list[tuple[int, bool]]:
    """Where to cut a recording of `samples` into chunks of about `chunk_s`.

    The number of chunks is known before any pause is (`chunk_lengths`); each cut goes to the middle
    of the longest pause near its target, or, where nobody pauses, to the quietest moment.

    Returns:
        (sample, whether it lies in a pause) of each cut between two chunks, rising; may be empty.
    """
    duration_s = samples / SAMPLE_RATE_HZ
    lengths = _with_equal_work(chunk_lengths(duration_s, chunk_s, workers), chunk_s, sound)
    pauses = silence_spans(sound, duration_s)
    cuts = []
    for target_s, around in zip(accumulate(lengths[:-1]), pairwise(lengths), strict=True):
        cut_s, in_pause = _best_cut(target_s, min(around), duration_s, pauses, levels)
        cuts.append((round(cut_s * SAMPLE_RATE_HZ), in_pause))
    return cuts


def _with_equal_work(lengths: list[float], chunk_s: float, sound: Spans) -> list[float]:
    """The same lengths, but the last ones, which workers share at the end, with as much sound each.

    Silence costs next to nothing. Where one of them would be longer than a chunk they stay equal.
    """
    tail = sum(1 for _ in takewhile(lambda s: abs(s - lengths[-1]) < 1e-6, reversed(lengths)))
    end_s = sum(lengths)
    start_s = end_s - tail * lengths[-1]
    times_s = np.concatenate(([start_s], clip_spans(sound, start_s, end_s).reshape(-1), [end_s]))
    rates = np.full(len(times_s) - 1, _WORK_OF_SILENCE)
    rates[1::2] = 1.0
    work = np.concatenate(([0.0], np.cumsum(rates * np.diff(times_s))))
    edges_s = np.interp(np.linspace(0.0, work[-1], tail + 1), work, times_s)
    shared = np.diff(edges_s)
    if shared.max() > max(chunk_s, lengths[-1]) or shared.min() < 0.5 * lengths[-1]:
        return lengths
    return [*lengths[: len(lengths) - tail], *shared.tolist()]


def make_chunks(audio: AcceleratedAudio, cuts: list[tuple[int, bool]], sound: Spans) -> list[Chunk]:
    """The chunks between the cuts; together they hold every sample, the tail included."""
    timeline = Timeline.of(audio)
    edges = [(0, True), *cuts, (audio.samples, True)]
    scale = audio.original_samples / max(1, audio.samples)
    chunks = []
    for index, ((start, _), (stop, in_pause)) in enumerate(pairwise(edges)):
        start_s, stop_s = start / SAMPLE_RATE_HZ, stop / SAMPLE_RATE_HZ
        spans = clip_spans(sound, start_s, stop_s) - start_s
        chunks.append(
            Chunk(
                index=index,
                count=len(edges) - 1,
                pcm_path=audio.pcm_path,
                start_sample=start,
                stop_sample=stop,
                original_start_s=timeline.to_original_s(start_s),
                original_end_s=timeline.to_original_s(stop_s),
                sha256=_digest(audio.pcm_path, start, stop),
                cut_in_pause=in_pause,
                sound=tuple((round(a, 3), round(b, 3)) for a, b in spans.tolist()),
                own_tempo=None
                if audio.own_tempo_path is None
                else OwnTempo(
                    pcm_path=audio.own_tempo_path,
                    start_sample=round(start * scale),
                    stop_sample=round(stop * scale),
                ),
            )
        )
    return chunks


def _best_cut(
    target_s: float,
    chunk_s: float,
    duration_s: float,
    pauses: Spans,
    levels: npt.NDArray[np.float32],
) -> tuple[float, bool]:
    for fraction, shortest_s in _SEARCHES:
        low_s, high_s = _search_range(target_s, chunk_s, duration_s, fraction)
        near = clip_spans(pauses, low_s, high_s)
        lengths_s = near[:, 1] - near[:, 0]
        if len(near) and lengths_s.max() >= shortest_s:
            # Among equally long pauses the one nearest the target.
            longest = near[lengths_s >= lengths_s.max() - HOP_S]
            middles_s = longest.mean(axis=1)
            return float(middles_s[np.argmin(np.abs(middles_s - target_s))]), True
    first, last = int(low_s / HOP_S), int(high_s / HOP_S)
    width = round(_QUIET_WINDOW_S / HOP_S)
    smooth = np.convolve(levels[first:last], np.ones(width) / width, mode="same")
    return (first + int(np.argmin(smooth)) + 0.5) * HOP_S, False


def _search_range(
    target_s: float, chunk_s: float, duration_s: float, fraction: float
) -> tuple[float, float]:
    # Never so near the end that nothing would be left for the last chunk.
    reach_s = min(fraction * chunk_s, 0.5 * (duration_s - target_s))
    return target_s - reach_s, target_s + reach_s


def _digest(pcm_path: Path, start_sample: int, stop_sample: int) -> str:
    digest = hashlib.sha256()
    left = (stop_sample - start_sample) * BYTES_PER_SAMPLE
    with pcm_path.open("rb") as file:
        file.seek(start_sample * BYTES_PER_SAMPLE)
        while left > 0:
            block = file.read(min(left, _DIGEST_BLOCK_BYTES))
            digest.update(block)
            left -= len(block)
    return digest.hexdigest()
