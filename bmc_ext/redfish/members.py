"""Members of a request body: right type, or a message of the Base registry that names them."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Sequence
from typing import Any

from bmc_ext.errors import MessageError
from bmc_ext.redfish.errors import RedfishError

IMMEDIATE = "Immediate"
"""When everything that is ours is done (schema Settings)."""

_SHOWN_CHARACTERS = 64
_SECRETS = ("Password",)


def json_object(
    body: object, allowed: Iterable[str], readable: Container[str] = ()
) -> dict[str, Any]:
    """The body as an object that holds only `allowed` members; RedfishError names the other.

    `readable` are the members that the resource has but nobody writes.
    """
    if not isinstance(body, dict):
        raise MessageError("the body is not a JSON object")
    fault = apply_time_fault(body, IMMEDIATE)
    if fault is not None:
        text = f"{fault[0]} is not {IMMEDIATE}: nothing here is done later"
        raise refused("PropertyValueNotInList", text, *fault)
    for name in body:
        if name in set(allowed) or name.startswith("@"):
            continue
        if name in readable:
            raise refused("PropertyNotWritable", f"the property {name} cannot be written", name)
        raise refused("PropertyUnknown", f"the property {name} is unknown", name)
    return body


def apply_time_fault(body: dict[str, Any], applies: str) -> tuple[str, str] | None:
    """The annotation by which a client wants something at another time than `applies`.

    With the time that it names; a request that cannot be done then is not done at all (DSP0266).
    """
    wanted = {"@Redfish.OperationApplyTime": body.get("@Redfish.OperationApplyTime", applies)}
    settings = body.get("@Redfish.SettingsApplyTime", {})
    time = settings.get("ApplyTime", applies) if isinstance(settings, dict) else settings
    wanted["@Redfish.SettingsApplyTime/ApplyTime"] = time
    return next(((name, str(time)) for name, time in wanted.items() if time != applies), None)


def refused(key: str, text: str, name: str, value: object = None) -> RedfishError:
    """400 about the member `name`, a JSON Pointer without its first slash; `value` is shown."""
    path = f"/{name}"
    last = name.rpartition("/")[2]
    args = (last,) if value is None else (_shown(last, value), last)
    return RedfishError(400, text, path, message=key, args=args)


def text(body: dict[str, Any], name: str) -> str:
    """A required string."""
    value = required(body, name)
    if not isinstance(value, str):
        raise wrong_type(name, value, "is not a string")
    return value


def texts(body: dict[str, Any], name: str) -> list[str]:
    """An optional array of strings."""
    value = body.get(name, [])
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise wrong_type(name, value, "is not an array of strings")
    return value


def flag(body: dict[str, Any], name: str, default: bool) -> bool:
    """An optional boolean."""
    value = body.get(name, default)
    if not isinstance(value, bool):
        raise wrong_type(name, value, "is neither true nor false")
    return value


def one_of(body: dict[str, Any], name: str, choices: Sequence[str], *, default: str = "") -> str:
    """One of these strings; required where there is no default."""
    if name not in body and default:
        return default
    value = text(body, name)
    if value not in choices:
        reason = f"the property {name} is none of {', '.join(choices)}"
        raise refused("PropertyValueNotInList", reason, name, value)
    return value


def whole_number(body: dict[str, Any], name: str, least: int, most: int) -> int:
    """A required whole number within bounds."""
    value = required(body, name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong_type(name, value, "is not a whole number")
    if not least <= value <= most:
        reason = f"the property {name} is not in {least} to {most}"
        raise refused("PropertyValueOutOfRange", reason, name, value)
    return value


def required(body: dict[str, Any], name: str) -> Any:
    """A member of any type that must be there."""
    if name not in body:
        raise refused("PropertyMissing", f"the property {name} is missing", name)
    return body[name]


def wrong_type(name: str, value: object, reason: str) -> RedfishError:
    """400 about a member whose value is of another type; `reason` is such as `is not a string`."""
    return refused("PropertyValueTypeError", f"the property {name} {reason}", name, _as_json(value))


def _as_json(value: object) -> str:
    return json.dumps(value)


def _shown(name: str, value: object) -> str:
    """A value as a message argument: cut to a length, and never a secret."""
    return "******" if name in _SECRETS else str(value)[:_SHOWN_CHARACTERS]
