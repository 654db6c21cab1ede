"""Stage 2: the recording as 16 kHz mono samples, at the chosen tempo."""

from collections.abc import Sequence
from pathlib import Path

from prefect.logging import get_run_logger

from longscribe.audio.lanes import HeardLane, Lane, hear_lanes
from longscribe.audio.recording import AcceleratedAudio, Recording
from longscribe.options import VoiceActivity
from longscribe.tasks.stage import stage
from longscribe.transcript import format_time
from longscribe.wording.catalog import translated

_CLIPPED_WORTH_SAYING = 0.001  # of all samples


@stage("accelerate", run_name="accelerate {speed}x")
def accelerate(
    lanes: Sequence[Lane],
    speed: float,
    scratch: Path,
    keep_own_tempo: bool = False,
    vad: VoiceActivity = "model",
) -> list[HeardLane]:
    """Decode a probed recording into the scratch folder and say what was found.

    Args:
        lanes: of the recording, or of several of one conversation: what is heard by itself.
        speed: tempo that it is brought to.
        scratch: the folder.
        keep_own_tempo: whether its samples are kept at their own tempo, too.
        vad: what is heard: speech, all sound, or everything.

    Raises:
        RecordingError: a recording cannot be read or holds no sound, or all lanes are the same.
        ResourceError: the scratch disk is too full.
    """
    logger = get_run_logger()
    files = {lane.file: lane.recording for lane in lanes}
    for source in files.values():
        logger.info(
            translated("Accelerating %r %gx: %s in %s, %d Hz, %d channel(s)"),
            source.path.name,
            speed,
            source.codec,
            source.container,
            source.sample_rate_hz,
            source.channels,
        )
    heard = hear_lanes(
        lanes,
        speed,
        scratch,
        keep_own_tempo=keep_own_tempo,
        vad=vad,
        on_progress=lambda done_s: logger.debug(translated("Accelerated %s"), format_time(done_s)),
    )
    longest = max((lane.audio for lane in heard), key=lambda audio: audio.original_samples)
    logger.info(
        translated("Original duration %.1f s, accelerated duration %.1f s"),
        longest.original_duration_s,
        longest.duration_s,
    )
    for source in files.values():
        for finding in _choices(source):
            logger.warning(finding)
    for lane in heard:
        for finding in _findings(lane.audio):
            logger.warning("%s: %s" if lane.name else "%s%s", lane.name, finding)
    return heard


def _choices(source: Recording) -> list[str]:
    found = []
    if source.is_undeclared:
        found.append(translated("The header declares less than there is: all of the file is read"))
    if source.silent_tracks:
        choice = translated(
            "Audio track {track} of {tracks} is heard: silence or hum is in track {silent}"
        )
        silent = translated(" and ").join(map(str, source.silent_tracks))
        found.append(choice.format(track=source.track, tracks=source.tracks, silent=silent))
    elif source.tracks > 1:
        choice = translated(
            "Audio track {track} of {tracks} is heard; --audio-track chooses another"
        )
        found.append(choice.format(track=source.track, tracks=source.tracks))
    return found


def _findings(audio: AcceleratedAudio) -> list[str]:
    findings = []
    if audio.cancelled_s:
        finding = translated(
            "Channels cancel each other for {cancelled:.1f} s: the louder ones are taken there"
        )
        findings.append(finding.format(cancelled=audio.cancelled_s))
    if audio.offset:
        finding = translated("A constant offset of {share:.1f} % of full scale was taken away")
        findings.append(finding.format(share=100 * abs(audio.offset)))
    if audio.gain_db < 0:
        finding = translated("The samples lie far above full scale: brought down by {gain:.1f} dB")
        findings.append(finding.format(gain=-audio.gain_db))
    if audio.gain_db > 0:
        finding = translated("The recording is quiet: brought up by {gain:.1f} dB")
        findings.append(finding.format(gain=audio.gain_db))
    if audio.missing_s:
        findings.append(
            translated(
                "The recording is cut off: {missing:.1f} s of the {declared:.1f} s it declares are "
                "missing"
            ).format(missing=audio.missing_s, declared=audio.original_duration_s + audio.missing_s)
        )
    if audio.damaged_packets:
        finding = translated("{count} damaged packet(s) were left out")
        findings.append(finding.format(count=audio.damaged_packets))
    if audio.filled_s:
        finding = translated("Holes of {filled:.1f} s in all were filled with silence")
        findings.append(finding.format(filled=audio.filled_s))
    if audio.invalid_samples:
        finding = translated("{count} samples were not numbers and were set to zero")
        findings.append(finding.format(count=audio.invalid_samples))
    if audio.clipped_samples > _CLIPPED_WORTH_SAYING * audio.original_samples:
        share = 100 * audio.clipped_samples / audio.original_samples
        finding = translated("{share:.1f} % of the samples are clipped: recorded too loud")
        findings.append(finding.format(share=share))
    return findings
