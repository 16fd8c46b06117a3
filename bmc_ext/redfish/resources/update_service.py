"""UpdateService: what is installed, and new images where the machine takes some."""

from __future__ import annotations

import contextlib
import io
import json
import urllib.error
import urllib.request
from http.client import HTTPException
from importlib import metadata
from typing import Any, Final
from urllib.parse import urlsplit

from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from bmc_ext.control.audited import audited
from bmc_ext.errors import MessageError, NotFoundError
from bmc_ext.redfish import members
from bmc_ext.redfish.action import REFERENCE, Parameter, checked, tell
from bmc_ext.redfish.context import Context, Request, Response
from bmc_ext.redfish.errors import RedfishError
from bmc_ext.redfish.events.message import UPDATE, happening
from bmc_ext.redfish.firmware import Firmware, ImageError, Software
from bmc_ext.redfish.registry import Routes
from bmc_ext.redfish.resources.manager import OWN
from bmc_ext.redfish.resources.task import accepted
from bmc_ext.security.identity import CONFIGURE_COMPONENTS, LOGIN
from bmc_ext.tasks import Run

routes = Routes()

SERVICE = "/redfish/v1/UpdateService"
INVENTORY = f"{SERVICE}/FirmwareInventory"
PUSH = f"{SERVICE}/update-multipart"
_SIMPLE_UPDATE = f"{SERVICE}/Actions/UpdateService.SimpleUpdate"
_UPDATE_INFO = f"{SERVICE}/SimpleUpdateActionInfo"
_PROTOCOLS = ("HTTP", "HTTPS")
_UPDATE_PARAMETERS = (
    Parameter("ImageURI", required=True),
    Parameter("TransferProtocol", allowable=_PROTOCOLS),
    Parameter("Targets", "StringArray"),
)
MAX_IMAGE_BYTES: Final = 64 * 1024 * 1024
"""What is fetched at most; a pushed image is bound by what a request may hold."""

_FETCH_S = 30.0


