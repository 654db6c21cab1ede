"""The manifests for Kubernetes: what is said once elsewhere is the same here."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from longscribe import deployments
from longscribe.deployments.job_template import _ENVIRONMENT as OF_JOBS
from tests.kubernetes_schema import unknown_fields

FILE = Path(deployments.__file__).parent / "kubernetes" / "longscribe.yaml"
ITEMS: list[dict[str, Any]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))["items"]
NAMED = {(item["kind"], item["metadata"]["name"]): item for item in ITEMS}


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    for (kind, name), item in NAMED.items():
        if kind in ("Deployment", "StatefulSet", "Job"):
            yield name, item["spec"]["template"]["spec"]


def test_nothing_runs_as_root_or_writes_where_it_need_not() -> None:
    assert len(dict(pods())) == 5
    for name, pod in pods():
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["automountServiceAccountToken"] is False
        (container,) = pod["containers"]
        locked = container["securityContext"]
        assert locked["readOnlyRootFilesystem"], name
        assert locked["capabilities"] == {"drop": ["ALL"]}
        assert "memory" in container["resources"]["limits"]


def test_every_volume_and_every_port_is_there() -> None:
    for (kind, name), item in NAMED.items():
        if kind not in ("Deployment", "StatefulSet", "Job"):
            continue
        spec = item["spec"]
        pod = spec["template"]["spec"]
        (container,) = pod["containers"]
        claims = [claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates", ())]
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        for mount in container["volumeMounts"]:
            assert mount["name"] in (*volumes, *claims), (name, mount)
        for volume in volumes.values():
            if "persistentVolumeClaim" in volume:
                claim = volume["persistentVolumeClaim"]["claimName"]
                assert ("PersistentVolumeClaim", claim) in NAMED
        ports = {port["name"] for port in container.get("ports", ())}
        probes = [container[probe] for probe in container if probe.endswith("Probe")]
        assert probes or kind == "Job"
        for probe in probes:
            assert probe["httpGet"]["port"] in ports
            assert probe["httpGet"]["path"] in ("/health", "/api/health", "/api/ready")
        if kind != "Job":
            assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]


def test_workers_have_what_jobs_and_the_server_have() -> None:
    settings = NAMED["ConfigMap", "longscribe"]["data"]
    same = ("LONGSCRIBE_CACHE", "LONGSCRIBE_STORE", "LONGSCRIBE_MEDIA_ROOTS", "TMPDIR", "HOME")
    assert {name: settings[name] for name in same} == {name: OF_JOBS[name] for name in same}
    service = NAMED["Service", "longscribe-server"]
    (port,) = service["spec"]["ports"]
    assert settings["PREFECT_API_URL"] == f"http://longscribe-server:{port['port']}/api"
    assert settings["LONGSCRIBE_INBOX"].startswith(settings["LONGSCRIBE_MEDIA_ROOTS"].split(":")[0])
    gpu = dict(pods())["longscribe-worker-gpu"]
    assert gpu["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    # A worker's name, by which it takes up what it was stopped in, is its host's.
    for name in ("longscribe-worker", "longscribe-worker-gpu", "longscribe-inbox"):
        assert ("StatefulSet", name) in NAMED


@pytest.mark.service
def test_kubernetes_knows_every_field() -> None:
    pytest.importorskip("kubernetes_asyncio", reason="make test-service has it")
    models = {
        "ConfigMap": "V1ConfigMap",
        "PersistentVolumeClaim": "V1PersistentVolumeClaim",
        "Service": "V1Service",
        "Deployment": "V1Deployment",
        "StatefulSet": "V1StatefulSet",
        "Job": "V1Job",
    }
    for item in ITEMS:
        assert unknown_fields(item, models[item["kind"]]) == [], item["metadata"]["name"]
    spoilt = {**NAMED["Service", "longscribe-server"], "spec": {"port": 1}}
    assert unknown_fields(spoilt, "V1Service") == [".spec.port"]
