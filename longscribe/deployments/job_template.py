"""`python -m longscribe.deployments.job_template kubernetes`: for work pools that start containers.

Prints the base job template of a Kubernetes or Docker work pool, where each recording is a
container of its own, started by Prefect's own worker (`pip install prefect-kubernetes` or
`prefect-docker`):

    python -m longscribe.deployments.job_template kubernetes --image IMAGE > template.json
    prefect work-pool create longscribe-jobs --type kubernetes --base-job-template template.json
    LONGSCRIBE_POOL=longscribe-jobs longscribe register

As in our own pool a run can change nothing of what carries it out: whoever may start one could
otherwise name the image and its command.
"""

import json
from typing import Any, Final

import click
from pydantic import BaseModel, ConfigDict

from longscribe.errors import OptionError
from longscribe.options import parse_bytes
from longscribe.wording.catalog import translated

_COMMAND: Final = "python -P -m longscribe.deployments.flow_process"
_USER: Final = 10001  # of the image
_HOME: Final = "/srv/longscribe"
_SHARED: Final = ("media", "transcripts", "store")
_ENVIRONMENT: Final = {
    "HOME": f"{_HOME}/cache",
    "XDG_CACHE_HOME": f"{_HOME}/cache",
    "PREFECT_HOME": f"{_HOME}/cache/prefect",
    "TMPDIR": f"{_HOME}/scratch",
    "LONGSCRIBE_APP": "/opt/longscribe",
    "LONGSCRIBE_CACHE": f"{_HOME}/cache/longscribe",
    "LONGSCRIBE_MEDIA_ROOTS": f"{_HOME}/media:{_HOME}/transcripts",
    "LONGSCRIBE_STORE": f"{_HOME}/store",
    "LONGSCRIBE_WORKER_TRANSCRIBES": "1",
}
# Of runs that start workers by forking, each with the parent's memory shared.
_SHM_BYTES: Final = 256_000_000


class Job(BaseModel):
    """What a recording's container gets.

    Attributes:
        image: that has Longscribe.
        cores: of it, at least and at most.
        memory_bytes: the same.
        gpus: of NVIDIA's.
        namespace: of Kubernetes.
        volumes: name (media, transcripts, store, cache) -> claim in Kubernetes, folder of the host
            in Docker. What is missing of the cache goes with the container.
    """

    model_config = ConfigDict(frozen=True)

    image: str
    cores: int = 4
    memory_bytes: int = 8_000_000_000
    gpus: int = 0
    namespace: str = "longscribe"
    volumes: dict[str, str] = {}


def kubernetes(job: Job) -> dict[str, Any]:
    """The template of a pool of the type `kubernetes`."""
    resources = {"cpu": str(job.cores), "memory": str(job.memory_bytes)}
    if job.gpus:
        resources["nvidia.com/gpu"] = str(job.gpus)
    # Kernels are compiled for the machine and weights fetched for it: both cost a minute.
    mounts = [{"name": name, "mountPath": f"{_HOME}/{name}"} for name in (*_SHARED, "cache")]
    mounts += [{"name": "scratch", "mountPath": f"{_HOME}/scratch"}]
    mounts += [{"name": "shm", "mountPath": "/dev/shm"}, {"name": "tmp", "mountPath": "/tmp"}]
    volumes: list[dict[str, Any]] = [
        {"name": name, "persistentVolumeClaim": {"claimName": job.volumes[name]}}
        if name in job.volumes
        else {"name": name, "emptyDir": {}}
        for name in (*_SHARED, "cache")
    ]
    memory = {"medium": "Memory", "sizeLimit": str(_SHM_BYTES)}
    volumes += [{"name": "scratch", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}]
    volumes += [{"name": "shm", "emptyDir": memory}]
    container = {
        "name": "longscribe",
        "image": job.image,
        "resources": {"requests": resources, "limits": resources},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    }
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "runAsNonRoot": True,
        },
        "terminationGracePeriodSeconds": 45,
        "containers": [container],
        # At the wrong place, and left out by Kubernetes; Prefect's worker insists on them there
        # (prefect_kubernetes/worker.py, `_get_base_job_manifest`).
        "completions": 1,
        "parallelism": 1,
        "volumes": volumes,
    }
    manifest = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"generateName": "longscribe-", "namespace": job.namespace, "labels": {}},
        # Prefect schedules the run again; a pod that Kubernetes started would be a second one.
        "spec": {
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": 3600,
            "template": {"metadata": {"labels": {}}, "spec": pod},
        },
    }
    return _template(
        env=_ENVIRONMENT,
        namespace=job.namespace,
        job_manifest=manifest,
        pod_watch_timeout_seconds=600,  # an image of gigabytes is fetched first
    )