@routes.get(SERVICE, LOGIN, schema="UpdateService.v1_14_0.UpdateService")
def update_service(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """Where images go; without a machine that takes some, there is only the inventory."""
    body: dict[str, Any] = {
        "Id": "UpdateService",
        "Name": "Update Service",
        "ServiceEnabled": context.firmware is not None,
        "Status": {
            "State": "Disabled" if context.firmware is None else "Enabled",
            "Health": "OK",
        },
        "FirmwareInventory": {"@odata.id": INVENTORY},
    }
    if context.firmware is None:
        return body
    return {
        **body,
        "MultipartHttpPushUri": PUSH,
        "MaxImageSizeBytes": MAX_IMAGE_BYTES,
        "Actions": {
            "#UpdateService.SimpleUpdate": {
                "target": _SIMPLE_UPDATE,
                "TransferProtocol@Redfish.AllowableValues": list(_PROTOCOLS),
                "@Redfish.OperationApplyTimeSupport": {
                    "@odata.type": "#Settings.v1_4_0.OperationApplyTimeSupport",
                    "SupportedValues": [members.IMMEDIATE],
                },
                REFERENCE: _UPDATE_INFO,
            }
        },
    }


@routes.get(INVENTORY, LOGIN, schema="SoftwareInventoryCollection.SoftwareInventoryCollection")
def firmware_inventory(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """What runs here: the service, and the firmware of the machine where it tells."""
    found = [{"@odata.id": f"{INVENTORY}/{software.id}"} for software in _installed(context)]
    return {"Name": "Firmware Inventory", "Members": found, "Members@odata.count": len(found)}


@routes.get(
    f"{INVENTORY}/{{software}}", LOGIN, schema="SoftwareInventory.v1_10_0.SoftwareInventory"
)
def software_inventory(context: Context, request: Request) -> dict[str, Any]:
    """One piece of software with its version."""
    for software in _installed(context):
        if software.id == request.params["software"]:
            return {
                "Id": software.id,
                "Name": software.name,
                "Version": software.version,
                "Manufacturer": software.manufacturer,
                "Updateable": software.updateable,
                "Status": {"State": "Enabled", "Health": "OK"},
                "RelatedItem": [{"@odata.id": uri} for uri in software.related],
                "RelatedItem@odata.count": len(software.related),
            }
    raise NotFoundError(f"no software {request.params['software']!r}")


def _installed(context: Context) -> tuple[Software, ...]:
    version = metadata.version("dcpi-bmc")
    own = Software("DCPI", "DCPI service", version, "dcpi-bmc", False, (OWN,))
    return (own, *(() if context.firmware is None else context.firmware.inventory()))


tell(routes, _UPDATE_INFO, _UPDATE_PARAMETERS)


@routes.post(_SIMPLE_UPDATE, CONFIGURE_COMPONENTS)
def simple_update(context: Context, request: Request) -> Response:
    """Fetch an image and install it, as a task."""
    firmware = _firmware(context)
    body = checked(request.json(), _UPDATE_PARAMETERS)
    uri: str = body["ImageURI"]
    protocol: str = body.get("TransferProtocol", _PROTOCOLS[0])
    uri = uri if "://" in uri else f"{protocol.lower()}://{uri}"
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        reason = "ImageURI is no URI with http or https and a host, without credentials"
        raise members.refused("PropertyValueFormatError", reason, "ImageURI", uri)
    _check_targets(context, body.get("Targets", []), "Targets")

    def run(progress: Any) -> str:
        image = _fetched(uri)
        progress(50)
        return firmware.install(image, progress)

    return _begin(context, request, uri[:256], {"image_uri": uri[:256]}, run)


@routes.post(PUSH, CONFIGURE_COMPONENTS, media_type="multipart/form-data")
def push(context: Context, request: Request) -> Response:
    """Take an image in the parts UpdateParameters and UpdateFile (DSP0266 12.6), as a task."""
    firmware = _firmware(context)
    parameters, image = _parts(request)
    try:
        document = json.loads(parameters)
    except ValueError as error:
        raise MessageError("UpdateParameters is not JSON") from error
    body = members.json_object(document, ("Targets", "ForceUpdate"))
    members.flag(body, "ForceUpdate", False)
    _check_targets(context, members.texts(body, "Targets"), "Targets")
    planned = {"image_bytes": len(image)}

    def run(progress: Any) -> str:
        return firmware.install(image, progress)

    return _begin(context, request, "UpdateFile", planned, run)


def _begin(
    context: Context, request: Request, image: str, planned: dict[str, Any], run: Run
) -> Response:
    """Begin the task, whose outcome is audited and told when it is known."""
    who, correlation_id = request.who, request.correlation_id
    target = next(software.name for software in _installed(context) if software.updateable)

    def audited_run(progress: Any) -> str:
        _tell(context, "InstallingOnComponent", image, target)
        try:
            with audited(context.audit, "update", who, correlation_id, planned) as result:
                result["outcome"] = text = run(progress)
        except Exception:
            _tell(context, "ApplyFailed", image, target)
            raise
        _tell(context, "UpdateSuccessful", target, image)
        return text

    return accepted(context.tasks.start("Update", audited_run))


def _tell(context: Context, key: str, *args: str) -> None:
    now_s = context.clock.unix_ns() / 1e9
    message = f"{UPDATE}.{key}"
    context.eventing.publish(
        happening(message, args, at_s=now_s, origin=SERVICE, origin_type="UpdateService")
    )


def _firmware(context: Context) -> Firmware:
    if context.firmware is None:
        raise RedfishError(404, "this machine takes no images")
    return context.firmware


def _check_targets(context: Context, targets: list[str], name: str) -> None:
    possible = {f"{INVENTORY}/{one.id}" for one in _installed(context) if one.updateable}
    for target in targets:
        if target not in possible:
            reason = f"{target[:64]} cannot be updated"
            raise members.refused("PropertyValueNotInList", reason, name, target)


def _parts(request: Request) -> tuple[bytes, bytes]:
    """UpdateParameters and UpdateFile of a push; RedfishError names the one that is missing."""
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    try:
        _, form, files = FormDataParser(silent=False).parse(
            io.BytesIO(request.body), kind, len(request.body), options
        )
    except ValueError as error:
        raise RedfishError(400, f"the body is no multipart/form-data: {error}") from error
    parts = {name: text.encode() for name, text in form.items()}
    for name, file in files.items():
        with contextlib.closing(file):
            parts[name] = file.read()
    for name in ("UpdateParameters", "UpdateFile"):
        if name not in parts:
            raise members.refused("PropertyMissing", f"the part {name} is missing", name)
    return parts["UpdateParameters"], parts["UpdateFile"]


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """An image comes from where it was said to be."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Follow nothing."""


def _fetched(uri: str) -> bytes:
    """What is at that URI; ImageError."""
    opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))
    try:
        with opener.open(uri, timeout=_FETCH_S) as answer:
            image: bytes = answer.read(MAX_IMAGE_BYTES + 1)
    except urllib.error.HTTPError as refused:
        with refused:  # it holds the connection
            raise ImageError(f"{uri}: {refused}") from refused
    except (OSError, HTTPException, ValueError) as error:
        raise ImageError(f"{uri}: {error}") from error
    if len(image) > MAX_IMAGE_BYTES:
        raise ImageError(f"{uri}: more than {MAX_IMAGE_BYTES} bytes")
    return image
