"""The listener for aggregators that hand no identity on: everyone reads the equipment, no more."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from e2e.emulator_client import COMMAND, Answer, Running, running, wait_for
from e2e.test_aggregated import TREE as TREE_BEHIND
from e2e.test_aggregated import crawl, hand_back, hand_on
from free_port import free_port
from redfish_proxy import proxy

_CONFIG = """
facility: {id: bench, rated_power_w: 2.0e+7}
state_dir: state
devices: [{id: meter, profile: eastron.sdm630, target: "tcp://127.0.0.1:1"}]
feeds: [{id: feed-1, rated_power_w: 2.0e+4, meter: meter}]
loops: [{id: loop-1}]
"""
TREE = "/redfish/v1/Chassis/DCPI/Oem/DCPI"
_SECRET = (
    "/redfish/v1/AccountService",
    "/redfish/v1/AccountService/Accounts/admin",
    "/redfish/v1/SessionService/Sessions",
    "/redfish/v1/EventService/Subscriptions",
    "/redfish/v1/EventService/SSE",
    "/redfish/v1/TaskService/Tasks",
    "/redfish/v1/CertificateService",
    "/redfish/v1/UpdateService",
    "/redfish/v1/Managers/DCPI/LogServices/Audit/Entries",
    "/redfish/v1/Managers/DCPI/NetworkProtocol",
    "/redfish/v1/Managers/DCPI/NetworkProtocol/HTTPS/Certificates",
    "/redfish/v1/Chassis/../AccountService/Accounts",
    "/redfish/v1/Chassis/%2e%2e/AccountService/Accounts",
    "/dcpi/power/realtime",
)


class Sides(NamedTuple):
    """The same service with identity and without."""

    known: Running
    open: Running


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sides]:
    """A sidecar with both listeners; no sensor answers."""
    directory = tmp_path_factory.mktemp("aggregated")
    config = directory / "service.yaml"
    port = free_port()
    listen = f"listen: {{aggregated: {{host: 127.0.0.1, port: {port}}}}}\n"
    config.write_text(_CONFIG + listen, encoding="utf-8")
    subprocess.run([COMMAND, "serve", "--config", config, "--set-password", "admin"],
                   input="bench-secret\n", text=True, check=True, capture_output=True)  # fmt: skip
    with running("serve", "--config", config, "--port", 0) as it:
        it.user, it.password, it.state_dir = "admin", "bench-secret", directory / "state"
        yield Sides(it, _at(it, port))


def _at(it: Running, port: int) -> Running:
    other = object.__new__(Running)
    vars(other).update({**vars(it), "port": port})
    return other


def _whole(body: Any) -> Iterator[dict[str, Any]]:
    """Each resource in a body, not the mere links to one."""
    if isinstance(body, dict):
        if "@odata.type" in body and "@odata.id" in body:
            yield body
        for inner in body.values():
            yield from _whole(inner)
    elif isinstance(body, list):
        for inner in body:
            yield from _whole(inner)


def test_everyone_may_read_the_equipment(sides: Sides) -> None:
    """Chassis, cooling, power and the DCPI tree are answered without credentials, HEAD too."""
    for uri in ("/redfish", "/redfish/v1", "/redfish/v1/$metadata", "/redfish/v1/Chassis/DCPI",
                "/redfish/v1/Chassis/DCPI/Sensors", "/redfish/v1/ThermalEquipment/CDUs/loop-1",
                "/redfish/v1/dcpi", "/redfish/v1/Managers/DCPI", TREE):  # fmt: skip
        for method in ("GET", "HEAD"):
            answer = sides.open.ask(method, uri, auth=False)
            assert (answer.status, answer.headers["allow"]) == (200, "GET, HEAD, OPTIONS"), uri
    assert sides.known.ask("GET", "/redfish/v1/Chassis/DCPI", auth=False).status == 401


@pytest.mark.parametrize("uri", _SECRET)
def test_nothing_about_people_and_access_is_shown(sides: Sides, uri: str) -> None:
    """Accounts, sessions, logs, subscriptions: refused, and credentials make no difference."""
    for auth in (False, True):
        answer = sides.open.ask("GET", uri, auth=auth)
        assert answer.status in (401, 403, 404), answer
        assert "error" in answer.body


def test_expand_gathers_nothing_that_is_not_shown(sides: Sides) -> None:
    """What $expand brings along is what a GET of each would have been answered."""
    answer = sides.open.ask("GET", "/redfish/v1?$expand=*($levels=6)", auth=False)
    assert answer.status == 200
    found = {body["@odata.id"] for body in _whole(answer.body)}
    assert "/redfish/v1/Chassis/DCPI/Sensors" in found
    second = {uri.split("/")[3] for uri in found if len(uri) > len("/redfish/v1/")}
    assert second <= {"Chassis", "Managers", "PowerEquipment", "ThermalEquipment", "dcpi",
                      "JsonSchemas", "Registries"}  # fmt: skip
    assert {uri for uri in found if "/Managers/" in uri} == {"/redfish/v1/Managers/DCPI"}
    assert "bench-secret" not in json.dumps(answer.body)
    assert '"admin"' not in json.dumps(answer.body)


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
def test_nothing_can_be_changed(sides: Sides, method: str) -> None:
    """Every unsafe method is refused with Allow, whoever asks, also a login and an action."""
    login = {"UserName": "admin", "Password": "bench-secret"}
    for uri in ("/redfish/v1/SessionService/Sessions", "/redfish/v1/Chassis/DCPI",
                f"{TREE}/grid/status/Actions/DcpiGridStatus.Signal"):  # fmt: skip
        for auth in (False, True):
            answer = sides.open.ask(method, uri, login, auth=auth)
            assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
            assert answer.body["error"]["code"].endswith("OperationNotAllowed")


def test_nobody_can_try_passwords(sides: Sides) -> None:
    """Wrong credentials are not looked at: they are answered like none, and lock nobody."""
    stranger = _at(sides.open, sides.open.port)
    stranger.password = "guess"
    before = _refusals(sides.known)
    assert [stranger.ask("GET", "/redfish/v1/Chassis").status for _ in range(12)] == [200] * 12
    assert sides.known.ask("GET", "/redfish/v1/AccountService").status == 200
    assert _refusals(sides.known) == before


def _refusals(it: Running) -> int:
    lines = (it.state_dir / "audit" / "audit.jsonl").read_bytes().splitlines()
    return sum(json.loads(line)["event"] == "authentication.refused" for line in lines)


def test_every_link_of_the_tree_is_answered_without_identity(sides: Sides) -> None:
    """An aggregator that logs in nowhere reaches all of the DCPI tree."""

    def answered() -> Answer | None:
        answer = sides.known.ask("GET", f"{TREE}/power/realtime")
        return answer if answer.status == 200 else None

    wait_for(answered, 20, "the first window")

    with proxy(sides.open, asking=hand_on, answering=hand_back) as port:
        assert len(crawl(_at(sides.open, port), TREE_BEHIND)) > 6
