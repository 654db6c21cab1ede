"""Messages about finished jobs: queued in the database with the job's end, sent until they arrive.

Signed as Standard Webhooks (https://www.standardwebhooks.com) has it, so that its libraries check
them: HMAC-SHA256 of `id.timestamp.body` by the secret of the job's user. The time stamp is that of
the attempt: whoever refuses old ones is safe from messages that somebody else sends again.
"""

import base64
import hashlib
import hmac
import json
import logging
import random
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

import httpx
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session as Db

from longscribe.errors import InputError
from longscribe.storage.access import Access
from longscribe.storage.ssrf_guard import PublicOnly
from longscribe.storage.uris import is_web
from longscribe.web.backend import HAS_TRANSCRIPT
from longscribe.web.hooks import hook_deliveries, run_command
from longscribe.web.problems import Problem
from longscribe.web.services import Services
from longscribe.web.settings import WebSettings
from longscribe.web.tables import Delivery, Recording, User
from longscribe.web.transcripts import read_transcript, transcript_file
from longscribe.wording.catalog import translated

# After each failed attempt; some three days in all, then it is given up and stays listed.
_PAUSES_S: Final = (5, 30, 120, 600, 1800, 3600, 7200, *(14_400,) * 4, *(28_800,) * 6)
_TIMEOUT_S: Final = 15.0
_LOOK_EVERY_S: Final = 1.0
_AT_ONCE: Final = 8
_MOST_DUE: Final = 50
_LARGEST_ANSWER_BYTES: Final = 65_536
_LOGGER: Final = logging.getLogger(__name__)


def check_callback(url: str) -> None:
    """Refuse an address that nothing can be sent to, before a job is made.

    Where it leads is looked at when it is sent, each time anew.

    Raises:
        Problem: 400.
    """
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        parsed = httpx.URL("")
    if not is_web(url) or not parsed.host or parsed.userinfo:
        sentence = translated("callback_url: give an https:// or http:// URL without a password.")
        raise Problem(400, sentence, field="callback_url", code="invalid_value")


def queue_deliveries(db: Db, recording: Recording, settings: WebSettings) -> None:
    """Queue what is to be said about a recording that has ended, in the caller's transaction."""
    if recording.callback_url:
        message = message_about(recording, settings)
        if recording.callback_with_text:
            message["text"] = _text_of(recording)
        body = json.dumps(message, ensure_ascii=False)
        db.add(Delivery(recording_id=recording.id, url=recording.callback_url, body=body))
    for delivery in hook_deliveries(recording, settings, message_about(recording, settings)):
        db.add(delivery)


def message_about(recording: Recording, settings: WebSettings) -> dict[str, Any]:
    """What is said about a job: how it ended, and where its texts are."""
    return {
        "type": f"job.{recording.state}",
        "id": recording.id,
        "state": recording.state,
        "message": recording.message,
        "title": recording.title,
        "duration_s": recording.duration_s,
        "language": recording.language,
        "created_at": recording.created_at,
        "ended_at": recording.ended_at,
        "job_url": f"{settings.url}/jobs/{recording.id}",
        "transcript_url": f"{settings.url}/jobs/{recording.id}/transcript",
    }


def signature(secret: str, delivery_id: str, timestamp: int, body: str) -> str:
    """The header `webhook-signature` of a message, by a secret such as `whsec_` and base64."""
    signed = f"{delivery_id}.{timestamp}.{body}".encode()
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


