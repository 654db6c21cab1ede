"""Stage 3: chunks cut at silences."""

from typing import NamedTuple

from prefect.logging import get_run_logger

from longscribe.audio import AcceleratedAudio
from longscribe.chunks import Chunk, make_chunks, plan_cuts
from longscribe.speech import Spans, levels_db, sound_spans
from tasks.stage import stage


class SplitAudio(NamedTuple):
    """The chunks, and the stretches of sound in accelerated seconds, shape (n, 2)."""

    chunks: list[Chunk]
    sound: Spans


@stage("split")
def split(audio: AcceleratedAudio, chunk_minutes: float, workers: int) -> SplitAudio:
    """Find the silences of a recording and cut it into chunks of at most about `chunk_minutes`.

    Towards the end they are shorter where workers would otherwise sit idle.
    """
    logger = get_run_logger()
    chunk_s = chunk_minutes * 60.0
    levels = levels_db(audio.pcm_path, audio.samples)
    sound = sound_spans(levels, audio.duration_s)
    cuts = plan_cuts(audio.samples, chunk_s, sound, levels, workers)
    chunks = make_chunks(audio, cuts, sound)
    logger.info(
        "Chunk length %g s, total %.1f s, %d chunk(s)", chunk_s, audio.duration_s, len(chunks)
    )
    heard_s = float((sound[:, 1] - sound[:, 0]).sum())
    logger.info("Sound in %.1f s of it, silence in %.1f s", heard_s, audio.duration_s - heard_s)
    for chunk in chunks:
        if not chunk.cut_in_pause:
            logger.info(
                "No pause near the end of chunk %s: cut at the quietest moment", chunk.number
            )
    return SplitAudio(chunks, sound)
