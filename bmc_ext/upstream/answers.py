"""What the upstream BMC answered as our answer: checked, with our links, and nothing else."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from bmc_ext.errors import HostUnavailableError
from bmc_ext.redfish.host import HostError, HostResponse
from bmc_ext.upstream.connection import RawAnswer
from bmc_ext.upstream.links import Links

_DEEPEST: Final = 64
_HEADERS: Final = {
    "etag": "ETag", "allow": "Allow", "retry-after": "Retry-After",
    "content-disposition": "Content-Disposition",
}  # fmt: skip
_DOCUMENTS: Final = frozenset({"application/xml", "text/xml", "text/plain", "application/yaml"})
_PAGES: Final = frozenset({"text/html", "application/xhtml+xml"})
_LINK_TARGET = re.compile(r"<([^<>]*)>")


class UnreadableAnswerError(HostUnavailableError):
    """The upstream BMC is there, but what it says of this is nothing that can be served."""


def json_object(answer: RawAnswer) -> dict[str, Any]:
    """The answer's body as an object; UnreadableAnswerError."""
    try:
        body = orjson.loads(answer.data)
    except orjson.JSONDecodeError as error:
        raise UnreadableAnswerError(f"its answer is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise UnreadableAnswerError("its answer is no JSON object")
    if not _is_shallow(body, _DEEPEST):
        raise UnreadableAnswerError("its answer is nested too deeply")
    return body


def host_response(answer: RawAnswer, links: Links, asked: str, path: str) -> HostResponse:
    """The answer about `asked`, which with us is at `path`.

    HostError where it is a refusal without a Redfish error body, UnreadableAnswerError where it is
    no answer of a Redfish service.
    """
    headers = _headers(answer, links)
    if answer.status == 304:
        return HostResponse(304, None, headers)
    if not 200 <= answer.status < 300 and answer.status < 400:
        raise UnreadableAnswerError(f"it answers {answer.status} where no redirect may be")
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if answer.status >= 400:
        return HostResponse(answer.status, _error(answer, kind, links, path), headers)
    if not answer.data:
        return HostResponse(204 if answer.status == 200 else answer.status, None, headers)
    if kind in _PAGES:
        raise UnreadableAnswerError("its answer is a web page")
    if kind.endswith("json") or not kind:
        body = links.body(json_object(answer), asked, path)
        tag = body.get("@odata.etag")
        if isinstance(tag, str) and tag.isprintable() and tag.isascii():
            headers.setdefault("ETag", tag)
        return HostResponse(answer.status, body, headers)
    headers["Content-Type"] = kind if kind in _DOCUMENTS else "application/octet-stream"
    return HostResponse(answer.status, answer.data, headers)


def _headers(answer: RawAnswer, links: Links) -> dict[str, str]:
    found = {_HEADERS[name]: answer.headers[name] for name in _HEADERS if name in answer.headers}
    location = links.outward(answer.headers.get("location", ""))
    if location and location.startswith("/redfish/v1/"):  # not to where we do not lead
        found["Location"] = location
    if "link" in answer.headers:
        found["Link"] = _LINK_TARGET.sub(
            lambda match: f"<{links.outward(match[1]) or match[1]}>", answer.headers["link"]
        )
    return found


def _error(answer: RawAnswer, kind: str, links: Links, path: str) -> dict[str, Any]:
    """The Redfish error body of a refusal."""
    if kind.endswith("json"):
        body = json_object(answer)
        if isinstance(body.get("error"), dict):
            return links.body(body, path, path)
    if answer.status >= 500:
        raise UnreadableAnswerError(f"it answers {answer.status} without a reason")
    text = f"the BMC behind this service answers {answer.status} to this"
    raise HostError(answer.status, text)


def _is_shallow(value: Any, left: int) -> bool:
    if isinstance(value, dict):
        return left > 0 and all(_is_shallow(member, left - 1) for member in value.values())
    if isinstance(value, list):
        return left > 0 and all(_is_shallow(entry, left - 1) for entry in value)
    return True
