"""The library's pages: what they show, who may see and change it, and that nothing in it runs."""

import base64
import re
from collections.abc import Callable

from fastapi import FastAPI
from starlette.testclient import TestClient

from longscribe.web.users import add_user
from tests.eventually import eventually
from tests.longscribe.web.conftest import PASSWORD, csrf_token, wav

HTML = {"accept": "text/html"}
NASTY = "<script>alert(1)</script>\"'&{{7*7}}.wav"


def drop(client: TestClient, token: str, name: str = "talk.wav", body: bytes | None = None) -> str:
    """Bring a recording as the page does; its id."""
    sound = wav() if body is None else body
    tus = {"tus-resumable": "1.0.0", "x-csrf-token": token}
    named = base64.b64encode(name.encode()).decode()
    metadata = f"filename {named},title {named},filetype YQ=="
    begun = client.post(
        "/uploads",
        headers=tus | {"upload-length": str(len(sound)), "upload-metadata": metadata},
    )
    assert begun.status_code == 201, begun.text
    kind = {"content-type": "application/offset+octet-stream", "upload-offset": "0"}
    sent = client.patch(begun.headers["location"], headers=tus | kind, content=sound)
    assert sent.status_code == 204, sent.text
    recording_id = begun.headers["location"].rpartition("/")[2]
    eventually(lambda: client.get(f"/jobs/{recording_id}").json()["state"], lambda s: s == "done")
    return recording_id


def post(client: TestClient, token: str, path: str, **fields: str) -> int:
    answer = client.post(path, data={"csrf_token": token, **fields}, headers=HTML)
    return answer.status_code


def test_from_a_drop_to_a_search_a_correction_and_the_end(
    client: TestClient, logged_in: Callable[..., str]
) -> None:
    token = logged_in()
    one = drop(client, token, "Board meeting.wav")
    assert "Board meeting.wav" in client.get("/", headers=HTML).text
    found = eventually(
        lambda: client.get("/?q=report", headers=HTML).text, lambda text: "<mark>report" in text
    )
    assert f"/recordings/{one}/page#t=0.0" in found

    page = client.get(f"/recordings/{one}/page").text
    assert f"/recordings/{one}/versions" in page
    saved = client.post(
        f"/recordings/{one}/versions",
        json={"based_on": 0, "texts": {"0": "Good evening to nobody."}},
        headers={"x-csrf-token": token},
    )
    assert saved.json() == {"version": 1}
    late = client.post(
        f"/recordings/{one}/versions",
        json={"based_on": 0, "texts": {"0": "Lost?"}},
        headers={"x-csrf-token": token},
    )
    assert late.status_code == 409
    assert "evening" in client.get(f"/recordings/{one}/download?format=txt").text
    assert client.get(f"/recordings/{one}/download?format=docx").content[:2] == b"PK"
    assert "Board" in client.get("/?q=evening", headers=HTML).text
    assert "0 recording(s)" in client.get("/?q=morning", headers=HTML).text

    assert post(client, token, f"/recordings/{one}/restore", number="0") == 200
    assert "morning" in client.get(f"/recordings/{one}/download?format=srt").text
    assert post(client, token, f"/recordings/{one}/restore", number="7") == 404

    assert post(client, token, f"/recordings/{one}", title="Board", tags="urgent, <b>x</b>") == 200
    listed = client.get("/?tag=urgent", headers=HTML).text
    assert ">Board<" in listed
    assert "<b>x" not in listed
    assert "Board" in client.get("/?q=boa", headers=HTML).text

    assert post(client, token, f"/recordings/{one}/delete") == 200
    assert client.get(f"/recordings/{one}", headers=HTML).status_code == 404
    assert "0 recording(s)" in client.get("/?q=report", headers=HTML).text


