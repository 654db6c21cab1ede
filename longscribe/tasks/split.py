"""Stage 3: chunks cut at silences."""

from collections.abc import Sequence
from typing import NamedTuple

from prefect.logging import get_run_logger

from longscribe.audio.activity import activity_of
from longscribe.audio.chunks import Chunk, make_chunks, plan_cuts
from longscribe.audio.lanes import HeardLane, in_order
from longscribe.audio.voice_activity import Spans
from longscribe.cache.cut_plan import Plan
from longscribe.options import VoiceActivity
from longscribe.tasks.stage import stage
from longscribe.wording.catalog import translated


class SplitLane(NamedTuple):
    """How a lane of so many samples is cut; sound and speech in accelerated seconds, (n, 2)."""

    samples: int
    cuts: list[tuple[int, bool]]
    sound: Spans
    speech: Spans


class SplitAudio(NamedTuple):
    """The chunks of all lanes, in the order in which they lie in the recording."""

    chunks: list[Chunk]
    lanes: list[SplitLane]


@stage("split")
def split(
    heard: Sequence[HeardLane],
    chunk_minutes: float,
    workers: int,
    earlier: Sequence[Plan | None] = (),
    vad: VoiceActivity = "model",
) -> SplitAudio:
    """Find the silences of every lane and cut it into chunks of at most about `chunk_minutes`.

    Towards the end they are shorter where workers would otherwise sit idle. A lane in which nobody
    speaks has none, unless that is so in all.

    Args:
        heard: the lanes' samples; one of an ordinary recording.
        chunk_minutes: of accelerated audio.
        workers: that will share the chunks.
        earlier: for each lane how an earlier run cut it: taken over, as that run's results fit no
            other cuts.
        vad: what is heard: speech, all sound, or everything.
    """
    plans = earlier or [None] * len(heard)
    made = [
        _split_lane(lane, chunk_minutes * 60.0, workers, plan, vad)
        for lane, plan in zip(heard, plans, strict=True)
    ]
    speaking = [bool(len(lane.speech)) for lane, _ in made]
    of_lanes = [
        chunks if speaks or not (number or any(speaking)) else []
        for number, (speaks, (_, chunks)) in enumerate(zip(speaking, made, strict=True))
    ]
    chunks = in_order(of_lanes, [lane.name for lane in heard])
    for chunk in chunks:
        if not chunk.cut_in_pause:
            get_run_logger().info(
                translated("No pause near the end of chunk %s: cut at the quietest moment"),
                chunk.number,
            )
    return SplitAudio(chunks, [lane for lane, _ in made])


def _split_lane(
    lane: HeardLane, chunk_s: float, workers: int, earlier: Plan | None, vad: VoiceActivity
) -> tuple[SplitLane, list[Chunk]]:
    logger = get_run_logger()
    audio = lane.audio
    if lane.name:
        logger.info(translated("%s: %.1f s of another channel muted"), lane.name, lane.muted_s)
    levels, sound, speech = activity_of(audio, vad)
    if earlier is not None and earlier.samples == audio.samples:
        cuts = list(earlier.cuts)
        logger.info(translated("Cut as in an earlier run"))
    else:
        cuts = plan_cuts(audio.samples, chunk_s, speech, levels, workers)
    chunks = make_chunks(audio, cuts, speech)
    logger.info(
        translated("Chunk length %g s, total %.1f s, %d chunk(s)"),
        chunk_s,
        audio.duration_s,
        len(chunks),
    )
    sound_s, speech_s = (float((spans[:, 1] - spans[:, 0]).sum()) for spans in (sound, speech))
    logger.info(
        translated("Sound in %.1f s of it, speech in %.1f s, silence in %.1f s"),
        sound_s,
        speech_s,
        audio.duration_s - sound_s,
    )
    return SplitLane(audio.samples, cuts, sound, speech), chunks
