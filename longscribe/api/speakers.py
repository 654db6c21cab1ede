"""Who speaks, in this process."""

from longscribe.audio.recording import AcceleratedAudio
from longscribe.audio.voice_activity import Spans
from longscribe.options import RunOptions
from longscribe.speakers.diarization import Diarization, diarize, spans_of
from longscribe.speakers.weights import find_weights


def needs_own_tempo(options: RunOptions) -> bool:
    """Whether the samples are kept at the recording's own tempo, beside those that are heard."""
    return options.hears_again or (options.voice_count is not None and options.tempo != 1.0)


def who_speaks(audio: AcceleratedAudio, speech: Spans, options: RunOptions) -> Diarization | None:
    """The people of a recording and their turns; None where nobody asked.

    Args:
        audio: its samples.
        speech: where there is any, in accelerated seconds.
        options: of the run.

    Raises:
        ModelError: the networks cannot be had.
    """
    if options.voice_count is None:
        return None
    weights = find_weights()
    # Here, not above: it brings torch.
    from longscribe.speakers.listening import listener

    original = speech * (audio.original_samples / max(1, audio.samples))
    spans = spans_of(audio.own_tempo_path or audio.pcm_path, audio.original_samples, original)
    heard = [(span, listener(weights).listen(span)) for span in spans]
    return diarize(heard, audio.original_duration_s, original, options.voice_count)
