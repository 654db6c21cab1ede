"""The chunks' transcripts as one, with every second of the recording accounted for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from longscribe.audio.chunks import Chunk
from longscribe.audio.recording import SAMPLE_RATE_HZ
from longscribe.audio.timeline import Timeline
from longscribe.audio.voice_activity import Spans, clip_spans
from longscribe.transcript import (
    CHUNK_FAILED,
    MISSING_FROM_THE_FILE,
    SOUND_WITHOUT_TEXT,
    ChunkTranscript,
    Kind,
    Segment,
    Stretch,
    Transcript,
    Word,
)

# Sound without text shorter than this between segments is a breath, a cough or a long word ending;
# longer, it is music, noise or something missed, and reported.
_UNEXPLAINED_SOUND_S = 4.0


def merge(
    recording: str,
    chunks: Sequence[Chunk],
    transcripts: Iterable[ChunkTranscript],
    timeline: Timeline,
    sound: Spans,
    missing_s: float = 0.0,
    failures: Mapping[int, str] | None = None,
) -> Transcript:
    """Put the chunks' segments on the recording's timeline, sorted, without overlaps.

    Args:
        recording: its name, kept in the transcript.
        chunks: all chunks of the recording.
        transcripts: what the workers returned, in any order; a chunk without one becomes a gap.
        timeline: from accelerated to original times.
        sound: stretches of sound of the whole recording, in accelerated seconds.
        missing_s: seconds the container declares beyond what could be decoded: a gap at the end.
        failures: chunk index -> why it has no transcript; said in the gap.
    """
    by_index = {transcript.index: transcript for transcript in transcripts}
    segments: list[Segment] = []
    gaps: list[Stretch] = []
    for chunk in chunks:
        transcript = by_index.get(chunk.index)
        if transcript is None:
            why = (failures or {}).get(chunk.index)
            reason = f"{CHUNK_FAILED}: {why}" if why else CHUNK_FAILED
            gaps.append(_gap(chunk.original_start_s, chunk.original_end_s, reason))
            continue
        segments.extend(_on_timeline(chunk, segment, timeline) for segment in transcript.segments)
    segments = _without_overlaps(segments)
    end_s = timeline.original_duration_s
    if missing_s > 0.0:
        gaps.append(_gap(end_s, end_s + missing_s, MISSING_FROM_THE_FILE))
    original_sound = sound * (timeline.original_samples / max(1, timeline.accelerated_samples))
    heard = [by_index[c.index].language for c in chunks if c.index in by_index]
    merged = Transcript(
        recording=recording,
        duration_s=end_s + missing_s,
        language=next(filter(None, heard), ""),
        segments=tuple(segments),
        stretches=tuple(account(segments, gaps, original_sound, end_s + missing_s)),
        seams_s=tuple(chunk.original_end_s for chunk in chunks[:-1]),
    )
    return merged.model_copy(update={"language": next(iter(merged.languages), "")})


def account(
    segments: Iterable[Segment], gaps: Iterable[Stretch], sound: Spans, end_s: float
) -> list[Stretch]:
    """Tile [0, end_s] with stretches of speech, silence and gaps, sorted and without holes."""
    known = [Stretch(s.start, s.end, "speech") for s in segments] + list(gaps)
    stretches: list[Stretch] = []
    position_s = 0.0
    for stretch in sorted(known, key=lambda stretch: stretch.start):
        if stretch.start > position_s:
            stretches += _between(position_s, stretch.start, sound)
        _append(
            stretches, max(stretch.start, position_s), stretch.end, stretch.kind, stretch.reason
        )
        position_s = max(position_s, stretch.end)
    return stretches + _between(position_s, end_s, sound)


def _between(start_s: float, end_s: float, sound: Spans) -> list[Stretch]:
    stretches: list[Stretch] = []
    position_s = start_s
    for heard_s, stop_s in clip_spans(sound, start_s, end_s):
        if stop_s - heard_s >= _UNEXPLAINED_SOUND_S:
            _append(stretches, position_s, float(heard_s), "silence", "")
            _append(stretches, float(heard_s), float(stop_s), "gap", SOUND_WITHOUT_TEXT)
            position_s = float(stop_s)
    _append(stretches, position_s, end_s, "silence", "")
    return stretches


def _append(stretches: list[Stretch], start: float, end: float, kind: Kind, reason: str) -> None:
    if end <= start:
        return
    last = stretches[-1] if stretches else None
    if last and (last.kind, last.reason, last.end) == (kind, reason, start):
        stretches[-1] = replace(last, end=end)
    else:
        stretches.append(Stretch(start, end, kind, reason))


def _on_timeline(chunk: Chunk, segment: Segment, timeline: Timeline) -> Segment:
    offset_s = chunk.start_sample / SAMPLE_RATE_HZ

    def original(accelerated_s: float) -> float:
        original_s = timeline.to_original_s(offset_s + accelerated_s)
        # Whisper may end a segment past its audio (https://github.com/openai/whisper/issues/299).
        return round(min(max(original_s, chunk.original_start_s), chunk.original_end_s), 3)

    words = segment.words
    if words is not None:
        words = tuple(
            Word(
                word=w.word,
                start=original(w.start),
                end=original(w.end),
                probability=w.probability,
            )
            for w in words
        )
    seek = round(timeline.to_original_s(offset_s + segment.seek / 100) * 100)
    return replace(
        segment,
        seek=seek,
        start=original(segment.start),
        end=original(segment.end),
        words=words,
    )


def _without_overlaps(segments: list[Segment]) -> list[Segment]:
    """Sorted by start; where two overlap, both are cut back to the middle; renumbered."""
    result: list[Segment] = []
    for segment in sorted(segments, key=lambda s: (s.start, s.end)):
        if result and segment.start < result[-1].end:
            last = result[-1]
            middle_s = round((segment.start + min(last.end, segment.end)) / 2, 3)
            result[-1] = replace(last, end=max(last.start, middle_s))
            segment = replace(segment, start=middle_s, end=max(middle_s, segment.end))
        result.append(segment)
    return [replace(segment, id=number) for number, segment in enumerate(result)]


def _gap(start_s: float, end_s: float, reason: str) -> Stretch:
    return Stretch(start=round(start_s, 3), end=round(end_s, 3), kind="gap", reason=reason)
