"""The privilege registry (DSP0266 13.6), generated from the routes that check the privileges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from bmc_ext.redfish.host_privileges import WRITES, privilege_of_type
from bmc_ext.redfish.registry import OPEN, Registry, Resource
from bmc_ext.security.identity import LOGIN

Operations = dict[str, list[dict[str, list[str]]]]


def privilege_mappings(registry: Registry, host_types: Iterable[str]) -> list[dict[str, Any]]:
    """One mapping for each type: what its most common URI needs, and the URIs that differ.

    Types that only the host BMC serves need what `host_privileges` says of them.
    """
    entities: dict[str, list[Resource]] = {}
    for resource in registry:
        entity = _entity(resource)
        if entity is not None:
            entities.setdefault(entity, []).append(resource)
    mappings = [_mapping(entity, found) for entity, found in sorted(entities.items())]
    for name in sorted({kind.partition(".")[0] for kind in host_types} - entities.keys()):
        needed = {"GET": LOGIN, **dict.fromkeys(WRITES, privilege_of_type(name))}
        mappings.append({"Entity": name, "OperationMap": _operations(needed)})
    return mappings


def _entity(resource: Resource) -> str | None:
    """The type at a URI; an action's is in its name, such as `Manager.Reset`."""
    _, is_action, action = resource.uri.partition("/Actions/")
    name = action if is_action else resource.schema
    return None if name is None else name.partition(".")[0]


def _mapping(entity: str, resources: list[Resource]) -> dict[str, Any]:
    privileges = {
        resource.uri: {method: privilege for method, (privilege, _) in resource.handlers.items()}
        for resource in resources
    }
    usual: dict[str, str] = {}
    for method in sorted({method for found in privileges.values() for method in found}):
        asked = Counter(found[method] for found in privileges.values() if method in found)
        usual[method] = asked.most_common(1)[0][0]
    others = [
        {"Targets": [uri], "OperationMap": _operations(found)}
        for uri, found in sorted(privileges.items())
        if any(usual[method] != privilege for method, privilege in found.items())
    ]
    mapping: dict[str, Any] = {"Entity": entity, "OperationMap": _operations(usual)}
    return {**mapping, "ResourceURIOverrides": others} if others else mapping


def _operations(privileges: dict[str, str]) -> Operations:
    shown = dict(privileges)
    if "GET" in shown:
        shown["HEAD"] = shown["GET"]
    return {
        method: [{"Privilege": ["NoAuth" if privilege == OPEN else privilege]}]
        for method, privilege in sorted(shown.items())
        if method != "OPTIONS"
    }
