"""What is measured of the facility at a moment, as a decision may count on it."""

from __future__ import annotations

from dataclasses import dataclass

from bmc_ext.domain.grid import grid_frequency_hz
from bmc_ext.domain.quality import worst_quality
from bmc_ext.domain.snapshot import WINDOW_S, LoopValues, Snapshot
from bmc_ext.domain.thermal import Cooling, LoopPlate, cooling
from bmc_ext.settings import Config, FeedConfig
from drivers.reading import Quality

MAX_AGE_S = 2.0
"""A snapshot older than that says nothing of now: twenty windows, two cooling intervals."""


@dataclass(frozen=True, slots=True)
class Survey:
    """Import and cooling; W, Hz.

    `import_w` is the measured import, None unless all feeds are known. `power_w` counts the feeds
    that are not at their rating, and `notes` say so. `cooling` is None when no loop is configured.
    `loops` are the measured ones.
    """

    window_id: int
    quality: Quality
    import_w: float | None
    power_w: float
    frequency_hz: float | None
    cooling: Cooling | None
    loops: tuple[LoopValues, ...]
    notes: tuple[str, ...]


def survey(config: Config, snapshot: Snapshot | None, now_s: float) -> Survey:
    """The facility as the newest snapshot shows it; a snapshot that is too old shows nothing."""
    if snapshot is not None and now_s - snapshot.start_s - WINDOW_S > MAX_AGE_S:
        snapshot = None
    feeds = {} if snapshot is None else {feed.feed_id: feed for feed in snapshot.feeds}
    notes: list[str] = []
    known_w = unknown_w = 0.0
    for feed in config.feeds:
        values = feeds.get(feed.id)
        if values is not None and values.p_w is not None:
            known_w += values.p_w
        else:
            unknown_w += feed.rated_power_w
            notes.append(_rating_note(feed, Quality.ABSENT if values is None else values.quality))
    if not config.feeds:
        unknown_w = config.facility.rated_power_w
        notes.append("no feed is configured: the import is counted at the facility's rating")
    return Survey(
        window_id=int(now_s / WINDOW_S) if snapshot is None else snapshot.window_id,
        quality=worst_quality([feed.quality for feed in feeds.values()]),
        import_w=None if notes else known_w,
        power_w=known_w + unknown_w,
        frequency_hz=grid_frequency_hz(feed.frequency_hz for feed in feeds.values()),
        cooling=_cooling(config, snapshot, notes),
        loops=() if snapshot is None else snapshot.loops,
        notes=tuple(notes),
    )


def loop_plates(config: Config) -> tuple[LoopPlate, ...]:
    """The nameplates of the configured loops."""
    return tuple(
        LoopPlate(
            loop_id=loop.id,
            fluid=loop.fluid,
            rated_flow_lpm=loop.rated_flow_lpm,
            max_return_c=loop.max_return_c,
            has_pump=loop.pump_setpoint is not None,
        )
        for loop in config.loops
    )


def _cooling(config: Config, snapshot: Snapshot | None, notes: list[str]) -> Cooling | None:
    if not config.loops:
        return None
    found = cooling(loop_plates(config), () if snapshot is None else snapshot.loops)
    if found.ignored:
        notes.append(
            f"cooling of {', '.join(found.ignored)} is not counted: its values are unknown"
        )
    return found


def _rating_note(feed: FeedConfig, quality: Quality) -> str:
    rated_mw = feed.rated_power_w / 1e6
    return f"the power of feed {feed.id} is {quality}: counted at its rating of {rated_mw:.6g} MW"
