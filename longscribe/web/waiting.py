"""Waiting for a recording's transcript, for those who are still connected.

The transcript is there as soon as its file is, whole or not at all; that the run has ended is known
some moments later. So the file is looked for, which costs microseconds, and the state of the run
is what the follower says.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from longscribe.outputs.partial_texts import texts_so_far
from longscribe.transcript import Transcript
from longscribe.web.backend import ENDED, HAS_TRANSCRIPT
from longscribe.web.problems import Problem
from longscribe.web.services import Services
from longscribe.web.tables import Recording
from longscribe.web.transcripts import read_transcript, transcript_file
from longscribe.wording.catalog import translated

_LOOK_EVERY_S: Final = 0.02
_LOOK_LESS_OFTEN_AFTER_S: Final = 30.0
_LOOK_LESS_OFTEN_S: Final = 0.25
_MOST_LOOKS_PER_S: Final = 200.0  # of all who wait: one who waits alone looks as often as above
_TEXTS_EVERY_S: Final = 0.5
_STATE_EVERY_S: Final = 5.0  # where nobody told of a change
_FIRST_AFTER_S: Final = 0.3  # it may have ended before anybody waited
_CONNECTED_EVERY_S: Final = 1.0


async def transcript_of_job(
    request: Request, services: Services, recording: Recording
) -> Transcript:
    """A recording's transcript, when it is there.

    Raises:
        Problem: the run failed (500) or was cancelled (409), or nobody waits any more (499): the
            run goes on then.
    """
    async for _ in _looks(request, services, recording, _STATE_EVERY_S):
        pass
    return await run_in_threadpool(read_transcript, transcript_file(recording))


async def texts_of_job(
    request: Request, services: Services, recording: Recording
) -> AsyncIterator[str]:
    """The texts of a recording's chunks as they are finished; over when the transcript is there.

    Raises:
        Problem: as `transcript_of_job`.
    """
    folder = transcript_file(recording).parent
    told = 0
    async for _ in _looks(request, services, recording, _TEXTS_EVERY_S):
        texts = list(await run_in_threadpool(texts_so_far, folder))
        for text in texts[told:]:
            yield text
        told = max(told, len(texts))


async def _looks(
    request: Request, services: Services, recording: Recording, every_s: float
) -> AsyncIterator[None]:
    """Until the transcript is there: each time that the recording changed, and every so often.

    Raises:
        Problem: as `transcript_of_job`.
    """
    file = transcript_file(recording)
    began_s = connected_at_s = time.monotonic()
    state_at_s = began_s - every_s + _FIRST_AFTER_S
    with services.changes.watching(recording.id) as changed:
        while not file.exists():
            now_s = time.monotonic()
            if changed.is_set() or now_s - state_at_s > every_s:
                changed.clear()
                state_at_s = now_s
                await run_in_threadpool(_check_state, services, recording.id, file)
                yield
            if now_s - connected_at_s > _CONNECTED_EVERY_S:
                connected_at_s = now_s
                if await request.is_disconnected():
                    raise Problem(499, translated("Nobody waits for the answer any more."))
            is_early = now_s - began_s < _LOOK_LESS_OFTEN_AFTER_S
            pause_s = _LOOK_EVERY_S if is_early else _LOOK_LESS_OFTEN_S
            waiting = len(services.changes.waited_for())
            await asyncio.sleep(max(pause_s, waiting / _MOST_LOOKS_PER_S))


def _check_state(services: Services, recording_id: str, file: Path) -> None:
    with services.database.begin() as db:
        recording = db.get(Recording, recording_id)
    if recording is None:
        raise Problem(409, translated("The recording was deleted."), code="deleted")
    if recording.state not in ENDED or file.exists():
        return
    if recording.state == "cancelled":
        raise Problem(409, translated("The job was cancelled."), code="cancelled")
    if recording.state in HAS_TRANSCRIPT:
        raise Problem(500, translated("The transcript's file is gone."), code="gone")
    why = recording.message or translated("the Prefect UI says why")
    sentence = translated("The recording could not be transcribed: {why}")
    # What the run found wrong with its input is the caller's to mend.
    raise Problem(500, sentence.format(why=why), code="transcription_failed")
