"""Words over all transcripts: quick, one's own, and nothing in them is the database's."""

import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert

from longscribe.transcript import Segment, Transcript
from longscribe.web.callers import Caller
from longscribe.web.database import Database
from longscribe.web.library.search import marked, put_into_index, search
from longscribe.web.library.tables import Indexed, Passage
from longscribe.web.recordings import share_with
from longscribe.web.tables import Recording, User
from longscribe.web.users import add_user
from tests.deployments.served import wait_for
from tests.postgresql import IS_INSTALLED, PostgreSql

WORDS = (
    *("meeting", "budget", "river", "winter", "piano", "engine", "garden", "letter", "market"),
    *("summer", "report", "Monday"),
)


def recording(user: User, title: str, number: int = 0) -> Recording:
    return Recording(
        id=f"{number:032x}",
        user_id=user.id,
        title=title,
        source="talk.wav",
        origin="page",
        parameters={},
        folder="",
        file_stem="talk",
        state="done",
    )


def said(*texts: str) -> Transcript:
    segments = [
        Segment(n, 0, 10.0 * n, 10.0 * n + 9, f" {text}", (), 0.0, -0.2, 1.0, 0.0)
        for n, text in enumerate(texts)
    ]
    return Transcript(recording="talk.wav", duration_s=100.0, language="en", segments=segments)


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSql]:
    if not IS_INSTALLED:
        pytest.skip("PostgreSQL is not installed")
    server = PostgreSql(tmp_path_factory.mktemp("postgresql"))
    with subprocess.Popen(server.command, stderr=subprocess.DEVNULL) as process:
        wait_for(server.answers, 60)
        yield server
        process.send_signal(signal.SIGINT)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path / 'web.sqlite'}"
    if request.param == "postgresql":
        server: PostgreSql = request.getfixturevalue("postgresql")
        url = f"postgresql://{server.create(f'd{secrets.token_hex(4)}')}"
    database = Database(url)
    yield database
    database.close()


def found(database: Database, user: User, asked: str) -> list[str]:
    with database.begin() as db:
        return [one.recording.title for one in search(db, Caller(user), asked)]


@pytest.fixture
def users(database: Database) -> tuple[User, User]:
    with database.begin() as db:
        ana, ben = add_user(db, "ana"), add_user(db, "ben")
        for number, (title, text) in enumerate(
            [
                ("First", "The café was closed on Monday, he said."),
                ("Second", "Ação e reação; the committee's decision."),
                ("三", "今日は天気がいいですね"),
            ]
        ):
            one = recording(ana, title, number)
            db.add(one)
            db.flush()
            put_into_index(db, one, said(text, "Something else."), 0)
    return ana, ben


@pytest.mark.parametrize(
    ("asked", "titles"),
    [
        ("monday", ["First"]),
        ("cafe closed", ["First"]),
        ("clos", ["First"]),
        ("acao", ["Second"]),
        ("天気", ["三"]),
        ("second", ["Second"]),  # a title
        ("monday committee", []),
        ("committee's", ["Second"]),
    ],
)
def test_words_are_found(
    database: Database, users: tuple[User, User], asked: str, titles: list[str]
) -> None:
    assert found(database, users[0], asked) == titles


@pytest.mark.parametrize(
    "asked",
    [
        '"',
        "'; DROP TABLE recordings; --",
        "words:*",
        "NEAR(a b)",
        "a AND",
        "*",
        "-x",
        "",
        "\0",
        "%",
    ],
)
def test_nothing_that_is_asked_is_the_database_s(
    database: Database, users: tuple[User, User], asked: str
) -> None:
    found(database, users[0], asked)
    assert found(database, users[0], "monday") == ["First"]


def test_others_find_what_is_shared_with_them(database: Database, users: tuple[User, User]) -> None:
    _, ben = users
    assert found(database, ben, "monday") == []
    with database.begin() as db:
        one = db.get(Recording, f"{0:032x}")
        assert one is not None
        share_with(db, one, ben)
    assert found(database, ben, "monday") == ["First"]
    assert found(database, ben, "committee") == []


def test_what_is_saved_again_or_deleted_is_not_found_as_it_was(
    database: Database, users: tuple[User, User]
) -> None:
    with database.begin() as db:
        one = db.get(Recording, f"{0:032x}")
        assert one is not None
        put_into_index(db, one, said("The shop was open."), 1)
    assert found(database, users[0], "cafe") == []
    assert found(database, users[0], "shop") == ["First"]
    with database.begin() as db:
        db.delete(db.get(Recording, f"{0:032x}"))
    assert found(database, users[0], "shop") == []


def test_ten_thousand_recordings_stay_quick(database: Database) -> None:
    with database.begin() as db:
        ana, ben = add_user(db, "ana"), add_user(db, "ben")
        of_all = {
            "origin": "page",
            "source": "",
            "parameters": {},
            "folder": "",
            "file_stem": "talk",
            "state": "done",
        }
        rows = [
            of_all | {"id": f"{n:032x}", "user_id": (ana, ben)[n % 2].id, "title": f"Talk {n}"}
            for n in range(10_000)
        ]
        db.execute(insert(Recording), rows)
        passages = [
            {
                "recording_id": f"{n:032x}",
                "start_s": 20.0 * k,
                "text": (text := f"{WORDS[(n + k) % 12]} {WORDS[(n * 7 + k) % 12]} number{n}"),
                "words": text.lower(),
            }
            for n in range(10_000)
            for k in range(2)
        ]
        db.execute(insert(Passage), passages)
        db.execute(insert(Indexed), [{"recording_id": row["id"], "version": 0} for row in rows])
    for asked, most in (("monday", 50), ("number9998", 1), ("river riv", 50), ("nothing", 0)):
        started_s = time.process_time()
        titles = found(database, ana, asked)
        assert time.process_time() - started_s < 0.2
        assert len(titles) <= most
        assert bool(titles) == bool(most)


def test_what_is_found_is_marked() -> None:
    assert marked("On Monday, mondays!", ["on", "mond"]) == [
        ("On", True),
        (" ", False),
        ("Monday", True),
        (", ", False),
        ("mondays", True),
        ("!", False),
    ]
