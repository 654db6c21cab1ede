"""Hooks: a command or an address of the operator's, told of every transcript. Off by default."""

import json
import os
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any, Final

from longscribe.web.backend import HAS_TRANSCRIPT
from longscribe.web.settings import WebSettings
from longscribe.web.tables import Delivery, Recording
from longscribe.web.transcripts import transcript_file
from longscribe.wording.catalog import translated

_WITHIN_S: Final = 600.0
_LAST_CHARS: Final = 400


def hook_deliveries(
    recording: Recording, settings: WebSettings, message: Mapping[str, Any]
) -> Iterator[Delivery]:
    """What the operator's hooks are to be told of a recording that has ended well.

    Args:
        recording: that ended.
        settings: with the hooks.
        message: as a callback would have it.
    """
    if recording.state not in HAS_TRANSCRIPT:
        return
    body = json.dumps({**message, "json_file": str(transcript_file(recording))})
    if settings.hook_command:
        yield Delivery(
            recording_id=recording.id, kind="command", url=settings.hook_command, body=body
        )
    if settings.hook_url:
        yield Delivery(recording_id=recording.id, kind="hook", url=settings.hook_url, body=body)


def run_command(delivery: Delivery) -> str:
    """Run the operator's command; the message is its standard input.

    No shell has a part in it: what is in a title stays a title. The transcript's file is also in
    LONGSCRIBE_TRANSCRIPT_FILE.

    Returns:
        why it failed; empty where it did not.
    """
    message = json.loads(delivery.body)
    environment = {**os.environ, "LONGSCRIBE_TRANSCRIPT_FILE": message["json_file"]}
    try:
        done = subprocess.run(
            shlex.split(delivery.url),
            input=delivery.body,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return translated("it was not done after {seconds:.0f} s").format(seconds=_WITHIN_S)
    except (OSError, ValueError) as error:
        return str(error)
    if done.returncode:
        sentence = translated("it ended with code {code}: {words}")
        return sentence.format(code=done.returncode, words=done.stderr.strip()[-_LAST_CHARS:])
    return ""
