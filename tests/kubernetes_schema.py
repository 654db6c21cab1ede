"""Which fields of a manifest Kubernetes does not know, by the models of its own client."""

import re
from typing import Any


def unknown_fields(manifest: Any, model: str, where: str = "") -> list[str]:
    """Their paths; the API server drops such without a word.

    Args:
        manifest: as YAML or JSON has it.
        model: name of the client's class, such as V1Job.
        where: the path of the manifest in a larger one.
    """
    from kubernetes_asyncio import client

    if found := re.fullmatch(r"list\[(.+)\]", model):
        parts = [unknown_fields(part, found[1], f"{where}[{i}]") for i, part in enumerate(manifest)]
        return [name for part in parts for name in part]
    if found := re.fullmatch(r"dict\(.+?, (.+)\)", model):
        return []
    if not hasattr(client, model):  # a plain type
        return []
    types = getattr(client, model).openapi_types
    names = {name: key for key, name in getattr(client, model).attribute_map.items()}
    unknown = []
    for name, value in manifest.items():
        if name not in names:
            unknown.append(f"{where}.{name}")
        elif value is not None:
            unknown += unknown_fields(value, types[names[name]], f"{where}.{name}")
    return unknown
