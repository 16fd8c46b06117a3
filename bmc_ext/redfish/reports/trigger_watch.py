"""Follows what triggers are about, window by window, and does what they ask for."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from bmc_ext.clock import Clock
from bmc_ext.domain.snapshot import Snapshot
from bmc_ext.errors import DcpiError
from bmc_ext.redfish.events.eventing import Eventing
from bmc_ext.redfish.events.message import TELEMETRY, Happening, happening
from bmc_ext.redfish.reports.definition import DEFINITIONS
from bmc_ext.redfish.reports.metrics import Catalogue, Metric
from bmc_ext.redfish.reports.reporter import Reporter, resolved
from bmc_ext.redfish.reports.trigger import Threshold, Trigger, TriggerStore

_LOG = logging.getLogger(__name__)

LOG_CAPACITY: Final = 1000


class Logged(NamedTuple):
    """One entry of the log of triggers."""

    id: str
    event: Happening


@dataclass(slots=True)
class _Followed:
    """What was seen of one condition: the value that counts, and another that does not yet."""

    counts: str | None = None
    other: str | None = None
    since_s: float = 0.0

    def follow(self, value: str, dwell_s: float, now_s: float) -> bool:
        """Whether `value` has just come to count; the first that is seen does so silently."""
        if self.counts is None or value == self.counts:
            self.counts, self.other = value, None
            return False
        if value != self.other:
            self.other, self.since_s = value, now_s
        if now_s - self.since_s < dwell_s:
            return False
        self.counts, self.other = value, None
        return True


@dataclass(slots=True)
class _Watched:
    """A trigger at work."""

    trigger: Trigger
    metrics: tuple[Metric, ...]
    followed: dict[tuple[str, str], _Followed] = field(default_factory=dict)

    def of(self, metric: Metric, name: str) -> _Followed:
        return self.followed.setdefault((metric.uri, name), _Followed())


class TriggerWatch:
    """All triggers. `follow` is called by one thread; any thread reads the log.

    The log is in memory: it begins anew with the service.
    """

    def __init__(
        self,
        store: TriggerStore,
        catalogue: Catalogue,
        reporter: Reporter,
        eventing: Eventing,
        clock: Clock,
    ) -> None:
        self.store = store
        self._catalogue = catalogue
        self._reporter = reporter
        self._eventing = eventing
        self._watched: dict[str, _Watched] = {}
        self._lock = threading.Lock()  # guards what follows
        self._log: deque[Logged] = deque(maxlen=LOG_CAPACITY)
        self._number = clock.unix_ns() // 1_000_000  # the ids of an earlier run do not come again

    def follow(self, snapshot: Snapshot) -> None:
        """Look at the values of one window."""
        triggers = self.store.list()
        for gone in self._watched.keys() - {trigger.id for trigger in triggers}:
            del self._watched[gone]
        for trigger in triggers:
            if not trigger.enabled:
                self._watched.pop(trigger.id, None)
                continue
            try:
                for event in self._events(self._at_work(trigger), snapshot):
                    self._act(trigger, event, snapshot)
            except Exception:
                _LOG.exception("the trigger %s failed", trigger.id)

    def logged(self) -> list[Logged]:
        """The log, newest first."""
        with self._lock:
            return list(reversed(self._log))

    def _at_work(self, trigger: Trigger) -> _Watched:
        known = self._watched.get(trigger.id)
        if known is None or known.trigger is not trigger:
            metrics = tuple(
                resolved(trigger.properties, trigger.wildcards, self._catalogue, trigger.id)
            )
            known = self._watched[trigger.id] = _Watched(trigger, metrics)
        return known

    def _events(self, watched: _Watched, snapshot: Snapshot) -> Iterator[Happening]:
        """What has just come to be; an unknown value is neither here nor there."""
        for metric in watched.metrics:
            text = metric.read(snapshot).text
            if text is None:
                continue
            if watched.trigger.is_numeric:
                yield from _numeric(watched, metric, float(text), snapshot.start_s)
            else:
                yield from _discrete(watched, metric, text, snapshot.start_s)

    def _act(self, trigger: Trigger, event: Happening, snapshot: Snapshot) -> None:
        if "RedfishEvent" in trigger.actions:
            self._eventing.publish(event)
        if "LogToLogService" in trigger.actions:
            with self._lock:
                self._number += 1
                self._log.append(Logged(str(self._number), event))
        if "RedfishMetricReport" in trigger.actions:
            for uri in trigger.reports:
                try:
                    self._reporter.report_now(uri.removeprefix(f"{DEFINITIONS}/"), snapshot)
                except DcpiError as error:
                    _LOG.warning("trigger %s: %s", trigger.id, error)


def _numeric(watched: _Watched, metric: Metric, value: float, now_s: float) -> Iterator[Happening]:
    trigger = watched.trigger
    for threshold in trigger.thresholds:
        side = "above" if _is_above(threshold, value) else "below"
        rising = side == "above"
        turned = watched.of(metric, threshold.level).follow(side, threshold.dwell_s, now_s)
        if turned and threshold.is_activated(rising=rising):
            yield _passed(trigger, threshold, metric, value, now_s)


def _is_above(threshold: Threshold, value: float) -> bool:
    """A value on an upper threshold has reached it, and so has one on a lower threshold."""
    if threshold.level.startswith("Upper"):
        return value >= threshold.reading
    return value > threshold.reading


def _passed(
    trigger: Trigger, threshold: Threshold, metric: Metric, value: float, at_s: float
) -> Happening:
    """The message of the registry Telemetry for a threshold that was passed."""
    above = _is_above(threshold, value)
    outside = above == threshold.level.startswith("Upper")
    if outside or (threshold.level.endswith("Critical") and _is_outside(trigger, value)):
        side = "Above" if above else "Below"
        key = f"TriggerNumeric{side}{threshold.level}"
        args: list[object] = [metric.uri, value, threshold.reading, trigger.id]
    else:
        key = "TriggerNumericReadingNormal"
        args = [metric.uri, value, trigger.id]
    return _told(key, args, metric, at_s)


def _is_outside(trigger: Trigger, value: float) -> bool:
    """Whether a value is beyond any of the thresholds."""
    return any(
        _is_above(threshold, value) == threshold.level.startswith("Upper")
        for threshold in trigger.thresholds
    )


def _discrete(watched: _Watched, metric: Metric, text: str, now_s: float) -> Iterator[Happening]:
    trigger = watched.trigger
    args: list[object] = [metric.uri, text, trigger.id]
    if trigger.condition == "Changed":
        if watched.of(metric, "").follow(text, 0.0, now_s):
            yield _told("TriggerDiscreteConditionMet", args, metric, now_s)
        return
    for wanted in trigger.values:
        met = "met" if text == wanted.value else "not"
        dwell_s = wanted.dwell_s if met == "met" else 0.0
        if watched.of(metric, wanted.name).follow(met, dwell_s, now_s) and met == "met":
            event = _told("TriggerDiscreteConditionMet", args, metric, now_s)
            yield event._replace(severity=wanted.severity)


def _told(key: str, args: list[object], metric: Metric, at_s: float) -> Happening:
    return happening(
        f"{TELEMETRY}.{key}", args, at_s=at_s, origin=metric.sensor_uri, origin_type="Sensor"
    )
