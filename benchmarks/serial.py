"""One recording through the engine in this process: no Prefect and no pool, only the engine."""

import tempfile
from pathlib import Path

from longscribe.audio.chunks import make_chunks, plan_cuts
from longscribe.audio.recording import accelerate, probe
from longscribe.audio.timeline import Timeline
from longscribe.audio.voice_activity import find_speech, levels_db, sound_spans
from longscribe.decoding.chunk import transcribe_chunk
from longscribe.models.weights import resolve_model
from longscribe.options import RunOptions
from longscribe.text.merge import merge
from longscribe.text.rules import improve
from longscribe.transcript import Transcript


def transcribe_serially(options: RunOptions) -> Transcript:
    """The transcript of a recording, chunk after chunk."""
    spec = resolve_model(options.model, options.model_dir)
    with tempfile.TemporaryDirectory() as folder:
        audio = accelerate(
            probe(options.recording_path), options.speed, Path(folder) / "samples.pcm"
        )
        levels = levels_db(audio.pcm_path, audio.samples)
        sound = sound_spans(levels, audio.duration_s)
        speech = find_speech(audio.pcm_path, audio.samples, options.vad, sound, audio.duration_s)
        cuts = plan_cuts(audio.samples, options.chunk_minutes * 60.0, speech, levels)
        chunks = make_chunks(audio, cuts, speech)
        batch_size = 8 if options.batch_size == "auto" else options.batch_size
        results = [
            transcribe_chunk(chunk, spec, options.for_chunks, batch_size) for chunk in chunks
        ]
    timeline = Timeline.of(audio)
    merged = merge(options.recording_path.name, chunks, results, timeline, sound, audio.missing_s)
    return improve(merged, speech * (audio.original_samples / audio.samples))
