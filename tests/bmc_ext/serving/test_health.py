"""What probes of containers are told: live, and ready only with measured windows."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
import pytest
from served_front import Served, served, wait_for

from bmc_ext.clock import SystemClock
from bmc_ext.domain.power import FeedValues, total_of
from bmc_ext.domain.snapshot import Snapshot
from bmc_ext.serving.health import LIVE, READY, Health
from bmc_ext.telemetry.snapshot import SnapshotStore
from drivers.reading import Quality

NOW_WINDOW = 17_956_600_000


class StillClock(SystemClock):
    """Stands at the end of a window."""

    def unix_ns(self) -> int:
        """UTC in ns."""
        return (NOW_WINDOW + 1) * 100_000_000


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service whose one feed is measured by nothing."""
    with served(tmp_path_factory.mktemp("health")) as it:
        wait_for(lambda: it.service.snapshots.latest(), 20, "a window")
        yield it


def _snapshot(*powers_w: float | None, window_id: int = NOW_WINDOW) -> Snapshot:
    feeds = tuple(
        FeedValues(f"feed-{n}", source="waveform", p_w=p_w, quality=Quality.OK)
        for n, p_w in enumerate(powers_w)
    )
    return Snapshot(
        window_id=window_id,
        time_bound_s=None,
        time_source=None,
        total=total_of(feeds),
        feeds=feeds,
        loops=(),
        silicon=(),
    )


def _asked(snapshot: Snapshot | None, path: str = READY) -> tuple[int, dict[str, str]]:
    store = SnapshotStore()
    if snapshot is not None:
        store.publish(snapshot)
    answer = Health(store, StillClock()).answer("GET", path)
    assert answer is not None
    return answer[0], orjson.loads(answer[2])


@pytest.mark.parametrize(
    ("snapshot", "reason"),
    [
        (None, "no window yet"),
        (_snapshot(None, None), "no feed is measured"),
        (_snapshot(1e6, window_id=NOW_WINDOW - 30), "the newest window began 3.1 s ago"),
        (_snapshot(1e6, window_id=NOW_WINDOW + 30), "the newest window began -2.9 s ago"),
    ],
)
def test_not_ready_says_why_and_is_live_all_the_same(
    snapshot: Snapshot | None, reason: str
) -> None:
    """Without windows, without values and with old ones it is live and not ready."""
    assert _asked(snapshot) == (503, {"status": "not ready", "reason": reason})
    assert _asked(snapshot, LIVE) == (200, {"status": "live"})


@pytest.mark.parametrize("snapshot", [_snapshot(None, 1e6), _snapshot()])
def test_one_measured_feed_is_enough(snapshot: Snapshot) -> None:
    """A dead meter beside a live one does not matter, nor does a service without feeds."""
    assert _asked(snapshot) == (200, {"status": "ready"})


def test_probes_need_no_login(front: Served) -> None:
    """Both answer without credentials, HEAD too, and say nothing but their state."""
    ready = front.ask("GET", READY, user=None)
    assert (ready.status, ready.headers["retry-after"]) == (503, "1")
    assert ready.body == {"status": "not ready", "reason": "no feed is measured"}
    live = front.ask("GET", LIVE, user=None)
    assert (live.status, live.body) == (200, {"status": "live"})
    assert live.headers["cache-control"] == "no-store"
    head = front.ask("HEAD", LIVE, user=None)
    assert (head.status, head.body) == (200, b"")


@pytest.mark.parametrize("path", [LIVE, READY])
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_only_reading_is_open(front: Served, method: str, path: str) -> None:
    """Anything else at these paths is refused as everywhere."""
    assert front.ask(method, path, user=None).status == 401
    assert front.ask("GET", f"{path}/more", user=None).status == 401
