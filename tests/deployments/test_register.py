"""What the server is told, besides what `prefect deploy` tells it."""

import httpx
import pytest
from prefect.settings import PREFECT_API_URL

from longscribe.deployments.register import refuse_unknown_parameters, register


def test_unknown_parameters_are_refused_before_a_run_exists(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api = str(PREFECT_API_URL.value())
    monkeypatch.setenv("PREFECT_API_URL", api)  # `prefect deploy` is a process of its own
    register()
    refuse_unknown_parameters()  # again: nothing changes
    for name, known in {
        "transcribe/transcribe": {"recording": "a.wav"},
        "inbox/inbox": {"folder": "inbox"},
    }.items():
        deployment = httpx.get(f"{api}/deployments/name/{name}").json()["id"]
        url = f"{api}/deployments/{deployment}/create_flow_run"
        refused = httpx.post(url, json={"parameters": {**known, "nonsense": 1}})
        assert refused.status_code == 409
        assert "'nonsense' was unexpected" in refused.text
        assert httpx.post(url, json={"parameters": known}).status_code == 201
