"""A PATCH whose body holds more than can be written: what can is, the rest is told (DSP0266 7.9).

Read-only and unknown members are left out and named in the answer. A value that is wrong refuses
the whole request: nothing is half done.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable
from typing import Any, Final

from bmc_ext.redfish.context import Request, Response
from bmc_ext.redfish.errors import RedfishError, extended_info
from bmc_ext.redfish.host import HostError

_NEVER_WRITTEN: Final = ("PropertyUnknown", "PropertyNotWritable")
_MOST_LEFT_OUT: Final = 32
EXTENDED_INFO: Final = "@Message.ExtendedInfo"


def patched(
    request: Request, update: Callable[[Request], Response], read: Callable[[], Response]
) -> Response:
    """The answer of `update` to what of the body can be written; `read` is a GET of the resource.

    RedfishError where nothing of it can, or where there is nothing in it. `update` refuses a member
    before it changes anything.
    """
    left_out: list[RedfishError] = []
    while True:
        try:
            answer = update(request)
        except (RedfishError, HostError) as error:
            request = _without(request, _told(error, read), left_out)
            continue
        if not left_out:
            return answer
        shown = answer if isinstance(answer.body, dict) else read()
        if not isinstance(shown.body, dict):
            return answer
        told = [extended_info(error, request.path) for error in left_out]
        return dataclasses.replace(shown, body={**shown.body, EXTENDED_INFO: told})


def _told(error: RedfishError | HostError, read: Callable[[], Response]) -> RedfishError:
    """The refusal, which tells what a host shows and does not write from what it does not know."""
    if isinstance(error, RedfishError):
        return error
    text, message, args = str(error), error.message, error.message_args
    name = error.property_path.removeprefix("/")
    if message == "PropertyUnknown" and "/" not in name and name in (read().body or {}):
        text, message = f"the property {name} cannot be written", "PropertyNotWritable"
    return RedfishError(error.status, text, error.property_path, message=message, args=args)


def merged(present: Any, wanted: Any) -> Any:
    """What a PATCH makes of a value that is there (DSP0266 7.9).

    Of an object, members that are not named stay, and null takes one away. Of an array, {} leaves
    an entry as it is, null takes it away, and so does a request that ends before it.
    """
    if wanted == {} and present is not None:
        return present
    if isinstance(wanted, dict):
        old = present if isinstance(present, dict) else {}
        new = {name: merged(old.get(name), value) for name, value in wanted.items()}
        return {name: value for name, value in {**old, **new}.items() if value is not None}
    if isinstance(wanted, list):
        entries = present[: len(wanted)] if isinstance(present, list) else []
        pairs = itertools.zip_longest(entries, wanted)
        return [merged(entry, value) for entry, value in pairs if value is not None]
    return wanted


def asks_for_nothing(request: Request) -> bool:
    """Whether the body is an object without any property; MessageError for no JSON."""
    body = request.json() if request.body else None
    return isinstance(body, dict) and not _properties(body)


def _without(request: Request, error: RedfishError, left_out: list[RedfishError]) -> Request:
    """The request less the member that cannot be written; the error again where that is no way."""
    body = request.json()
    name = error.property_path.removeprefix("/")
    if error.message not in _NEVER_WRITTEN or not isinstance(body, dict) or name not in body:
        raise error
    left_out.append(error)
    rest = {key: value for key, value in body.items() if key != name}
    if not _properties(rest) or len(left_out) > _MOST_LEFT_OUT:
        first, *others = left_out
        raise first.with_others(others)
    return request._replace(body=json.dumps(rest).encode())


def _properties(body: dict[str, Any]) -> list[str]:
    return [name for name in body if not name.startswith("@")]
