"""What the pages say of a recording."""

from longscribe.transcript import format_time
from longscribe.web.tables import Recording
from longscribe.wording.catalog import translated


def state_word(state: str) -> str:
    """A state in a word or two."""
    return {
        "queued": translated("waiting"),
        "running": translated("running"),
        "done": translated("done"),
        "partial": translated("done, with gaps"),
        "failed": translated("failed"),
        "cancelled": translated("cancelled"),
    }[state]


def state_shown(recording: Recording) -> str:
    """Such as "running, 40 %, 0:02:10 left"."""
    shown = state_word(recording.state)
    if recording.state != "running":
        return shown
    parts = [shown, f"{recording.percent:.0f} %"]
    if recording.left_s is not None:
        parts.append(translated("{time} left").format(time=format_time(recording.left_s)))
    return ", ".join(parts)
