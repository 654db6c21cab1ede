"""prefect.yaml: every key means something to Prefect, and registering it again changes nothing."""

from typing import Any

import httpx
import pytest
import yaml
from prefect.cli.deploy._models import (
    DeploymentConfig,
    PrefectYamlModel,
    RawScheduleConfig,
    WorkPoolConfig,
)
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.settings import PREFECT_API_URL
from prefect.utilities.callables import parameter_schema
from pydantic import BaseModel

from longscribe.deployments.register import use_pool
from longscribe.errors import ServerError
from longscribe.flows.deployment import settings
from longscribe.flows.transcribe import transcribe
from longscribe.flows.work_pool import FOR_RECORDINGS, QUEUES, WORK_POOL, prepare_work_pool
from longscribe.options import RunOptions
from tests.flows.conftest import PROJECT, deploy

NAMES = ("transcribe/transcribe", "inbox/inbox")
FILE: dict[str, Any] = yaml.safe_load((PROJECT / "prefect.yaml").read_text(encoding="utf-8"))


def unknown_keys(part: dict[str, Any], model: type[BaseModel]) -> set[str]:
    known = {field.alias or name for name, field in model.model_fields.items()}
    return set(part) - known


def test_prefect_knows_every_key() -> None:
    """It ignores the others without a word."""
    assert unknown_keys(FILE, PrefectYamlModel) == set()
    for deployment in FILE["deployments"]:
        assert unknown_keys(deployment, DeploymentConfig) == set()
        assert unknown_keys(deployment["work_pool"], WorkPoolConfig) == set()
        for schedule in deployment.get("schedules", ()):
            assert unknown_keys(schedule, RawScheduleConfig) == set()
        assert "concurrency_limit" not in deployment


def registered() -> dict[str, dict[str, Any]]:
    """The deployments as the server has them, without what changes with every registration."""
    found = {}
    for name in NAMES:
        answer = httpx.get(f"{PREFECT_API_URL.value()}/deployments/name/{name}").json()
        for volatile in ("updated", "last_polled", "status", "work_queue_id"):
            answer.pop(volatile, None)
        for schedule in answer["schedules"]:
            schedule.pop("updated")
        found[name] = answer
    return found


def test_registering_twice_changes_nothing(deployed: None) -> None:
    before = registered()
    prepare_work_pool()
    deploy()
    assert registered() == before


def test_what_is_registered(deployed: None) -> None:
    found = registered()
    transcribe, inbox = found[NAMES[0]], found[NAMES[1]]
    assert [d["work_queue_name"] for d in (transcribe, inbox)] == ["default", "inbox"]
    assert transcribe["schedules"] == []
    assert transcribe["parameters"] == {
        "model": "turbo",
        "output_dir": str(PROJECT / "transcripts"),
    }
    assert transcribe["pull_steps"] == [
        {"prefect.deployments.steps.set_working_directory": {"directory": str(PROJECT)}}
    ]
    assert transcribe["enforce_parameter_schema"]
    assert transcribe["concurrency_limit"] is None
    ((schedule,), parameters) = (inbox["schedules"], inbox["parameters"])
    assert schedule["active"]
    assert (schedule["schedule"]["cron"], schedule["schedule"]["timezone"]) == (
        "*/2 * * * *",
        "UTC",
    )
    assert parameters["folder"] == str(PROJECT / "inbox")
    for deployment in found.values():
        assert deployment["description"]
        assert deployment["version"]
        assert "longscribe" in deployment["tags"]


def test_the_environment_sets_places_model_and_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "LONGSCRIBE_APP": "/opt/longscribe",
        "LONGSCRIBE_INBOX": "s3://bucket/inbox",
        "LONGSCRIBE_MODEL": "small",
        "LONGSCRIBE_INBOX_CRON": "0 2 * * *",
        "LONGSCRIBE_TIME_ZONE": "",  # as Compose passes what is not set
    }.items():
        monkeypatch.setenv(name, value)
    found = settings()
    del found["version"]
    assert found == {
        "directory": "/opt/longscribe",
        "inbox": "s3://bucket/inbox",
        "transcripts": "/opt/longscribe/transcripts",
        "model": "small",
        "inbox_cron": "0 2 * * *",
        "time_zone": "UTC",
    }


