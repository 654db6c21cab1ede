"""A plan over HTTP."""

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

import longscribe

Keys = Callable[..., dict[str, str]]


def test_it_is_what_python_gets(client: TestClient, key_of: Keys) -> None:
    asked = {"hours_per_day": 500, "model": "base", "core_hour_price": 0.04, "rows": "recording"}
    answer = client.get("/plan", params=asked, headers=key_of())
    assert answer.status_code == 200
    expected = longscribe.plan(500, "base", core_hour_price=0.04, rows="recording")
    assert answer.json() == expected.model_dump(mode="json")


@pytest.mark.parametrize(
    ("asked", "status", "field"),
    [
        ({}, 422, "hours_per_day"),
        ({"hours_per_day": 0}, 422, "hours_per_day"),
        ({"hours_per_day": 1, "rows": "column"}, 422, "rows"),
        ({"hours_per_day": 1, "cores": 4}, 422, "cores"),
        ({"hours_per_day": 1, "model": "whale"}, 400, "model"),
        ({"hours_per_day": 1, "gpu": "abacus"}, 400, "gpu"),
    ],
)
def test_what_is_wrong_is_said(
    client: TestClient, key_of: Keys, asked: dict[str, object], status: int, field: str
) -> None:
    answer = client.get("/plan", params=asked, headers=key_of())
    assert (answer.status_code, answer.json()["field"]) == (status, field)
    assert field in answer.json()["detail"]


def test_it_asks_for_a_key(client: TestClient) -> None:
    assert client.get("/plan", params={"hours_per_day": 1}).status_code == 401
