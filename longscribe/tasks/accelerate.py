"""Stage 2: the recording as 16 kHz mono samples, at the chosen tempo."""

from pathlib import Path

from prefect.logging import get_run_logger

from longscribe.audio.recording import AcceleratedAudio, Recording
from longscribe.audio.recording import accelerate as accelerate_audio
from longscribe.tasks.stage import stage
from longscribe.transcript import format_time

_CLIPPED_WORTH_SAYING = 0.001  # of all samples


@stage("accelerate", run_name="accelerate {speed}x")
def accelerate(source: Recording, speed: float, scratch: Path) -> AcceleratedAudio:
    """Decode a probed recording into the scratch folder and say what was found.

    Raises:
        RecordingError: the recording cannot be read or holds no sound.
        ResourceError: the scratch disk is too full.
    """
    logger = get_run_logger()
    logger.info(
        "Accelerating %r %gx: %s in %s, %d Hz, %d channel(s)",
        source.path.name,
        speed,
        source.codec,
        source.container,
        source.sample_rate_hz,
        source.channels,
    )
    audio = accelerate_audio(
        source,
        speed,
        scratch / "samples.pcm",
        on_progress=lambda done_s: logger.debug("Accelerated %s", format_time(done_s)),
    )
    logger.info(
        "Original duration %.1f s, accelerated duration %.1f s",
        audio.original_duration_s,
        audio.duration_s,
    )
    for finding in (*_choices(source), *_findings(audio)):
        logger.warning(finding)
    return audio


def _choices(source: Recording) -> list[str]:
    found = []
    if source.is_undeclared:
        found.append("The header declares less than there is: all of the file is read")
    if source.silent_tracks:
        silent = " and ".join(map(str, source.silent_tracks))
        found.append(
            f"Audio track {source.track} of {source.tracks} is heard: nothing is in track {silent}"
        )
    elif source.tracks > 1:
        found.append(
            f"Audio track {source.track} of {source.tracks} is heard; --audio-track chooses another"
        )
    return found


def _findings(audio: AcceleratedAudio) -> list[str]:
    findings = []
    if audio.cancelled_s:
        findings.append(
            f"The two channels cancel each other for {audio.cancelled_s:.1f} s: "
            "the louder one is taken there"
        )
    if audio.gain_db:
        findings.append(
            f"The samples lie far above full scale: brought down by {-audio.gain_db:.1f} dB"
        )
    if audio.missing_s:
        findings.append(
            f"The recording is cut off: {audio.missing_s:.1f} s of the "
            f"{audio.original_duration_s + audio.missing_s:.1f} s it declares are missing"
        )
    if audio.damaged_packets:
        findings.append(f"{audio.damaged_packets} damaged packet(s) were left out")
    if audio.filled_s:
        findings.append(f"Holes of {audio.filled_s:.1f} s in all were filled with silence")
    if audio.invalid_samples:
        findings.append(f"{audio.invalid_samples} samples were not numbers and were set to zero")
    if audio.clipped_samples > _CLIPPED_WORTH_SAYING * audio.original_samples:
        share = 100 * audio.clipped_samples / audio.original_samples
        findings.append(f"{share:.1f} % of the samples are clipped: recorded too loud")
    return findings
