"""Redfish error bodies (DSP0266 8.6): one shape for every refusal, on both faces."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bmc_ext.errors import (
    ConflictError,
    DcpiError,
    Fault,
    HostUnavailableError,
    MessageError,
    NotFoundError,
)
from bmc_ext.redfish.base_messages import PREFIX, fitting, of_action, severity
from bmc_ext.redfish.context import Response
from bmc_ext.redfish.host import HostError
from drivers.errors import WriteRefusedError

_MESSAGE_OF_STATUS = {
    400: "PropertyValueError",
    401: "NoValidSession",
    403: "InsufficientPrivilege",
    404: "ResourceMissingAtURI",
    405: "OperationNotAllowed",
    408: "OperationTimeout",
    409: "ResourceInUse",
    412: "PreconditionFailed",
    428: "PreconditionRequired",
    500: "InternalError",
    503: "ServiceTemporarilyUnavailable",
}

_MESSAGE_OF_FAULT: Mapping[Fault, str] = {
    "missing": "PropertyMissing",
    "type": "PropertyValueTypeError",
    "choice": "PropertyValueNotInList",
    "range": "PropertyValueOutOfRange",
    "format": "PropertyValueFormatError",
}

_RESOLUTION_OF_STATUS = {
    400: "Correct the named property and send the request again.",
    401: "Send Basic credentials, or an X-Auth-Token from a POST to the session collection.",
    403: "Ask with an account whose role has the privilege.",
    404: "Start at /redfish/v1 and follow the links.",
    405: "Use one of the methods in the Allow header.",
    409: "Read the resource, then send a request that fits its state.",
    412: "Read the resource again and use its ETag.",
    413: "Send a smaller body.",
    415: "Send the media type that is named.",
    426: "Open a WebSocket at this URI.",
    431: "Send fewer or shorter header fields.",
    501: "Leave out what is not supported.",
    503: "Try again later.",
}


RETRY_AFTER_S = "1"
"""When to ask again what is not available for a while."""


class RedfishError(DcpiError):
    """A refusal with its HTTP status, text, and the JSON Pointer of the property at fault.

    `message` is its key in the Base registry, the usual one of the status when empty, and `args`
    what fills the placeholders of that message.
    """

    def __init__(
        self,
        status: int,
        text: str,
        property_path: str = "",
        *,
        headers: dict[str, str] | None = None,
        message: str = "",
        args: Sequence[str] = (),
    ) -> None:
        super().__init__(text)
        self.status = status
        self.message = message
        self.message_args = tuple(args)
        self.property_path = property_path
        self.headers = headers or {}
        self.others: tuple[RedfishError, ...] = ()

    def with_others(self, others: Sequence[RedfishError]) -> RedfishError:
        """The same refusal, for these reasons as well."""
        self.others = tuple(others)
        return self


def error_body(
    status: int,
    text: str,
    property_path: str = "",
    message: str = "",
    args: Sequence[str] = (),
    path: str = "",
) -> dict[str, Any]:
    """The `error` object with one ExtendedInfo message naming the property where there is one.

    `path` is the request's: it tells which action or resource the message is about.
    """
    details = _details(status, text, property_path, message, args, path)
    return {
        "error": {
            "code": details["MessageId"],
            "message": text,
            "@Message.ExtendedInfo": [details],
        }
    }


def extended_info(error: RedfishError, path: str = "") -> dict[str, Any]:
    """The one message of a refusal."""
    return _details(
        error.status, str(error), error.property_path, error.message, error.message_args, path
    )


def _details(
    status: int, text: str, property_path: str, message: str, args: Sequence[str], path: str
) -> dict[str, Any]:
    key, filled = _message(status, text, property_path, message, args, path)
    details: dict[str, Any] = {
        "@odata.type": "#Message.v1_2_1.Message",
        "MessageId": f"{PREFIX}.{key}",
        "Message": text,
        "MessageArgs": filled,
        "MessageSeverity": severity(key),
        "Resolution": _RESOLUTION_OF_STATUS.get(status, "None."),
    }
    if property_path:
        details["RelatedProperties"] = [f"#{property_path}"]
    return details


def _message(
    status: int, text: str, property_path: str, message: str, args: Sequence[str], path: str
) -> tuple[str, list[str]]:
    """The key in the Base registry and the arguments that its placeholders take."""
    key = message or _MESSAGE_OF_STATUS.get(status, "GeneralError")
    filled = list(args)
    if status == 400 and not property_path and not message:
        key = "MalformedJSON" if "JSON" in text else "GeneralError"
    elif key == "PropertyValueError" and not filled:
        filled = [property_path.rpartition("/")[2]]
    elif key == "ResourceMissingAtURI":
        filled = [path]
    elif key == "ServiceTemporarilyUnavailable" and not filled:
        filled = [RETRY_AFTER_S]
    _, is_action, action = path.partition("/Actions/")
    if is_action:
        key, filled = of_action(key, filled, action)
    return fitting(key, filled)


def _of_message_error(error: MessageError, path: str) -> dict[str, Any]:
    key = "" if error.fault is None else _MESSAGE_OF_FAULT[error.fault]
    name = error.property_path.rpartition("/")[2]
    args = {"": (), "PropertyMissing": (name,)}.get(key, (error.value, name))
    return error_body(400, str(error), error.property_path, key, args, path)


def error_response(error: Exception, path: str = "") -> Response:
    """The answer to an exception; what is not ours is 500 without its text."""
    if isinstance(error, RedfishError):
        body = error_body(
            error.status,
            str(error),
            error.property_path,
            error.message,
            error.message_args,
            path,
        )
        told = body["error"]["@Message.ExtendedInfo"]
        told += [extended_info(other, path) for other in error.others]
        return Response(error.status, body, error.headers)
    if isinstance(error, HostError):
        body = error_body(
            error.status, str(error), error.property_path, error.message, error.message_args, path
        )
        return Response(error.status, body)
    if isinstance(error, MessageError):
        return Response(400, _of_message_error(error, path))
    if isinstance(error, HostUnavailableError):
        wait_s = str(max(1, math.ceil(error.retry_after_s)))
        message = "ServiceTemporarilyUnavailable"
        body = error_body(503, str(error), message=message, args=(wait_s,), path=path)
        return Response(503, body, {"Retry-After": wait_s})
    for kind, status in (
        (NotFoundError, 404),
        (ConflictError, 409),
        (WriteRefusedError, 400),
    ):
        if isinstance(error, kind):
            return Response(status, error_body(status, str(error), path=path))
    return Response(500, error_body(500, "the service failed; its log says why"))
