"""A sidecar in front of a whole Redfish service that pushes events, with no stream to listen to."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path

from e2e.emulator_client import PASSWORD, USER, emulator, wait_for
from event_listener import event_listener
from redfish_proxy import Exchange, proxy
from served_front import served
from upstream_bmcs import sidecar_config

from bmc_ext.upstream_settings import UpstreamAccount

ROOT = "/redfish/v1"
SUBSCRIPTIONS = f"{ROOT}/EventService/Subscriptions"


def _without_stream(exchange: Exchange) -> None:
    """As an older BMC: its EventService names no stream."""
    if exchange.path == f"{ROOT}/EventService" and exchange.status == 200:
        body = json.loads(exchange.body)
        del body["ServerSentEventUri"]
        exchange.body = json.dumps(body).encode()


def test_what_happens_at_a_bmc_without_a_stream_is_told(tmp_path: Path) -> None:
    """Its power is told once, by its own event; its subscription goes with the sidecar."""
    folder = tmp_path / "sidecar"
    with emulator(tmp_path / "bmc") as bmc, proxy(bmc, answering=_without_stream) as port:
        config = sidecar_config(
            folder, f"https://127.0.0.1:{port}", account=UpstreamAccount(USER, PASSWORD),
            ca=tmp_path / "bmc" / "tls" / "lab-ca.pem", push_events=True, timeout_s=10.0,
        )  # fmt: skip
        listen = dataclasses.replace(config.listen, host="127.0.0.1")
        with (
            served(folder, config=dataclasses.replace(config, listen=listen)) as front,
            event_listener(tmp_path / "listener") as listener,
        ):
            wait_for(lambda: bmc.get(SUBSCRIPTIONS)["Members"], 60, "it is subscribed at")
            body = {"Destination": listener.url, "Protocol": "Redfish"}
            assert front.ask("POST", SUBSCRIPTIONS, body).status == 201
            (system,) = bmc.get(f"{ROOT}/Systems")["Members"]
            test = {"OriginOfCondition": f"{ROOT}/Chassis/DCPI"}
            uri = f"{ROOT}/EventService/Actions/EventService.SubmitTestEvent"
            assert bmc.ask("POST", uri, test).status == 204
            told = listener.wait_for("TestMessage", 30)
            assert told["OriginOfCondition"] == {"@odata.id": f"{ROOT}/Chassis/Upstream_DCPI"}
            reset = f"{system['@odata.id']}/Actions/ComputerSystem.Reset"
            assert bmc.ask("POST", reset, {"ResetType": "On"}).status == 204
            told = listener.wait_for("ResourcePoweredOn", 30)
            assert told["OriginOfCondition"] == system
            wait_for(
                lambda: front.ask("GET", system["@odata.id"]).body["PowerState"] == "On", 30, "on"
            )
            time.sleep(3)  # in which our own looks would have told it again
            came = [one["MessageId"].rpartition(".")[2] for one in listener.events]
            assert came.count("ResourcePoweredOn") == 1
        wait_for(lambda: not bmc.get(SUBSCRIPTIONS)["Members"], 30, "it is unsubscribed")
