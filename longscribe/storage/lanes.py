"""The lanes of a run, from the files that its options name."""

from collections.abc import Sequence
from pathlib import Path

from longscribe.audio.lanes import Lane, lanes_of
from longscribe.audio.recording import probe
from longscribe.options import RunOptions
from longscribe.storage.uris import is_url


def lanes_in(files: Sequence[Path], options: RunOptions) -> list[Lane]:
    """What a run transcribes by itself.

    Args:
        files: the recordings, here.
        options: of the run.

    Raises:
        RecordingError: one cannot be read, or there is nothing to tell speakers by.
        OptionError: there are too many names.
    """
    found = [probe(file, options.audio_track_number) for file in files]
    names = options.speaker_names if options.by_channel or options.together else ()
    return lanes_of(found, by_channel=options.by_channel, names=names)


def lanes_on_disk(options: RunOptions) -> list[Lane] | None:
    """The same before a run; None where some are still to be fetched, the others being probed.

    Raises: as `lanes_in`.
    """
    places = [place for place in options.recordings if not is_url(place)]
    if len(places) == len(options.recordings):
        return lanes_in([Path(place) for place in places], options)
    for place in places:
        probe(Path(place), options.audio_track_number)
    return None
