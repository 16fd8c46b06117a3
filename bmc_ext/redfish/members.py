"""Members of a request body: right type or an error that names the property."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bmc_ext.errors import MessageError


def json_object(body: object, allowed: Iterable[str]) -> dict[str, Any]:
    """The body as an object that holds only `allowed` members; MessageError names the other."""
    if not isinstance(body, dict):
        raise MessageError("the body is not a JSON object")
    for name in body:
        if name not in set(allowed) and not name.startswith("@"):
            raise MessageError(f"the property {name} is unknown or cannot be written", f"/{name}")
    return body


def text(body: dict[str, Any], name: str) -> str:
    """A required string."""
    if name not in body:
        raise MessageError(f"the property {name} is missing", f"/{name}")
    value = body[name]
    if not isinstance(value, str):
        raise MessageError(f"the property {name} is not a string", f"/{name}")
    return value


def flag(body: dict[str, Any], name: str, default: bool) -> bool:
    """An optional boolean."""
    value = body.get(name, default)
    if not isinstance(value, bool):
        raise MessageError(f"the property {name} is neither true nor false", f"/{name}")
    return value
