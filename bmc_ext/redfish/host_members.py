"""What the host BMC has beside ours: its members in our collections, its types among ours."""

from __future__ import annotations

import dataclasses
from typing import Any

from bmc_ext.redfish.context import Context, Response
from bmc_ext.redfish.registry import Answer

ROOT = "/redfish/v1/"


def with_members(context: Context, path: str, answer: Answer) -> Answer:
    """A collection of ours with the host's members before our own; any other answer as it is."""
    body = answer.body if isinstance(answer, Response) else answer
    if context.host is None or not isinstance(body, dict) or "Members" not in body:
        return answer
    ids = context.host.members(path.rstrip("/").removeprefix(ROOT))
    if not ids:
        return answer
    theirs = {f"{path.rstrip('/')}/{member}": None for member in ids}
    ours = {str(link["@odata.id"]): None for link in body["Members"]}
    links = [{"@odata.id": uri} for uri in {**theirs, **ours}]
    whole: dict[str, Any] = {**body, "Members": links, "Members@odata.count": len(links)}
    whole.pop("@odata.etag", None)  # it was that of our own members
    return dataclasses.replace(answer, body=whole) if isinstance(answer, Response) else whole


def all_types(context: Context) -> tuple[str, ...]:
    """The types of all that is served, of ours and of the host's."""
    theirs = () if context.host is None else context.host.types
    return tuple(sorted({*context.types, *theirs}))
