"""A service with little or nothing configured, or nothing that answers, is whole all the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from served_front import PASSWORD, USER, Served, served, wait_for

from bmc_ext.config import parse_config
from bmc_ext.domain.power import FeedValues, PhaseValues, TotalValues
from bmc_ext.domain.snapshot import Snapshot
from bmc_ext.redfish.feed_sensors import power_sensors
from drivers.reading import Quality

_DEAD = {"id": "m.1-x_", "profile": "eastron.sdm630", "target": "tcp://127.0.0.1:9"}
_FEED = {"id": "f", "rated_power_w": 2e4, "meter": "m.1-x_"}
_SITES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "odd names, dead devices": {
        "facility": {
            "id": "0.-_", "name": "Zürich / “Halle” 50 % <b>#?&", "rated_power_w": 1e5,
            "nameplate": {"serial_number": "a b/c#d"}, "site": {"city": "Zürich/2", "rack": "#3"},
        },
        "devices": [_DEAD],
        "feeds": [
            {**_FEED, "id": "f.1_-", "name": "ü / #1 %20", "equipment": {"kind": "RackPDUs"}},
            {**_FEED, "id": "F.1_-", "name": "ü / #1 %20", "equipment": {"kind": "FloorPDUs"}},
        ],
        "loops": [{"id": "l.1", "cooling_unit": {"filters": [{"id": "f.1"}]}}, {"id": "L.1"}],
    },
}  # fmt: skip


@pytest.fixture(scope="module", params=_SITES)
def front(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """A service of each site, after its first window."""
    folder = tmp_path_factory.mktemp("sparse")
    document = {
        "facility": {"id": "s", "rated_power_w": 1e5}, "state_dir": str(folder),
        "legacy": False, **_SITES[request.param],
    }  # fmt: skip
    with served(folder, config=parse_config(document, base=folder)) as it:
        realtime = "/redfish/v1/dcpi/power/realtime"
        wait_for(lambda: it.ask("GET", realtime).status == 200, 15, "the first window")
        yield it


def _links(value: Any, name: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _links(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _links(inner, name)
    elif isinstance(value, str) and name in ("@odata.id", "DataSourceUri", "@Redfish.ActionInfo"):
        yield value.partition("#")[0]


def test_every_link_is_answered(front: Served) -> None:
    """Each resource is where its links say, has its own URI, and counts its members rightly."""
    origin, login = f"https://127.0.0.1:{front.port}", (USER, PASSWORD)
    with httpx.Client(base_url=origin, auth=login, verify=False, timeout=30) as client:
        seen = _crawl(client)
    assert len(seen) > 150
    feeds = front.service.config.feeds
    assert len([uri for uri in seen if "/Mains/" in uri]) == len(feeds)
    assert ("/redfish/v1/dcpi/power/history" in seen) == bool(feeds)


def _crawl(client: httpx.Client) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    waiting = ["/redfish/v1/"]
    while waiting:
        uri = waiting.pop()
        if uri in seen:
            continue
        answer = client.get(uri)
        assert answer.status_code == 200, f"{uri}: {answer.text}"
        seen[uri] = body = answer.json()
        assert body.get("@odata.id", uri) == uri
        assert body.get("Members@odata.count", 0) == len(body.get("Members", ()))
        if "Reading" in body and body["Reading"] is None:
            assert body["Status"]["State"] != "Enabled", uri
        waiting += _links(body)
    return seen


def test_no_feed_has_no_history(front: Served) -> None:
    """It is not found, rather than asked for wrongly; where there are feeds it names the first."""
    feeds = front.service.config.feeds
    for uri in ("/redfish/v1/dcpi/power/history", "/dcpi/power/history"):
        answer = front.ask("GET", uri)
        assert answer.status == (200 if feeds else 404)
        if feeds:
            assert feeds[0].id in (answer.body.get("FeedId"), answer.body.get("feed_id"))


def test_a_feed_without_phases_has_its_sensors_properties() -> None:
    """What stands beside a phase's reading is null with it, and does not vanish."""
    config = parse_config(
        {"facility": {"id": "s", "rated_power_w": 1e5}, "state_dir": "s", "devices": [_DEAD],
         "feeds": [_FEED]}, base=Path.cwd(),
    )  # fmt: skip
    phase = PhaseValues("L2", 10.0, 1.0, 11.0, 0.9, 0.9, 230.0, 1.0, 2.0, 3.0)
    known = FeedValues("f", "meter", Quality.OK, p_w=10.0, phases=(phase,))
    unknown = FeedValues("f", "meter", Quality.STALE)
    sensors = [sensor for sensor in power_sensors(config) if "_L2_" in sensor.id]
    for sensor in sensors:
        shown, hidden = (sensor.value(_snapshot(feed)) for feed in (known, unknown))
        assert shown.value is not None
        assert None not in shown.extras.values()
        assert hidden.value is None
        assert dict(hidden.extras) == dict.fromkeys(shown.extras)
    assert len(sensors) == 3


def _snapshot(feed: FeedValues) -> Snapshot:
    return Snapshot(10, None, TotalValues(feed.quality), (feed,), (), ())
