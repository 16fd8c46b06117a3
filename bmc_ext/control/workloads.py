"""The book of announced workloads: on disk before they are answered, in memory to decide fast."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bmc_ext.control.ports import WorkloadSink
from bmc_ext.domain.grid import Throttleable
from bmc_ext.domain.ledger import Reservation
from bmc_ext.domain.workload import (
    Alternative,
    Announcement,
    Decision,
    PowerOrder,
    WorkloadRecord,
    resource_id,
)
from bmc_ext.errors import ConflictError, NotFoundError, StateError
from bmc_ext.state import StateDirectory

__all__ = ["RETENTION_S", "WorkloadBook", "WorkloadOrders", "WorkloadRecord"]

_LOG = logging.getLogger(__name__)

RETENTION_S = 7 * 86400.0
"""What was rejected or has ended is forgotten after a week."""

RAMP_S = 30.0
"""A workload may draw that long before its start and after its end: clocks differ, loads ramp."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS workload (
    workload_id TEXT PRIMARY KEY,
    announced_s REAL NOT NULL,
    fingerprint TEXT NOT NULL,
    announcement TEXT NOT NULL,
    decision TEXT NOT NULL,
    answer TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS base_load (
    quantity TEXT PRIMARY KEY,
    value_w REAL NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One announcement with its decision and the answer that was given."""

    announcement: Announcement
    decision: Decision
    announced_s: float
    fingerprint: str
    answer: dict[str, Any]

    def over_since_s(self) -> float | None:
        """When it stopped to matter, in Unix seconds; None while it has no end."""
        return self.announced_s if self.decision.start_s is None else self.decision.end_s


class WorkloadBook:
    """All workloads that were announced and not yet forgotten; the owner serialises the calls.

    StateError when the disk does not take an entry, which is then not in the book.
    """

    def __init__(self, state: StateDirectory) -> None:
        self._database = state.database("workloads", durable=True)
        self._database.executescript(_SCHEMA)
        self._entries: dict[str, Entry] = {}
        self._reservations: dict[str, Reservation] = {}
        self._caps: Mapping[str, float] = {}
        for row in self._database.execute(
            "SELECT announcement, decision, announced_s, fingerprint, answer FROM workload"
            " ORDER BY announced_s, rowid"
        ):
            self._remember(_entry(*row))

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def answer_of(self, workload_id: str, fingerprint: str) -> dict[str, Any] | None:
        """The answer that this content got before, None for a new workload.

        ConflictError when the workload was announced with other content.
        """
        known = self._entries.get(resource_id(workload_id))
        if known is None:
            return None
        if known.fingerprint != fingerprint:
            rejected = known.decision.start_s is None
            advice = " and rejected; take a new workload_id for the alternative" if rejected else ""
            raise ConflictError(
                f"workload {workload_id[:128]!r} was announced before with other content{advice}"
            )
        return known.answer

    def add(self, entry: Entry) -> None:
        """Take an entry; it is on disk when this returns."""
        self._write(
            "INSERT INTO workload VALUES (?, ?, ?, ?, ?, ?)",
            (
                entry.announcement.workload_id,
                entry.announced_s,
                entry.fingerprint,
                json.dumps(asdict(entry.announcement)),
                json.dumps(asdict(entry.decision)),
                json.dumps(entry.answer),
            ),
        )
        self._remember(entry)

    def forget(self, now_s: float) -> None:
        """Drop what has been over for longer than the retention."""
        gone = [
            key
            for key, entry in self._entries.items()
            if (over_s := entry.over_since_s()) is not None and over_s < now_s - RETENTION_S
        ]
        for key in gone:
            workload_id = self._entries[key].announcement.workload_id
            self._write("DELETE FROM workload WHERE workload_id = ?", (workload_id,))
            del self._entries[key]
            self._reservations.pop(key, None)

    def set_caps(self, caps: Mapping[str, float]) -> None:
        """Set the caps in W by workload_id that hold from now on; the others have none."""
        self._caps = dict(caps)

    @property
    def caps(self) -> Mapping[str, float]:
        """The caps in force, in W by workload_id."""
        return self._caps

    def record(self, any_id: str, now_s: float) -> WorkloadRecord:
        """The workload of that workload_id or resource_id; NotFoundError where there is none."""
        entry = self._entries.get(any_id) or self._entries.get(resource_id(any_id))
        if entry is None:
            raise NotFoundError(f"no workload {any_id[:128]!r} was announced")
        return self._record(entry, now_s)

    def records(self, now_s: float) -> list[WorkloadRecord]:
        """All workloads, in the order of their announcement."""
        return [self._record(entry, now_s) for entry in self._entries.values()]

    def reservations(self, now_s: float) -> list[Reservation]:
        """What is promised from that Unix time on."""
        held = self._reservations.values()
        return [r for r in held if r.end_s is None or r.end_s > now_s]

    def drawing(self, now_s: float) -> Reservation:
        """The power and heat in W that all workloads together may account for now."""
        power_w = heat_w = 0.0
        for held in self._reservations.values():
            if held.start_s > now_s + RAMP_S:
                continue
            if held.end_s is None or held.end_s + RAMP_S > now_s:
                power_w += held.power_w
                heat_w += held.heat_w
        return Reservation(now_s, now_s, power_w, heat_w)

    def throttleable(self, *, capped: bool = False) -> list[Throttleable]:
        """The approved workloads that can be throttled, with what they were granted.

        With `capped`, less what they give up already.
        """
        caps = self._caps if capped else {}
        return [
            Throttleable(
                workload_id=entry.announcement.workload_id,
                start_s=entry.decision.start_s,
                end_s=entry.decision.end_s,
                max_power_w=caps.get(entry.announcement.workload_id, entry.decision.max_power_w),
                min_power_w=entry.announcement.min_power_w,
            )
            for entry in self._entries.values()
            if entry.announcement.can_throttle
            and entry.decision.start_s is not None
            and entry.decision.max_power_w is not None
        ]

    def base_load_w(self, quantity: str) -> float | None:
        """The base load that was kept under that name, in W."""
        row = self._database.execute(
            "SELECT value_w FROM base_load WHERE quantity = ?", (quantity,)
        ).fetchone()
        return None if row is None else float(row[0])

    def keep_base_load(self, values_w: Mapping[str, float]) -> None:
        """Keep base loads in W: after a restart they cannot be seen while workloads run."""
        for quantity, value_w in values_w.items():
            self._write("INSERT OR REPLACE INTO base_load VALUES (?, ?)", (quantity, value_w))

    def _record(self, entry: Entry, now_s: float) -> WorkloadRecord:
        return WorkloadRecord(
            announcement=entry.announcement,
            decision=entry.decision,
            announced_s=entry.announced_s,
            state=entry.decision.state(now_s),
            cap_w=self._caps.get(entry.announcement.workload_id),
        )

    def _remember(self, entry: Entry) -> None:
        key = resource_id(entry.announcement.workload_id)
        self._entries[key] = entry
        reservation = entry.decision.reservation
        if reservation is not None:
            self._reservations[key] = reservation

    def _write(self, statement: str, values: Iterable[object]) -> None:
        try:
            self._database.execute(statement, tuple(values))
        except sqlite3.Error as error:
            raise StateError(f"the book of workloads cannot be written: {error}") from error


class WorkloadOrders:
    """Keeps the sink at what the book says; an order that fails is given again at the next turn.

    The log tells of it in one line when the order has changed, not at each turn.
    """

    def __init__(self, sink: WorkloadSink) -> None:
        self._sink = sink
        self._told: dict[str, PowerOrder] = {}
        self._refused: dict[str, PowerOrder] = {}

    def reconcile(self, wanted: Mapping[str, PowerOrder]) -> list[str]:
        """Tell the sink every order that it does not know yet, and every one that is no more.

        Returns the resource_ids of the workloads whose order did not arrive.
        """
        failed = []
        for workload_id, order in wanted.items():
            if self._told.get(workload_id) == order:
                continue
            try:
                self._sink.on_workload(order)
            except Exception as error:
                self._note_refusal(order, error)
                failed.append(resource_id(workload_id))
            else:
                self._told[workload_id] = order
                self._refused.pop(workload_id, None)
        for workload_id in [known for known in self._refused if known not in wanted]:
            del self._refused[workload_id]
        for workload_id in [known for known in self._told if known not in wanted]:
            del self._told[workload_id]
            try:
                self._sink.on_removed(workload_id)
            except Exception as error:
                # The order carried the end: who runs it may have let go of it already.
                _LOG.info("the end of workload %.128r did not arrive: %s", workload_id, error)
        return failed

    def _note_refusal(self, order: PowerOrder, error: Exception) -> None:
        if self._refused.get(order.workload_id) != order:
            self._refused[order.workload_id] = order
            _LOG.warning(
                "the order for workload %.128r did not arrive, it is given again every second: "
                "%s: %.256s",
                order.workload_id,
                type(error).__name__,
                error,
            )


def _entry(
    announcement: str, decision: str, announced_s: float, fingerprint: str, answer: str
) -> Entry:
    wish, decided = json.loads(announcement), json.loads(decision)
    alternative = decided["alternative"]
    return Entry(
        announcement=Announcement(**{**wish, "notes": tuple(wish["notes"])}),
        decision=Decision(
            **{
                **decided,
                "reasons": tuple(decided["reasons"]),
                "alternative": None if alternative is None else Alternative(**alternative),
            }
        ),
        announced_s=announced_s,
        fingerprint=fingerprint,
        answer=json.loads(answer),
    )
