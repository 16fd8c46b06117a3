"""A refusal that the front gives by itself: a Redfish error body under the common headers."""

from __future__ import annotations

import http

import orjson

from bmc_ext.redfish.dispatch import HEADERS
from bmc_ext.redfish.errors import error_body
from bmc_ext.serving.bridge import Answer, encoded

_KEEPS_CONNECTION = (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.SERVICE_UNAVAILABLE)


def refusal(status: int, text: str) -> Answer:
    """The answer; what makes the rest of the connection unreadable closes it."""
    headers = {**HEADERS, "Content-Type": "application/json; charset=utf-8"}
    if status == http.HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Basic realm="Redfish"'
    if status == http.HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "1"
    if status not in _KEEPS_CONNECTION:
        headers["Connection"] = "close"
    return status, encoded(headers.items()), orjson.dumps(error_body(status, text))
