"""The resource that an event is about, whole in the event for who asked for it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

_LOG = logging.getLogger(__name__)

Read = Callable[[str], Mapping[str, Any] | None]
"""The resource at a URI as the subscriber may read it; None where it may not, or nothing is."""


def with_origins(body: Mapping[str, Any], read: Read) -> dict[str, Any]:
    """An Event payload with the resources at OriginOfCondition (schema EventDestination).

    They are shown as they are now, not as they were when it happened. What is gone or may not be
    read stays a link.
    """
    return {**body, "Events": [_expanded(record, read) for record in body.get("Events", ())]}


def _expanded(record: Mapping[str, Any], read: Read) -> Mapping[str, Any]:
    link = record.get("OriginOfCondition")
    found = None if link is None else _found(link["@odata.id"], read)
    return record if found is None else {**record, "OriginOfCondition": found}


def _found(uri: str, read: Read) -> Mapping[str, Any] | None:
    """The resource, or the object in it that a fragment points at."""
    path, _, pointer = uri.partition("#")
    try:
        found: Any = read(path)
        for step in pointer.split("/")[1:]:
            found = found[int(step)] if isinstance(found, list) else found[step]
    except (LookupError, TypeError, ValueError):
        return None
    except Exception:
        _LOG.exception("%s could not be read for an event", uri)
        return None
    return found if isinstance(found, Mapping) else None
