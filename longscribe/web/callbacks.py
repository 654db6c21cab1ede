"""Messages about finished jobs: queued with the job's end, sent until they arrive."""

import json
from typing import Any

from sqlalchemy.orm import Session as Db

from longscribe.web.settings import WebSettings
from longscribe.web.tables import Delivery, Recording


def queue_deliveries(db: Db, recording: Recording, settings: WebSettings) -> None:
    """Queue what is to be said about a recording that has ended, in the caller's transaction."""
    body = json.dumps(message_about(recording, settings), ensure_ascii=False)
    if recording.callback_url:
        db.add(Delivery(recording_id=recording.id, url=recording.callback_url, body=body))


def message_about(recording: Recording, settings: WebSettings) -> dict[str, Any]:
    """What is said about a job: how it ended, and where its texts are."""
    return {
        "id": recording.id,
        "state": recording.state,
        "message": recording.message,
        "title": recording.title,
        "duration_s": recording.duration_s,
        "language": recording.language,
        "ended_at": recording.ended_at,
        "transcript_url": f"{settings.url}/jobs/{recording.id}/transcript",
    }
