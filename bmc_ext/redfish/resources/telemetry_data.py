"""TelemetryData: the 100 ms windows of each feed's last ten minutes, one JSON object a line."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import orjson

from bmc_ext.clock import iso8601
from bmc_ext.errors import NotFoundError
from bmc_ext.redfish.context import Context, Request, Response
from bmc_ext.redfish.errors import RedfishError
from bmc_ext.redfish.registry import Routes
from bmc_ext.redfish.resources.telemetry_service import DATA, OEM_DATA_TYPE
from bmc_ext.security.identity import LOGIN
from bmc_ext.telemetry.ring import QUALITIES

routes = Routes()

_WINDOW_ID = re.compile(r"[0-9]{1,15}")
_NUMBERS = {
    "PowerWatts": "p_w",
    "ReactivePowerVAR": "q_var",
    "ApparentPowerVA": "s_va",
    "PowerFactor": "pf",
    "FrequencyHz": "frequency_hz",
}
_PHASES = {"VoltageVolts": "v_rms_v", "CurrentAmps": "i_rms_a"}


@routes.get(DATA, LOGIN, schema="TelemetryDataCollection.TelemetryDataCollection")
def telemetry_data(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """One for each feed."""
    ids = [feed.id for feed in context.config.feeds]
    return {
        "Name": "Telemetry Data",
        "Members": [{"@odata.id": f"{DATA}/{one}"} for one in ids],
        "Members@odata.count": len(ids),
    }


@routes.get(
    f"{DATA}/{{feed}}",
    LOGIN,
    schema="TelemetryData.v1_0_0.TelemetryData",
    volatile=("Timestamp",),
)
def feed_data(context: Context, request: Request) -> dict[str, Any]:
    """Where the windows of one feed are; Timestamp is that of the newest snapshot."""
    feed_id = _feed(context, request)
    snapshot = context.snapshots.latest()
    return {
        "Id": feed_id,
        "Name": f"100 ms windows of {feed_id}",
        **({} if snapshot is None else {"Timestamp": iso8601(snapshot.start_s)}),
        "TelemetryDataType": "OEM",
        "OEMTelemetryDataType": OEM_DATA_TYPE,
        "AdditionalDataURI": f"{DATA}/{feed_id}/Data",
    }


@routes.get(f"{DATA}/{{feed}}/Data", LOGIN)
def feed_windows(context: Context, request: Request) -> Response:
    """NDJSON, oldest window first; with the query `since` only those after that WindowId."""
    feed_id = _feed(context, request)
    since = request.query.get("since", "0")
    if not _WINDOW_ID.fullmatch(since):
        raise RedfishError(400, f"since: {since[:20]!r} is no WindowId")
    rows = context.windows(feed_id, int(since) + 1)
    lines = b"".join([orjson.dumps(_window(row)) + b"\n" for row in rows])
    return Response(200, lines, {"Content-Type": "application/x-ndjson"})


def _feed(context: Context, request: Request) -> str:
    feed_id = request.params["feed"]
    if feed_id not in [feed.id for feed in context.config.feeds]:
        raise NotFoundError(f"no feed {feed_id!r}")
    return feed_id


def _window(row: np.void) -> dict[str, Any]:
    """A record of the ring; NaN is unknown and becomes null."""
    window_id = int(row["window_id"])
    return {
        "WindowId": window_id,
        "Time": iso8601(window_id / 10),
        "Quality": str(QUALITIES[int(row["quality"])]),
        **{name: _known(row[column]) for name, column in _NUMBERS.items()},
        **{name: [_known(v) for v in row[column]] for name, column in _PHASES.items()},
    }


def _known(value: np.float64) -> float | None:
    return None if math.isnan(value) else float(value)