def docker(job: Job) -> dict[str, Any]:
    """The template of a pool of the type `docker`."""
    created: dict[str, Any] = {
        "nano_cpus": job.cores * 1_000_000_000,
        "user": f"{_USER}:{_USER}",
        "init": True,
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "shm_size": _SHM_BYTES,
        "tmpfs": {"/tmp": "", f"{_HOME}/scratch": f"uid={_USER},gid={_USER}"},
    }
    if job.gpus:
        gpus = {"driver": "nvidia", "count": job.gpus, "capabilities": [["gpu"]]}
        created["device_requests"] = [gpus]
    return _template(
        env=_ENVIRONMENT,
        image=job.image,
        image_pull_policy="IfNotPresent",
        auto_remove=True,
        volumes=[
            f"{folder}:{_HOME}/{name}" for name, folder in sorted(job.volumes.items()) if folder
        ],
        mem_limit=f"{job.memory_bytes}b",
        container_create_kwargs=created,
    )


def _template(**configuration: Any) -> dict[str, Any]:
    """With nothing that a run may choose but what Prefect itself fills in."""
    return {
        "job_configuration": {"command": _COMMAND, "stream_output": True, **configuration},
        "variables": {"type": "object", "properties": {}, "additionalProperties": False},
    }


def _volumes(given: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in given:
        name, _, place = entry.partition("=")
        if name not in (*_SHARED, "cache") or not place:
            raise OptionError(
                translated(
                    "--volume: {entry!r} is no volume; write NAME=PLACE with a name of {names}."
                ).format(entry=entry, names=", ".join((*_SHARED, "cache")))
            )
        found[name] = place
    return found


@click.command()
@click.argument("kind", type=click.Choice(["kubernetes", "docker"]))
@click.option("--image", required=True, help="That has Longscribe.")
@click.option("--cores", type=click.IntRange(min=1), default=4, show_default=True)
@click.option("--memory", default="8GB", show_default=True)
@click.option("--gpus", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--namespace", default="longscribe", show_default=True, help="Of Kubernetes.")
@click.option(
    "--volume",
    "volumes",
    multiple=True,
    metavar="NAME=PLACE",
    help="media, transcripts, store or cache; a claim of Kubernetes, or a folder of the host.",
)
def main(
    kind: str,
    image: str,
    cores: int,
    memory: str,
    gpus: int,
    namespace: str,
    volumes: tuple[str, ...],
) -> None:
    """Print the base job template of a work pool that starts containers."""
    try:
        memory_bytes = parse_bytes(memory)
        job = Job(
            image=image,
            cores=cores,
            memory_bytes=memory_bytes,
            gpus=gpus,
            namespace=namespace,
            volumes=_volumes(volumes),
        )
    except ValueError as error:
        raise click.ClickException(f"--memory: {error}.") from None
    except OptionError as error:
        raise click.ClickException(str(error)) from None
    click.echo(json.dumps(kubernetes(job) if kind == "kubernetes" else docker(job), indent=2))


if __name__ == "__main__":
    main()