class Deliverer:
    """Sends what is due, in a thread of its own.

    Args:
        services: of the application.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="deliverer", daemon=True)
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="delivery")
        self._under_way: set[str] = set()
        access = Access.from_environment()
        self._client = _client(PublicOnly(access.private_hosts))
        self._client_of_operator = _client(None)  # whose hook may be on this machine

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Send no more; returns when the thread is gone."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._client.close()
        self._client_of_operator.close()

    def send_due(self) -> list[Future[None]]:
        """Begin to send what is due now, once each; one that is slow holds no other up."""
        with self._services.database.begin() as db:
            due = list(
                db.execute(
                    select(Delivery, User.callback_secret)
                    .join(Recording, Recording.id == Delivery.recording_id)
                    .join(User, User.id == Recording.user_id)
                    .where(Delivery.next_at.is_not(None), Delivery.next_at <= time.time())
                    .order_by(Delivery.next_at)
                    .limit(_MOST_DUE)
                )
            )
        begun = []
        for row in due:
            delivery, secret = row._tuple()
            if delivery.id not in self._under_way and len(self._under_way) < _AT_ONCE:
                self._under_way.add(delivery.id)
                begun.append(self._pool.submit(self._attempt, delivery, secret))
        return begun

    def _attempt(self, delivery: Delivery, secret: str) -> None:
        try:
            self._attempt_once(delivery, secret)
        except SQLAlchemyError as error:  # tried again, as nothing says that it was sent
            _LOGGER.warning("the database does not answer: %s", str(error).partition("\n")[0])
        finally:
            self._under_way.discard(delivery.id)

    def _attempt_once(self, delivery: Delivery, secret: str) -> None:
        status, error = None, ""
        if delivery.kind == "command":
            error = run_command(delivery)
        else:
            status, error = self._send(delivery, secret)
        with self._services.database.begin() as db:
            current = db.get(Delivery, delivery.id)
            if current is None:
                return
            current.attempts += 1
            current.status, current.error = status, error[:500]
            if not error:
                current.delivered_at, current.next_at = time.time(), None
            elif current.attempts > len(_PAUSES_S) or status == 410:  # 410: never again
                current.next_at = None
            else:
                pause_s = _PAUSES_S[current.attempts - 1]
                current.next_at = time.time() + pause_s * random.uniform(0.8, 1.2)

    def _send(self, delivery: Delivery, secret: str) -> tuple[int | None, str]:
        """The answer's status, and what went wrong; empty where nothing did."""
        timestamp = int(time.time())
        headers = {
            "content-type": "application/json",
            "webhook-id": delivery.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(secret, delivery.id, timestamp, delivery.body),
        }
        try:
            client = self._client if delivery.kind == "callback" else self._client_of_operator
            with client.stream(
                "POST", delivery.url, content=delivery.body.encode(), headers=headers
            ) as answer:
                read = 0
                for block in answer.iter_bytes():
                    read += len(block)
                    if read > _LARGEST_ANSWER_BYTES:
                        break
                if answer.is_success:
                    return answer.status_code, ""
                sentence = translated("it answered {status}").format(status=answer.status_code)
                return answer.status_code, sentence
        except InputError as error:  # no public address
            return None, str(error)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return None, f"{type(error).__name__}: {error}"

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.send_due()
            except SQLAlchemyError as error:
                why = str(error).partition("\n")[0]
                _LOGGER.warning("the database does not answer: %s", why)
            self._stop.wait(_LOOK_EVERY_S)


def _client(transport: httpx.BaseTransport | None) -> httpx.Client:
    return httpx.Client(
        transport=transport,
        timeout=_TIMEOUT_S,
        follow_redirects=False,  # the address that was given, or none
        headers={"user-agent": "longscribe"},
    )


def deliveries_of(db: Db, recording_id: str) -> list[Delivery]:
    """What was or is to be sent about a recording, the first first."""
    query = select(Delivery).where(Delivery.recording_id == recording_id)
    return list(db.scalars(query.order_by(Delivery.created_at)))


def send_again(db: Db, recording_id: str, delivery_id: str) -> Delivery:
    """Send a message once more, from now on, whatever became of it.

    Raises:
        Problem: 404, there is none.
    """
    delivery = db.get(Delivery, delivery_id)
    if delivery is None or delivery.recording_id != recording_id:
        raise Problem(404, translated("There is no such delivery."), code="not_found")
    delivery.attempts, delivery.next_at, delivery.delivered_at = 0, time.time(), None
    return delivery


def _text_of(recording: Recording) -> str:
    if recording.state not in HAS_TRANSCRIPT:
        return ""
    try:
        return read_transcript(transcript_file(recording)).text.strip()
    except (OSError, ValueError):
        return ""
