"""Stage 3: chunks cut at silences."""

from typing import NamedTuple

from prefect.logging import get_run_logger

from longscribe.audio.chunks import Chunk, make_chunks, plan_cuts
from longscribe.audio.recording import AcceleratedAudio
from longscribe.audio.voice_activity import Spans, find_speech, levels_db, sound_spans
from longscribe.cache.cut_plan import Plan
from longscribe.options import VoiceActivity
from longscribe.tasks.stage import stage
from longscribe.wording.catalog import translated


class SplitAudio(NamedTuple):
    """The chunks, the cuts between them; sound and speech in accelerated seconds, shape (n, 2)."""

    chunks: list[Chunk]
    cuts: list[tuple[int, bool]]
    sound: Spans
    speech: Spans


@stage("split")
def split(
    audio: AcceleratedAudio,
    chunk_minutes: float,
    workers: int,
    earlier: Plan | None = None,
    vad: VoiceActivity = "model",
) -> SplitAudio:
    """Find the silences of a recording and cut it into chunks of at most about `chunk_minutes`.

    Towards the end they are shorter where workers would otherwise sit idle.

    Args:
        audio: the recording's samples.
        chunk_minutes: of accelerated audio.
        workers: that will share the chunks.
        earlier: how an earlier run cut it: taken over, as that run's results fit no other cuts.
        vad: what is heard: speech, all sound, or everything.
    """
    logger = get_run_logger()
    chunk_s = chunk_minutes * 60.0
    levels = levels_db(audio.pcm_path, audio.samples)
    sound = sound_spans(levels, audio.duration_s)
    speech = find_speech(audio.pcm_path, audio.samples, vad, sound, audio.duration_s)
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
    for chunk in chunks:
        if not chunk.cut_in_pause:
            logger.info(
                translated("No pause near the end of chunk %s: cut at the quietest moment"),
                chunk.number,
            )
    return SplitAudio(chunks, cuts, sound, speech)
