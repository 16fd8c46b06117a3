"""Makes the reports when they are due, from one snapshot each, in a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from bmc_ext.clock import iso8601
from bmc_ext.domain.snapshot import WINDOW_S, Snapshot
from bmc_ext.errors import NotFoundError
from bmc_ext.redfish.events.eventing import Eventing
from bmc_ext.redfish.reports.collection import Collected
from bmc_ext.redfish.reports.definition import DefinitionStore, ReportDefinition
from bmc_ext.redfish.reports.metrics import Catalogue, Measured, Metric
from bmc_ext.telemetry.snapshot import SnapshotStore

_LOG = logging.getLogger(__name__)

METRIC_DEFINITIONS = "/redfish/v1/TelemetryService/MetricDefinitions"
SCHEMA = "MetricReport.v1_5_2.MetricReport"

_IDLE_S = 0.5


@dataclass(slots=True)
class _Report:
    """A definition at work: the report that it made last, and when."""

    definition: ReportDefinition
    metrics: tuple[Metric, ...]
    window_id: int | None = None
    last: tuple[Measured, ...] = ()
    values: deque[dict[str, Any]] = field(default_factory=deque)


class Reporter:
    """All reports; any thread asks.

    Where windows come faster than reports are made, those in between are left out.
    """

    def __init__(
        self,
        store: DefinitionStore,
        catalogue: Catalogue,
        snapshots: SnapshotStore,
        eventing: Eventing,
    ) -> None:
        self.store = store
        self.catalogue = catalogue
        self._snapshots = snapshots
        self._eventing = eventing
        self._lock = threading.Lock()  # guards what follows
        self._reports: dict[str, _Report] = {}
        self._followers: list[Callable[[Snapshot], None]] = []
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="metric-reports", daemon=True)

    def observe(self, follow: Callable[[Snapshot], None]) -> None:
        """Hand each window to `follow` after the reports; before the start."""
        self._followers.append(follow)

    def start(self) -> None:
        """Begin to report."""
        self._thread.start()

    def stop(self) -> None:
        """End; definitions stay on disk."""
        self._stopping = True
        if self._thread.is_alive():
            self._thread.join()
        self.store.close()

    def ids(self) -> list[str]:
        """The definitions that have a report to read."""
        return [d.id for d in self.store.list() if _is_kept(d)]

    def report(self, definition_id: str) -> dict[str, Any]:
        """The newest report, made now where it is OnRequest; NotFoundError."""
        definition = self.store.get(definition_id)
        if not _is_kept(definition):
            raise NotFoundError(f"{definition_id!r} keeps no report")
        snapshot = self._snapshots.latest()
        with self._lock:
            report = self._of(definition)
            is_due = definition.type == "OnRequest" or report.window_id is None
            if snapshot is not None and is_due:
                self._take(report, snapshot)
            return _body(report)

    def _of(self, definition: ReportDefinition) -> _Report:
        """What is known of a definition; begun anew where it has changed."""
        known = self._reports.get(definition.id)
        if known is None or known.definition is not definition:
            known = _Report(definition, resolve(definition, self.catalogue))
            self._reports[definition.id] = known
        return known

    def _run(self) -> None:
        window_id = -1
        while not self._stopping:
            snapshot = self._snapshots.wait_newer(window_id, _IDLE_S)
            if snapshot is None:
                continue
            window_id = snapshot.window_id
            definitions = self.store.list()
            for definition in definitions:
                try:
                    self._follow(definition, snapshot)
                except Exception:
                    _LOG.exception("the report %s failed", definition.id)
            self._forget_all_but({definition.id for definition in definitions})
            for follow in self._followers:
                follow(snapshot)

    def _forget_all_but(self, ids: set[str]) -> None:
        with self._lock:
            for gone in self._reports.keys() - ids:
                del self._reports[gone]

    def _follow(self, definition: ReportDefinition, snapshot: Snapshot) -> None:
        if not definition.enabled or (definition.type == "OnRequest" and not definition.collected):
            return
        with self._lock:
            report = self._of(definition)
            for metric in report.metrics:
                metric.gather(snapshot)
            if definition.type == "OnRequest":
                return
            if not _is_due(report, snapshot) or not self._take(report, snapshot):
                return
            body = _body(report)
        self._send(definition, body)

    def report_now(self, definition_id: str, snapshot: Snapshot) -> None:
        """Report out of turn, where a trigger asks for it; NotFoundError."""
        definition = self.store.get(definition_id)
        if not definition.enabled:
            return
        with self._lock:
            report = self._of(definition)
            self._take(report, snapshot, even_unchanged=True)
            body = _body(report)
        self._send(definition, body)

    def _send(self, definition: ReportDefinition, body: dict[str, Any]) -> None:
        if "RedfishEvent" in definition.actions:
            head = {"@odata.type": f"#{SCHEMA}", "@odata.id": definition.report_uri}
            self._eventing.publish(({**head, **body}, definition.uri))

    def _take(self, report: _Report, snapshot: Snapshot, *, even_unchanged: bool = False) -> bool:
        """Read all metrics; whether that makes a report. The caller holds the lock."""
        read = tuple([metric.reported(snapshot) for metric in report.metrics])
        texts = [measured.text for measured in read]
        before = [measured.text for measured in report.last]
        if report.definition.type == "OnChange" and texts == before and not even_unchanged:
            return False
        shown = [
            _value(metric, measured)
            for number, (metric, measured) in enumerate(zip(report.metrics, read, strict=True))
            if not (
                report.definition.suppress_repeated and before and before[number] == texts[number]
            )
        ]
        _append(report, shown)
        report.last = read
        report.window_id = snapshot.window_id
        return True


def resolve(definition: ReportDefinition, catalogue: Catalogue) -> tuple[Metric, ...]:
    """The metrics of a definition, in its order."""
    found = []
    for entry in definition.entries:
        for metric in resolved(entry.properties, definition.wildcards, catalogue, definition.id):
            collected = None
            if entry.function is not None and entry.duration_s is not None:
                collected = Collected(entry.function, entry.duration_s)
            found.append(metric._replace(metric_id=entry.metric_id, collected=collected))
    return tuple(found)


def resolved(
    uris: Iterable[str],
    wildcards: Iterable[tuple[str, tuple[str, ...]]],
    catalogue: Catalogue,
    owner: str,
) -> Iterator[Metric]:
    """What URIs with wildcards stand for; a sensor that is gone is left out."""
    values = dict(wildcards)
    for uri in uris:
        for one in catalogue.expand(uri, values):
            try:
                yield catalogue.metric(one)
            except ValueError as error:
                _LOG.warning("%s: %s", owner, error)


def _is_kept(definition: ReportDefinition) -> bool:
    return definition.type == "OnRequest" or "LogToMetricReportsCollection" in definition.actions


def _is_due(report: _Report, snapshot: Snapshot) -> bool:
    """A period begins at multiples of its length in Unix time; a change may come any time."""
    if report.definition.type == "OnChange" or report.window_id is None:
        return True
    windows = max(1, round((report.definition.interval_s or WINDOW_S) / WINDOW_S))
    return snapshot.window_id // windows != report.window_id // windows


def _append(report: _Report, shown: list[dict[str, Any]]) -> None:
    """What ReportUpdates says of a report that is there already."""
    definition = report.definition
    if definition.updates == "Overwrite" or definition.type == "OnRequest":
        report.values = deque(shown)
        return
    limit = definition.append_limit
    if definition.updates == "AppendStopsWhenFull":
        report.values.extend(shown[: max(0, limit - len(report.values))])
    else:
        report.values = deque([*report.values, *shown], maxlen=limit)


def _value(metric: Metric, measured: Measured) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "MetricValue": measured.text,
        "Timestamp": iso8601(measured.at_s),
        "MetricProperty": metric.uri,
    }
    if metric.metric_id is not None:
        shown["MetricId"] = metric.metric_id
    return shown


def _body(report: _Report) -> dict[str, Any]:
    definition = report.definition
    at_s = None if report.window_id is None else report.window_id / 10
    return {
        "Id": definition.id,
        "Name": definition.name,
        **({} if at_s is None else {"Timestamp": iso8601(at_s)}),
        "MetricReportDefinition": {"@odata.id": definition.uri},
        "MetricValues": list(report.values),
        "Oem": {
            "DCPI": {
                "@odata.type": "#DcpiMetricReport.v1_0_0.MetricReport",
                "WindowId": report.window_id,
            }
        },
    }
