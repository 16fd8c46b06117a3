"""`dcpi-bmc serve` in front of a stock sushy-emulator over TLS, each a process of its own."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.emulator_client import COMMAND, Running, running, unverified, wait_for
from event_listener import event_listener
from mockup_bmc import mockup_bmc, write_mockup
from served_front import PASSWORD, USER, Served, basic, served
from upstream_bmcs import ask_directly, sidecar_config, sushy

from bmc_ext.upstream_settings import UpstreamAccount

ROOT = "/redfish/v1"


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """Port and authority of the BMC behind."""
    with sushy(tmp_path_factory.mktemp("sushy")) as found:
        yield found


@pytest.fixture(scope="module")
def sidecar(stock: tuple[int, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The sidecar as it is configured by hand."""
    folder = tmp_path_factory.mktemp("sidecar")
    port, authority = stock
    (folder / "bmc.password").write_text("not-asked-for\n", encoding="utf-8")
    (folder / "service.yaml").write_text(
        f"""
facility: {{id: rack-7, rated_power_w: 2.0e+4}}
state_dir: state
events: {{allow_loopback: true}}
feeds:
  - {{id: feed-1, rated_power_w: 2.0e+4, waveform: {{type: stream, port: 9}}}}
upstream:
  url: https://127.0.0.1:{port}
  ca: {authority}
  account: {{username: admin, password_file: bmc.password}}
  refresh_s: 1
""",
        encoding="utf-8",
    )
    command = [COMMAND, "serve", "--config", folder / "service.yaml"]
    subprocess.run(
        [*command, "--set-password", "admin"], input="of-the-sidecar\n", text=True, check=True,
        capture_output=True,
    )  # fmt: skip
    with running(*command[1:], "--port", 0) as it:
        it.user, it.password = "admin", "of-the-sidecar"
        wait_for(lambda: it.ask("GET", f"{ROOT}/Systems").status == 200, 60, "sushy is known")
        yield it


def system(sidecar: Running) -> str:
    """The URI of sushy's first system."""
    uri: str = sidecar.get(f"{ROOT}/Systems")["Members"][0]["@odata.id"]
    return uri


def test_power_is_switched_at_the_bmc_and_told(
    sidecar: Running, stock: tuple[int, Path], tmp_path: Path
) -> None:
    """A reset through us is seen by who asks the BMC itself, in our next GETs, and as an event."""
    uri = system(sidecar)
    port, _ = stock
    with event_listener(tmp_path) as listener:
        subscription = {"Destination": listener.url, "Protocol": "Redfish"}
        sidecar.ask("POST", f"{ROOT}/EventService/Subscriptions", subscription)
        for kind, state in (("ForceOff", "Off"), ("On", "On"), ("ForceOff", "Off")):
            answer = sidecar.ask("POST", f"{uri}/Actions/ComputerSystem.Reset", {"ResetType": kind})
            assert answer.status == 204
            wait_for(lambda: ask_directly(port, "GET", uri).body["PowerState"] == state, 60, state)  # noqa: B023
            assert sidecar.get(uri)["PowerState"] == state
        assert listener.wait_for("ResourcePoweredOff", 60)["OriginOfCondition"] == {
            "@odata.id": uri
        }


def test_types_of_a_bmc_without_metadata_are_in_ours(sidecar: Running) -> None:
    """What sushy serves is found in our $metadata, though it has none and no client looked yet."""
    wait_for(
        lambda: b"SecureBoot.v1_1_0" in sidecar.ask("GET", f"{ROOT}/$metadata").body, 60, "found"
    )
    document = sidecar.ask("GET", f"{ROOT}/$metadata").body
    assert b"ComputerSystem.v1_13_0" in document
    names = str(sidecar.get(f"{ROOT}/JsonSchemas")["Members"])
    assert "/redfish/v1/JsonSchemas/Thermal.v1_3_0" in names


def test_boot_is_set_at_the_bmc(sidecar: Running, stock: tuple[int, Path]) -> None:
    """A PATCH with the entity tag of our GET changes the BMC; with an old one it does not."""
    uri = system(sidecar)
    tag = sidecar.ask("GET", uri).headers["etag"]
    change = {"Boot": {"BootSourceOverrideTarget": "Pxe"}}
    assert sidecar.ask("PATCH", uri, change, headers={"If-Match": tag}).status in (200, 204)
    boot = ask_directly(stock[0], "GET", uri).body["Boot"]
    assert boot["BootSourceOverrideTarget"] == "Pxe"
    change["Boot"]["BootSourceOverrideTarget"] = "Hdd"
    assert sidecar.ask("PATCH", uri, change, headers={"If-Match": tag}).status == 412
    boot = ask_directly(stock[0], "GET", uri).body["Boot"]
    assert boot["BootSourceOverrideTarget"] == "Pxe"


