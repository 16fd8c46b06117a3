"""The book of grid signals and demand response events: on disk before they are answered."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

from bmc_ext.control.survey import Survey
from bmc_ext.domain.grid import (
    DemandResponse,
    GridConditions,
    GridEvent,
    GridSignal,
    GridStatus,
    Throttleable,
    conditions,
    flexibility_down_w,
    import_limits,
    view,
)
from bmc_ext.domain.ledger import LimitStep
from bmc_ext.errors import ConflictError, StateError
from bmc_ext.state import StateDirectory

Kind = Literal["event", "signal"]

RETENTION_S = 7 * 86400.0
"""What is over is forgotten after a week."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS message (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    received_s REAL NOT NULL,
    fingerprint TEXT NOT NULL,
    content TEXT NOT NULL,
    answer TEXT NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE TABLE IF NOT EXISTS operator_limit (only INTEGER PRIMARY KEY CHECK (only = 1), limit_w REAL);
"""


class GridBook:
    """What the grid operator said and what was agreed; the owner serialises the calls."""

    def __init__(
        self, state: StateDirectory, *, contract_limit_w: float, rated_power_w: float
    ) -> None:
        self._contract_limit_w = contract_limit_w
        self._rated_power_w = rated_power_w
        self._signals: dict[str, GridSignal] = {}
        self._events: dict[str, GridEvent] = {}
        self._answers: dict[tuple[Kind, str], tuple[str, dict[str, Any]]] = {}
        self._database = state.database("grid", durable=True)
        self._database.executescript(_SCHEMA)
        for kind, known_id, fingerprint, content, answer in self._database.execute(
            "SELECT kind, id, fingerprint, content, answer FROM message ORDER BY received_s, rowid"
        ):
            item = _signal(content) if kind == "signal" else _event(content)
            self._remember(item, known_id, fingerprint, json.loads(answer))
        kept = self._database.execute("SELECT limit_w FROM operator_limit").fetchone()
        self._operator_limit_w: float = math.inf if kept is None else kept[0]

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    @property
    def signals(self) -> Sequence[GridSignal]:
        """All known signals, in force or not."""
        return tuple(self._signals.values())

    @property
    def events(self) -> Sequence[GridEvent]:
        """All known events, accepted and refused."""
        return tuple(self._events.values())

    @property
    def operator_limit_w(self) -> float:
        """What the operator lets the facility import, in W; the contract unless he set less."""
        return min(self._operator_limit_w, self._contract_limit_w)

    def set_operator_limit(self, limit_w: float) -> None:
        """Take an own limit of the operator; that of the contract is none of his own.

        It is on disk when this returns, or StateError is raised.
        """
        if limit_w >= self._contract_limit_w:
            self._write("DELETE FROM operator_limit", ())
        else:
            self._write("INSERT OR REPLACE INTO operator_limit VALUES (1, ?)", (limit_w,))
        self._operator_limit_w = limit_w

    def answer_of(self, kind: Kind, known_id: str, fingerprint: str) -> dict[str, Any] | None:
        """The answer that this content got before, None for a new message.

        ConflictError when the same identity came with other content.
        """
        known = self._answers.get((kind, known_id))
        if known is None:
            return None
        if known[0] != fingerprint:
            raise ConflictError(f"{kind} {known_id!r} came before with other content")
        return known[1]

    def add(
        self,
        item: GridSignal | GridEvent,
        *,
        received_s: float,
        fingerprint: str,
        answer: dict[str, Any],
    ) -> None:
        """Take a signal or an event; it is on disk when this returns, or StateError is raised."""
        kind, known_id = _identity(item)
        row = (
            kind,
            known_id,
            received_s,
            fingerprint,
            json.dumps(asdict(item)),
            json.dumps(answer),
        )
        self._write("INSERT INTO message VALUES (?, ?, ?, ?, ?, ?)", row)
        self._remember(item, known_id, fingerprint, answer)

    def forget(self, now_s: float) -> None:
        """Drop signals and events that have been over for longer than the retention."""
        limit_s = now_s - RETENTION_S
        signals = [
            signal_id
            for signal_id, signal in self._signals.items()
            if signal.valid_until_s is not None and signal.valid_until_s < limit_s
        ]
        events = [
            event_id for event_id, event in self._events.items() if event.request.end_s < limit_s
        ]
        for signal_id in signals:
            self._drop("signal", signal_id)
            del self._signals[signal_id]
        for event_id in events:
            self._drop("event", event_id)
            del self._events[event_id]

    def limits(self, now_s: float) -> tuple[LimitStep, ...]:
        """The import limit from that Unix time on; what the facility can draw bounds it too."""
        firm_w = min(self.operator_limit_w, self._rated_power_w)
        return import_limits(firm_w, self.signals, self.events, now_s)

    def conditions(self, frequency_hz: float | None, now_s: float) -> GridConditions:
        """What is known of the grid itself at that Unix time."""
        return conditions(self.signals, frequency_hz, now_s)

    def status(
        self,
        found: Survey,
        *,
        reserved_w: float,
        workloads: Sequence[Throttleable],
        now_s: float,
    ) -> GridStatus:
        """The grid connection at that Unix time; `reserved_w` is at the grid connection."""
        grid = self.conditions(found.frequency_hz, now_s)
        limit_w = self.limits(now_s)[0].limit_w
        available_w = max(0.0, limit_w - found.power_w - reserved_w)
        return GridStatus(
            window_id=found.window_id,
            quality=found.quality,
            stability=grid.stability,
            frequency_hz=found.frequency_hz,
            import_w=found.import_w,
            contract_limit_w=self._contract_limit_w,
            operator_limit_w=self.operator_limit_w,
            import_limit_w=limit_w,
            reserved_w=reserved_w,
            available_w=available_w,
            flexibility_up_w=available_w,
            flexibility_down_w=flexibility_down_w(workloads, now_s),
            carbon_intensity_g_per_kwh=grid.carbon_intensity_g_per_kwh,
            price_per_mwh=grid.price_per_mwh,
            green_energy_available=grid.green_energy_available,
            events=tuple(
                view(event, now_s)
                for event in self.events
                if event.state(now_s) in ("scheduled", "active")
            ),
        )

    def _remember(
        self,
        item: GridSignal | GridEvent,
        known_id: str,
        fingerprint: str,
        answer: dict[str, Any],
    ) -> None:
        if isinstance(item, GridSignal):
            self._signals[known_id] = item
            self._answers["signal", known_id] = (fingerprint, answer)
        else:
            self._events[known_id] = item
            self._answers["event", known_id] = (fingerprint, answer)

    def _drop(self, kind: Kind, known_id: str) -> None:
        self._write("DELETE FROM message WHERE kind = ? AND id = ?", (kind, known_id))
        del self._answers[kind, known_id]

    def _write(self, statement: str, values: tuple[object, ...]) -> None:
        try:
            self._database.execute(statement, values)
        except sqlite3.Error as error:
            raise StateError(f"the book of the grid cannot be written: {error}") from error


def _identity(item: GridSignal | GridEvent) -> tuple[Kind, str]:
    if isinstance(item, GridSignal):
        return "signal", item.signal_id
    return "event", item.request.event_id


def _signal(content: str) -> GridSignal:
    return GridSignal(**json.loads(content))


def _event(content: str) -> GridEvent:
    members = json.loads(content)
    request = DemandResponse(**members.pop("request"))
    return GridEvent(request=request, **{**members, "reasons": tuple(members["reasons"])})
