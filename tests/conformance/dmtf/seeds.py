"""Violations for a proxy to seed, one for each validator, so that each gate is seen to fail."""

from __future__ import annotations

import json

from redfish_proxy import Change, Exchange

SENSOR = "/redfish/v1/Chassis/DCPI/Sensors/Facility_Power"
REALTIME = "/redfish/v1/dcpi/power/realtime"


def reading_of_a_wrong_type(exchange: Exchange) -> None:
    """One Sensor's Reading is a text."""
    if exchange.path == SENSOR and exchange.status == 200:
        exchange.body = json.dumps({**json.loads(exchange.body), "Reading": "much"}).encode()


def no_odata_version(exchange: Exchange) -> None:
    """No answer says which version of OData it follows."""
    exchange.answer_headers = {
        name: value
        for name, value in exchange.answer_headers.items()
        if name.lower() != "odata-version"
    }


def boot_override_that_does_nothing(exchange: Exchange) -> None:
    """A system always says that no boot override is set."""
    if exchange.path.startswith("/redfish/v1/Systems/") and exchange.status == 200:
        body = json.loads(exchange.body)
        if "Boot" in body:
            body["Boot"]["BootSourceOverrideEnabled"] = "Disabled"
            body["Boot"]["BootSourceOverrideTarget"] = "None"
            exchange.body = json.dumps(body).encode()


def without(uri: str, *names: str) -> Change:
    """The resource at `uri` does not have the member to which these names lead."""

    def change(exchange: Exchange) -> None:
        if exchange.path.rstrip("/") == uri and exchange.status == 200:
            body = json.loads(exchange.body)
            inner = body
            for name in names[:-1]:
                inner = inner[name]
            del inner[names[-1]]
            exchange.body = json.dumps(body).encode()

    return change
