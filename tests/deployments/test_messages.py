"""Messages at a recording's end, really sent: its four ends to a webhook, and an e-mail."""

import os
import re
import signal
from contextlib import suppress
from email import message_from_bytes
from email.message import Message
from typing import Any

import psutil
import pytest
from prefect.blocks.core import Block

from longscribe.deployments.automations import apply_automations
from tests.deployments.served import Receiver, Served, wait_for
from tests.ports import free_port
from tests.recordings import SYNTHETIC

pytestmark = [pytest.mark.service, pytest.mark.timeout(400)]


def the_message(receiver: Receiver, served: Served, run_id: str, state_name: str) -> dict[str, str]:
    """The one message about a run, which ended in this state."""
    wait_for(lambda: served.run(run_id)["state_name"] == state_name, 300)
    wait_for(lambda: bool(receiver.about(run_id)), 60)
    (message,) = receiver.about(run_id)
    assert message["subject"] == f"{served.run(run_id)['name']}: {state_name}"
    assert f"{served.url}/runs/flow-run/{run_id}" in message["body"]
    assert message["text"] == f"{message['subject']}\n{message['body']}"
    return message


def test_completed(served: Served, receiver: Receiver) -> None:
    run_id = served.trigger(recording=served.put(SYNTHETIC, "good.opus"))
    the_message(receiver, served, run_id, "Completed")


def test_failed(served: Served, receiver: Receiver) -> None:
    file = served.folder / "media" / "notes.odt"
    file.write_text("no recording", encoding="utf-8")
    message = the_message(receiver, served, served.trigger(recording=str(file)), "Failed")
    assert "is not a recording that FFmpeg can read" in message["body"]


def test_partial(served: Served, receiver: Receiver) -> None:
    """The worker of the first chunk is killed each time it takes it."""
    before = served.log.stat().st_size
    run_id = served.trigger(
        recording=served.put(SYNTHETIC, "partly.opus"),
        decoding="sequential",
        chunk_minutes=1,
        workers=1,
        fresh=True,
    )
    killed: set[int] = set()

    def kill_and_look() -> bool:
        log = served.log.read_bytes()[before:].decode(errors="replace")
        for pid in re.findall(r"Chunk 1 of \d+ started: .* pid (\d+)", log):
            if int(pid) not in killed and psutil.pid_exists(int(pid)):
                killed.add(int(pid))
                os.kill(int(pid), signal.SIGKILL)
        return served.run(run_id)["state_type"] in ("COMPLETED", "FAILED")

    wait_for(kill_and_look, 300)
    message = the_message(receiver, served, run_id, "Partial")
    assert re.search(r"ended Partial: (\d+) of \d+ chunks", message["body"])


def test_given_up(served: Served, receiver: Receiver) -> None:
    """Its process is killed whenever it is at it."""
    run_id = served.trigger(
        recording=served.put(SYNTHETIC, "killed.opus"), decoding="sequential", fresh=True
    )

    def kill_and_look() -> bool:
        run = served.run(run_id)
        if run["state_type"] == "RUNNING":
            with suppress(ProcessLookupError):
                os.kill(int(run["infrastructure_pid"]), signal.SIGKILL)
        return bool(run["state_type"] == "FAILED")

    wait_for(kill_and_look, 300)
    message = the_message(receiver, served, run_id, "Failed")
    assert "It broke off 6 times, last with SIGKILL" in message["body"]


# apprise/utils/pgp.py asks for it when an e-mail address is read.
@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_e_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    """An Apprise address reaches a mail server: through the block that the automations use."""
    smtp = pytest.importorskip("aiosmtpd.controller")
    mails: list[Message] = []

    class Mailbox:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            mails.append(message_from_bytes(envelope.content))
            return "250 OK"

    port = free_port()
    mail_server = smtp.Controller(Mailbox(), hostname="127.0.0.1", port=port)
    mail_server.start()
    try:
        monkeypatch.setenv(
            "LONGSCRIBE_NOTIFY_WEBHOOK",
            f"mailto://127.0.0.1:{port}?from=service@example.org&to=you@example.org&mode=insecure",
        )
        apply_automations()
        block: Any = Block.load("slack-webhook/longscribe-notify")
        block.notify("Recording talk ended Completed", "talk: Completed")
    finally:
        mail_server.stop()
        monkeypatch.delenv("LONGSCRIBE_NOTIFY_WEBHOOK")
        apply_automations()
    (mail,) = mails
    assert mail["Subject"] == "talk: Completed"
    assert "you@example.org" in mail["To"]
    assert "Recording talk ended Completed" in mail.as_string()
