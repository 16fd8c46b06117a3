"""What the upstream BMC has that stands beside ours: members, links of its root, types, schemas."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bmc_ext.upstream.paths import MERGED, ROOT, Paths

MAX_MEMBERS: Final = 2000
_MAX_PAGES: Final = 40
_MAX_VISITED: Final = 300
_TYPE = re.compile(r"#?([A-Za-z]\w*(?:\.v\d+_\d+_\d+)?\.[A-Za-z]\w*)")
_EDMX: Final = "{http://docs.oasis-open.org/odata/ns/edmx}"
_ROOT_OF: Final = {"TaskService": "Tasks"}  # where the root names a service in another way

Ask = Callable[[str], dict[str, Any] | None]
"""The upstream BMC's resource at a path, in its own words; None where there is none."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """What was found at one look. Ids are as we show them, links of the root as it said them.

    `schemas` are namespaces by the URI of their CSDL, from `$metadata`.
    """

    root: Mapping[str, Any]
    members: Mapping[str, tuple[str, ...]]
    schemas: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def take(
    root: Mapping[str, Any], ask: Ask, schemas: Mapping[str, tuple[str, ...]], paths: Paths
) -> Inventory:
    """The inventory of the upstream BMC with that service root. HostUnavailableError."""
    found = {}
    for collection in (*MERGED, "JsonSchemas"):
        first = collection.partition("/")[0]
        if _ROOT_OF.get(first, first) in root:
            found[collection] = _members(collection, ask, paths)
    return Inventory(root, found, schemas)


def type_name(body: Mapping[str, Any]) -> str | None:
    """The type of a resource, such as `Chassis.v1_20_0.Chassis`; None for none that is one."""
    match = _TYPE.fullmatch(str(body.get("@odata.type")))
    return match[1] if match else None


def types_in_tree(root: Mapping[str, Any], ask: Ask) -> set[str]:
    """The types of what the links lead to, of 300 resources at most."""
    found: set[str] = set()
    waiting = deque(_links(root))
    seen = set(waiting)
    for _ in range(_MAX_VISITED):
        if not waiting:
            break
        body = ask(waiting.popleft())
        if body is None:
            continue
        kind = type_name(body)
        if kind is not None:
            found.add(kind)
        fresh = [uri for uri in _links(body) if uri not in seen]
        seen.update(fresh)
        waiting.extend(fresh)
    return found


def metadata_schemas(document: bytes) -> dict[str, tuple[str, ...]]:
    """Namespaces by the URI of their CSDL; nothing of a document that is no OData metadata."""
    if b"<!DOCTYPE" in document or b"<!ENTITY" in document:
        return {}
    try:
        tree = ElementTree.fromstring(document)
    except ElementTree.ParseError:
        return {}
    found = {}
    for reference in tree.iter(f"{_EDMX}Reference"):
        spaces = [entry.get("Namespace", "") for entry in reference.iter(f"{_EDMX}Include")]
        names = tuple(name for name in spaces if re.fullmatch(r"\w+(\.\w+)*", name))
        if names:
            found[reference.get("Uri", "")] = names
    return found


def _members(collection: str, ask: Ask, paths: Paths) -> tuple[str, ...]:
    """Ids of the collection's members over all its pages."""
    found: list[str] = []
    path: object = f"{ROOT}/{collection}"
    for _ in range(_MAX_PAGES):
        body = ask(path) if isinstance(path, str) and path.startswith(f"{ROOT}/") else None
        if body is None or len(found) >= MAX_MEMBERS:
            break
        for uri in _links({"Members": body.get("Members")}):
            name = paths.member_id(collection, uri)
            if name is not None and name not in found:
                found.append(name)
        path = body.get("Members@odata.nextLink")
    return tuple(found[:MAX_MEMBERS])


def _links(value: Any) -> Iterator[str]:
    """The links that a body holds, without fragments."""
    if isinstance(value, dict):
        for name, member in value.items():
            if name == "@odata.id" and isinstance(member, str) and member.startswith(f"{ROOT}/"):
                yield member.partition("#")[0].rstrip("/")
            else:
                yield from _links(member)
    elif isinstance(value, list):
        for entry in value:
            yield from _links(entry)