def test_another_pool_must_be_there(deployed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGSCRIBE_POOL", "jobs")
    with pytest.raises(ServerError, match="no work pool 'jobs'"):
        prepare_work_pool()
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name="jobs", type="docker"))
        prepare_work_pool()
        assert {queue.name for queue in QUEUES} <= {
            queue.name for queue in client.read_work_queues("jobs")
        }
        use_pool()
        before = [client.read_deployment_by_name(name) for name in NAMES]
        assert [(one.work_pool_name, one.work_queue_name) for one in before] == [
            ("jobs", "default"),
            ("jobs", "inbox"),
        ]
        monkeypatch.delenv("LONGSCRIBE_POOL")
        deploy()
        after = [client.read_deployment_by_name(name) for name in NAMES]
        assert [one.work_pool_name for one in after] == [WORK_POOL, WORK_POOL]
        client.delete_work_pool("jobs")


def test_queues_are_served_in_their_order(deployed: None) -> None:
    with get_client(sync_client=True) as client:
        queues = client.read_work_queues(WORK_POOL)
    by_priority = sorted(queues, key=lambda queue: queue.priority or 0)
    assert [(queue.name, queue.description) for queue in by_priority] == [
        (queue.name, queue.holds) for queue in QUEUES
    ]
    assert FOR_RECORDINGS == ("urgent", "short", "default", "background")


BAD_REQUESTS: list[dict[str, Any]] = [
    {"parameters": {}},
    {"parameters": {"recording": ["a.wav"]}},
    {"parameters": {"recording": "a.wav", "speed": 9}},
    {"parameters": {"recording": "a.wav", "speed": "fast"}},
    {"parameters": {"recording": "a.wav", "task": "summarize"}},
    {"parameters": {"recording": "a.wav", "formats": ["exe"]}},
    {"parameters": {"recording": "a.wav", "workers": 0}},
    {"parameters": {"recording": "a.wav", "best_of": 10_000}},
    {"parameters": {"recording": "a.wav"}, "job_variables": {"command": "id"}},
    {
        "parameters": {"recording": "a.wav"},
        "job_variables": {"env": {"LONGSCRIBE_MEDIA_ROOTS": ""}},
    },
    {"parameters": {"recording": "a.wav"}, "job_variables": {"working_dir": "/etc"}},
]


@pytest.mark.parametrize("request_", BAD_REQUESTS, ids=lambda request: str(request)[1:70])
def test_bad_requests_are_refused_before_a_run_exists(
    deployed: None, request_: dict[str, Any]
) -> None:
    api = str(PREFECT_API_URL.value())
    deployment = httpx.get(f"{api}/deployments/name/{NAMES[0]}").json()["id"]
    # Of this deployment: the server makes runs of the inbox's schedule meanwhile.
    of_it = {"deployments": {"id": {"any_": [deployment]}}}
    before = httpx.post(f"{api}/flow_runs/count", json=of_it).json()
    answer = httpx.post(f"{api}/deployments/{deployment}/create_flow_run", json=request_)
    assert answer.status_code in (409, 422)
    assert httpx.post(f"{api}/flow_runs/count", json=of_it).json() == before


def test_the_form_shows_words_choices_and_limits(deployed: None) -> None:
    for deployment in registered().values():
        schema = deployment["parameter_openapi_schema"]
        for name, field in schema["properties"].items():
            assert len(field.get("description", "")) > 5, name
    fields = registered()[NAMES[0]]["parameter_openapi_schema"]["properties"]
    assert registered()[NAMES[0]]["parameter_openapi_schema"]["required"] == ["recording"]
    assert fields["task"]["enum"] == ["transcribe", "translate"]
    assert fields["speed"]["anyOf"][1].items() >= {"minimum": 0.5, "maximum": 2.0}.items()
    assert fields["formats"]["items"]["enum"][:2] == ["txt", "srt"]


def test_the_form_has_the_limits_of_the_options() -> None:
    form = parameter_schema(transcribe).properties
    for name, option in RunOptions.model_json_schema()["properties"].items():
        assert limits(form[name]) == limits(option), name


def limits(field: dict[str, Any]) -> list[Any]:
    names = ("type", "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
    return [
        {name: kind[name] for name in names if name in kind} for kind in field.get("anyOf", [field])
    ]
