"""Redfish error bodies (DSP0266 8.6): one shape for every refusal, on both faces."""

from __future__ import annotations

from typing import Any

from bmc_ext.errors import (
    ConflictError,
    DcpiError,
    HostUnavailableError,
    MessageError,
    NotFoundError,
)
from bmc_ext.redfish.context import Response
from bmc_ext.redfish.host import HostError
from drivers.errors import WriteRefusedError

_REGISTRY = "Base.1.19"

_MESSAGE_OF_STATUS = {
    400: "PropertyValueError",
    401: "NoValidSession",
    403: "InsufficientPrivilege",
    404: "ResourceMissingAtURI",
    405: "OperationNotAllowed",
    408: "OperationTimeout",
    409: "ResourceInUse",
    412: "PreconditionFailed",
    413: "PayloadTooLarge",
    415: "UnsupportedMediaType",
    428: "PreconditionRequired",
    500: "InternalError",
    503: "ServiceTemporarilyUnavailable",
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
    415: "Send application/json.",
    431: "Send fewer or shorter header fields.",
    501: "Leave out what is not supported.",
    503: "Try again later.",
}


class RedfishError(DcpiError):
    """A refusal with its HTTP status, text, and the JSON Pointer of the property at fault.

    `message` is its key in the Base registry, the usual one of the status when empty.
    """

    def __init__(
        self,
        status: int,
        text: str,
        property_path: str = "",
        *,
        headers: dict[str, str] | None = None,
        message: str = "",
    ) -> None:
        super().__init__(text)
        self.status = status
        self.message = message
        self.property_path = property_path
        self.headers = headers or {}


def error_body(
    status: int, text: str, property_path: str = "", message: str = ""
) -> dict[str, Any]:
    """The `error` object with one ExtendedInfo message naming the property where there is one."""
    key = message or _MESSAGE_OF_STATUS.get(status, "GeneralError")
    if status == 400 and not property_path and not message:
        key = "MalformedJSON" if "JSON" in text else "GeneralError"
    details: dict[str, Any] = {
        "@odata.type": "#Message.v1_2_1.Message",
        "MessageId": f"{_REGISTRY}.{key}",
        "Message": text,
        "MessageArgs": [property_path.lstrip("/")] if property_path else [],
        "MessageSeverity": "Critical" if status >= 500 else "Warning",
        "Resolution": _RESOLUTION_OF_STATUS.get(status, "None."),
    }
    if property_path:
        details["RelatedProperties"] = [f"#{property_path}"]
    return {
        "error": {
            "code": f"{_REGISTRY}.{key}",
            "message": text,
            "@Message.ExtendedInfo": [details],
        }
    }


def error_response(error: Exception) -> Response:
    """The answer to an exception; what is not ours is 500 without its text."""
    if isinstance(error, RedfishError):
        body = error_body(error.status, str(error), error.property_path, error.message)
        return Response(error.status, body, error.headers)
    if isinstance(error, HostError):
        return Response(error.status, error_body(error.status, str(error), error.property_path))
    if isinstance(error, MessageError):
        return Response(400, error_body(400, str(error), error.property_path))
    for kind, status in (
        (NotFoundError, 404),
        (ConflictError, 409),
        (WriteRefusedError, 400),
        (HostUnavailableError, 503),
    ):
        if isinstance(error, kind):
            return Response(status, error_body(status, str(error)))
    return Response(500, error_body(500, "the service failed; its log says why"))