def test_the_whole_tree_of_the_bmc_is_reached_through_links(
    sidecar: Running, stock: tuple[int, Path], tmp_path: Path
) -> None:
    """What sushy answers at its links we answer alike; served again as a mockup it is the same."""
    port, _ = stock
    bodies: dict[str, dict[str, object]] = {}
    waiting = [f"{ROOT}/Systems", f"{ROOT}/Chassis", f"{ROOT}/Managers"]
    while waiting and len(bodies) < 40:
        path = waiting.pop(0)
        answer = ask_directly(port, "GET", path)
        if path in bodies or answer.status != 200:
            continue
        bodies[path] = answer.body
        waiting += _links(answer.body)
    assert len(bodies) > 12
    for path, body in bodies.items():
        assert _is_alike(sidecar.get(path), body), path
    write_mockup(tmp_path, {path.removeprefix(f"{ROOT}/"): body for path, body in bodies.items()})
    root = {name: {"@odata.id": f"{ROOT}/{name}"} for name in ("Systems", "Chassis", "Managers")}
    write_mockup(tmp_path, {"": root})
    with (
        mockup_bmc(tmp_path) as bmc,
        served(tmp_path / "s", config=sidecar_config(tmp_path / "s", bmc.url, ca=bmc.ca)) as front,
    ):
        wait_for(lambda: front.ask("GET", f"{ROOT}/Systems").status == 200, 30, "known")
        for path, body in bodies.items():
            assert _is_alike(front.ask("GET", path).body, body), path


def test_over_a_bmc_that_has_all_that_we_have_no_link_is_dead(bmc: Running, tmp_path: Path) -> None:
    """In front of our own emulator, where nearly every id is taken twice, all links answer.

    Each resource says of itself the URI at which it was found.
    """
    authority = Path(bmc.state_dir) / "tls" / "lab-ca.pem"
    account = UpstreamAccount(bmc.user, bmc.password)
    config = sidecar_config(
        tmp_path, f"https://127.0.0.1:{bmc.port}", ca=authority, account=account, timeout_s=10.0
    )
    with served(tmp_path, config=config) as front:
        wait_for(lambda: front.ask("GET", f"{ROOT}/Systems").status == 200, 60, "known")
        found = _crawled(front, 120)
        assert {f"{ROOT}/Managers/DCPI", f"{ROOT}/Managers/Upstream_DCPI"} <= found
        assert any(path.startswith(f"{ROOT}/Chassis/Upstream_DCPI/Sensors") for path in found)


def _crawled(front: Served, most: int) -> set[str]:
    """URIs that links lead to, over one connection; each answers and says where it is."""
    found: set[str] = set()
    waiting = deque([f"{ROOT}/", f"{ROOT}/Chassis/Upstream_DCPI", f"{ROOT}/Chassis/DCPI"])
    connection = http.client.HTTPSConnection(
        "127.0.0.1", front.port, timeout=30, context=unverified()
    )
    with contextlib.closing(connection):
        while waiting and len(found) < most:
            path = waiting.popleft().partition("#")[0]
            if path in found:
                continue
            found.add(path)
            connection.request("GET", path, headers={"Authorization": basic(USER, PASSWORD)})
            response = connection.getresponse()
            text = response.read()
            assert response.status == 200, path
            if "json" in response.headers["Content-Type"]:
                body = json.loads(text)
                assert body.get("@odata.id", path).rstrip("/") == path.rstrip("/")
                waiting += _links(body)
    return found


def _is_alike(ours: dict[str, object], theirs: dict[str, object]) -> bool:
    """Whether a body is what the BMC said, but for its clock; collections have ours too."""
    clock = {"DateTime": "", "@odata.etag": ""}
    return "Members" in theirs or {**ours, **clock} == {**theirs, **clock}


def _links(value: object) -> list[str]:
    if isinstance(value, dict):
        found = [link for member in value.values() for link in _links(member)]
        own = value.get("@odata.id")
        return [own, *found] if isinstance(own, str) else found
    return [link for entry in value for link in _links(entry)] if isinstance(value, list) else []