def test_sound_in_parts_and_never_as_a_page(
    client: TestClient, logged_in: Callable[..., str]
) -> None:
    one = drop(client, logged_in(), "talk.html", wav())
    whole = client.get(f"/recordings/{one}/sound")
    assert whole.status_code == 200
    assert "html" not in whole.headers["content-type"]
    part = client.get(f"/recordings/{one}/sound", headers={"range": "bytes=0-99"})
    assert part.status_code == 206
    assert len(part.content) == 100


def test_nothing_in_names_runs(client: TestClient, logged_in: Callable[..., str]) -> None:
    token = logged_in()
    one = drop(client, token, NASTY)
    post(client, token, f"/recordings/{one}", title=NASTY, tags=NASTY)
    for path in ("/", f"/recordings/{one}", f"/recordings/{one}/page", "/?q=<script>alert(1)"):
        shown = client.get(path, headers=HTML).text
        assert "<script>alert" not in shown, path
        assert ">49<" not in shown


def test_others_are_told_that_there_is_nothing(
    application: FastAPI, client: TestClient, logged_in: Callable[..., str]
) -> None:
    one = drop(client, logged_in("ana"))
    client.cookies.clear()
    token = logged_in("ben")
    for path in ("", "/page", "/sound", "/download"):
        assert client.get(f"/recordings/{one}{path}", headers=HTML).status_code == 404
    for path in ("", "/restore", "/share", "/unshare", "/cancel", "/delete", "/speakers"):
        fields = {"number": "0", "name": "ben", "user": "x", "title": "mine"}
        assert post(client, token, f"/recordings/{one}{path}", **fields) == 404
    edits = {"json": {"based_on": 0}, "headers": {"x-csrf-token": token}}
    assert client.post(f"/recordings/{one}/versions", **edits).status_code == 404
    assert one not in client.get("/", headers=HTML).text
    assert one not in client.get(f"/library/events?ids={one}").text


def test_shared_is_read_and_not_changed(
    application: FastAPI, client: TestClient, logged_in: Callable[..., str]
) -> None:
    token = logged_in("ana")
    one = drop(client, token)
    with application.state.services.database.begin() as db:
        add_user(db, "ben", PASSWORD)
    assert post(client, token, f"/recordings/{one}/share", name="nobody") == 400
    assert post(client, token, f"/recordings/{one}/share", name="ben") == 200
    client.cookies.clear()
    of_ben = csrf_token(client.post("/login", data={"name": "ben", "password": PASSWORD}).text)
    assert "shared by ana" in client.get(f"/recordings/{one}", headers=HTML).text
    assert "/versions" not in client.get(f"/recordings/{one}/page").text
    assert post(client, of_ben, f"/recordings/{one}/delete") == 403


def test_without_the_token_nothing_is_changed(
    client: TestClient, logged_in: Callable[..., str]
) -> None:
    one = drop(client, logged_in())
    paths = ("", "/restore", "/share", "/unshare", "/cancel", "/delete", "/speakers", "/versions")
    for path in paths:
        for token in ("", "forged"):
            fields = {"csrf_token": token, "number": "0", "title": "theirs", "name": "x"}
            answer = client.post(f"/recordings/{one}{path}", data=fields)
            assert answer.status_code == 403, path
    assert client.get(f"/jobs/{one}").json()["title"] == "talk.wav"
    assert client.post("/language", data={"language": "en"}).status_code == 403


def test_in_portuguese(client: TestClient, logged_in: Callable[..., str]) -> None:
    token = logged_in()
    shown = client.get("/", headers=HTML | {"accept-language": "pt-BR"}).text
    assert 'lang="pt-BR"' in shown
    assert not re.search(r">\s*(Search|Recordings|Add recordings)\s*<", shown)
    assert post(client, token, "/language", language="pt_BR") == 200
    assert 'lang="pt-BR"' in client.get("/", headers=HTML).text
    assert post(client, token, "/language", language="xx") == 400


def test_states_are_told_as_they_change(client: TestClient, logged_in: Callable[..., str]) -> None:
    one = drop(client, logged_in())
    told = client.get(f"/library/events?ids={one},{'0' * 32}").text
    assert '"shown": "done"' in told
    assert "event: over" in told
