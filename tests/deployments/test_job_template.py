"""Base job templates of work pools that start containers: what Prefect's workers make of them."""

import json
from typing import Any

import pytest
from click.testing import CliRunner
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import FlowRun

from longscribe.deployments.job_template import Job, docker, kubernetes, main
from tests.kubernetes_schema import unknown_fields

JOB = Job(
    image="registry.example.org/longscribe:1",
    cores=8,
    memory_bytes=16_000_000_000,
    gpus=1,
    namespace="speech",
    volumes={"media": "media-claim", "store": "store-claim"},
)


def run() -> FlowRun:
    return FlowRun.model_validate(
        {"id": "00000000-0000-0000-0000-000000000001", "flow_id": "0" * 32, "name": "talk.m4a"}
    )


def test_a_run_may_change_nothing(prefect_server: None) -> None:
    with get_client(sync_client=True) as client:
        for kind, template in (("kubernetes", kubernetes(JOB)), ("docker", docker(JOB))):
            assert template["variables"]["additionalProperties"] is False
            assert template["variables"]["properties"] == {}
            # The server looks at it: a placeholder without a variable would be refused.
            name = f"template-{kind}"
            made = WorkPoolCreate(name=name, type=kind, base_job_template=template)
            assert client.create_work_pool(made).base_job_template == template
            client.delete_work_pool(name)


def test_what_is_asked_for_is_in_it() -> None:
    spec = kubernetes(JOB)["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    wanted = {"cpu": "8", "memory": "16000000000", "nvidia.com/gpu": "1"}
    assert container["resources"] == {"requests": wanted, "limits": wanted}
    claims = {
        volume["name"]: volume["persistentVolumeClaim"]["claimName"]
        for volume in spec["volumes"]
        if "persistentVolumeClaim" in volume
    }
    assert claims == {"media": "media-claim", "store": "store-claim"}
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in spec["volumes"]}
    made = docker(JOB)["job_configuration"]
    assert made["container_create_kwargs"]["device_requests"][0]["count"] == 1
    assert made["volumes"] == [
        "media-claim:/srv/longscribe/media",
        "store-claim:/srv/longscribe/store",
    ]
    without = docker(JOB.model_copy(update={"gpus": 0}))["job_configuration"]
    assert "device_requests" not in without["container_create_kwargs"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["kubernetes"], "--image"),
        (["docker", "--image", "a", "--memory", "lots"], "--memory: 'lots' is no size"),
        (["docker", "--image", "a", "--volume", "etc=/etc"], "--volume: 'etc=/etc' is no volume"),
        (["docker", "--image", "a", "--volume", "media"], "--volume: 'media' is no volume"),
        (["swarm", "--image", "a"], "swarm"),
    ],
)
def test_bad_input_is_refused(arguments: list[str], words: str) -> None:
    ran = CliRunner().invoke(main, arguments)
    assert ran.exit_code != 0
    assert words in ran.output


def test_it_prints_json() -> None:
    ran = CliRunner().invoke(main, ["docker", "--image", "a", "--volume", "media=/srv/media"])
    assert json.loads(ran.output)["job_configuration"]["volumes"] == [
        "/srv/media:/srv/longscribe/media"
    ]


async def configured(configuration: Any, template: dict[str, Any]) -> Any:
    made = await configuration.from_template_and_values(base_job_template=template, values={})
    made.prepare_for_flow_run(run(), worker_name="one")
    return made


@pytest.mark.service
@pytest.mark.timeout(120)
def test_prefect_s_worker_for_kubernetes_makes_a_job_of_it(prefect_server: None) -> None:
    import asyncio

    worker = pytest.importorskip("prefect_kubernetes.worker", reason="make test-service has it")
    template = kubernetes(JOB)
    configuration = worker.KubernetesWorkerJobConfiguration
    assert set(template["job_configuration"]) <= set(configuration.model_fields)
    made = asyncio.run(configured(configuration, template))
    job = made.job_manifest
    assert unknown_fields(job, "V1Job") == [
        ".spec.template.spec.completions",
        ".spec.template.spec.parallelism",
    ]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["python", "-P", "-m", "longscribe.deployments.flow_process"]
    environment = {entry["name"]: entry["value"] for entry in container["env"]}
    assert environment["LONGSCRIBE_MEDIA_ROOTS"].startswith("/srv/longscribe/media:")
    assert environment["PREFECT__FLOW_RUN_ID"].endswith("1")
    assert container["image"] == JOB.image


@pytest.mark.service
@pytest.mark.timeout(120)
def test_prefect_s_worker_for_docker_makes_a_container_of_it(prefect_server: None) -> None:
    import asyncio

    worker = pytest.importorskip("prefect_docker.worker", reason="make test-service has it")
    from docker.models.containers import _create_container_args  # as docker-py's own `create`

    template = docker(JOB)
    configuration = worker.DockerWorkerJobConfiguration
    assert set(template["job_configuration"]) <= set(configuration.model_fields)
    made = asyncio.run(configured(configuration, template))
    assert made.image == JOB.image
    assert made.mem_limit == "16000000000b"
    given = {**made.container_create_kwargs, "image": made.image, "volumes": made.volumes}
    created = _create_container_args({**given, "version": "1.45", "mem_limit": made.mem_limit})
    host = created["host_config"]
    assert host["NanoCpus"] == 8_000_000_000
    assert host["Memory"] == 16_000_000_000
    assert host["DeviceRequests"][0]["Driver"] == "nvidia"
    assert host["ReadonlyRootfs"]
