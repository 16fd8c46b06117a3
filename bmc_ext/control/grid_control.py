"""Answering the grid operator, and keeping what was promised: caps on running workloads."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from bmc_ext.clock import Clock
from bmc_ext.control.audited import audited
from bmc_ext.control.balance import Balance
from bmc_ext.control.content import fingerprint
from bmc_ext.control.grid import GridBook
from bmc_ext.control.survey import Survey
from bmc_ext.control.workloads import WorkloadBook
from bmc_ext.domain.grid import (
    GridSignal,
    active_reduction_w,
    caps,
    decide_demand_response,
    signal_limit_w,
    view,
)
from bmc_ext.domain.import_limit import Verdict, judge, outlooks
from bmc_ext.domain.ledger import Site
from bmc_ext.domain.workload import resource_id
from bmc_ext.messages import grid as messages
from bmc_ext.messages.envelope import envelope
from bmc_ext.security.audit import AuditLog
from bmc_ext.security.identity import Identity
from bmc_ext.settings import Config

OBSERVING: Final = "control mode is observe: no workload would be capped"

NOT_ACTING: Final = "control mode is observe: the import limit is not changed"

UNMEASURED: Final = "not all of the import is measured: no workload would be capped"

DEADBAND: Final = 0.005
"""Caps for an import limit follow changes above 0.5 % of the rating, a class 0.5 meter's error."""


class GridControl:
    """The grid operator's messages and their effect; the owner serialises the calls."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        audit: AuditLog,
        grid: GridBook,
        workloads: WorkloadBook,
        balance: Balance,
    ) -> None:
        self._facility = config.facility
        self._acting = config.control == "act"
        self._clock = clock
        self._audit = audit
        self._grid = grid
        self._workloads = workloads
        self._balance = balance
        self._over_limit_w = 0.0

    def take_signal(
        self, document: dict[str, Any], identity: Identity, correlation_id: str
    ) -> dict[str, Any]:
        """The answer to a valid grid_signal."""
        now_s = self._clock.unix_ns() / 1e9
        signal = messages.grid_signal(document, now_s)
        digest = fingerprint(document)
        known = self._grid.answer_of("signal", signal.signal_id, digest)
        if known is not None:
            return {**known, "correlation_id": correlation_id}
        verdict = self._judge(signal, now_s)
        body = {
            **self._header(correlation_id, now_s),
            **messages.grid_signal_response(
                signal.signal_id, accepted=verdict.accepted, reasons=verdict.reasons, event=None
            ),
        }
        planned = {
            "signal_id": signal.signal_id,
            "fingerprint": digest,
            "accepted": verdict.accepted,
        }
        signal = replace(signal, limit_refused=not verdict.accepted)
        with audited(self._audit, "grid.signal", identity, correlation_id, planned):
            self._grid.add(signal, received_s=now_s, fingerprint=digest, answer=body)
        return body

    def take_event(
        self, document: dict[str, Any], identity: Identity, correlation_id: str
    ) -> dict[str, Any]:
        """The answer to a valid demand_response_request."""
        now_s = self._clock.unix_ns() / 1e9
        request = messages.demand_response(document)
        digest = fingerprint(document)
        known = self._grid.answer_of("event", request.event_id, digest)
        if known is not None:
            return {**known, "correlation_id": correlation_id}
        event = decide_demand_response(
            request,
            events=self._grid.events,
            workloads=self._workloads.throttleable(),
            measured_power_w=self._balance.survey(now_s).power_w,
            now_s=now_s,
            objections=() if self._acting else (OBSERVING,),
        )
        body = {
            **self._header(correlation_id, now_s),
            **messages.grid_signal_response(
                request.event_id,
                accepted=event.accepted,
                reasons=event.reasons,
                event=view(event, now_s) if event.accepted else None,
            ),
        }
        planned = {
            "event_id": request.event_id,
            "fingerprint": digest,
            "accepted": event.accepted,
            "target_reduction_w": request.target_reduction_w,
        }
        with audited(self._audit, "grid.demand_response", identity, correlation_id, planned):
            self._grid.add(event, received_s=now_s, fingerprint=digest, answer=body)
        return body

    def limit_import(self, limit_w: float, identity: Identity, correlation_id: str) -> Verdict:
        """Take the operator's own limit of the import in W, unless it cannot be kept.

        Of a refusal nothing stays. One at or above the contract withdraws what he set before.
        """
        if self._acting:
            verdict = self._judge_limit(limit_w, None, self._clock.unix_ns() / 1e9)
        else:
            verdict = Verdict(False, (NOT_ACTING,))
        planned = {
            "limit_w": limit_w,
            "limit_before_w": self._grid.operator_limit_w,
            "accepted": verdict.accepted,
        }
        with audited(self._audit, "grid.operator_limit", identity, correlation_id, planned):
            if verdict.accepted:
                self._grid.set_operator_limit(limit_w)
        return verdict

    def cap(self, found: Survey, site: Site, now_s: float) -> bool:
        """Set the caps that events and import limits ask for; True when they have changed.

        An import limit counts only while all of the import is measured: a dead meter throttles
        nobody. In observe mode there are no caps.
        """
        if not self._acting:
            return False
        workloads = self._workloads.throttleable()
        reduction_w = max(
            active_reduction_w(self._grid.events, now_s), self._excess_w(found, site, now_s)
        )
        wanted = caps(workloads, reduction_w, now_s)
        if wanted == self._workloads.caps:
            return False
        self._audit.append("grid.cap.planned", reduction_w=reduction_w, caps_w=by_resource(wanted))
        self._workloads.set_caps(wanted)
        return True

    def _excess_w(self, found: Survey, site: Site, now_s: float) -> float:
        """IT power in W by which the running workloads may break the limit of grid or operator."""
        kept = [signal for signal in self._grid.signals if not signal.limit_refused]
        own_w = self._grid.operator_limit_w
        signalled_w = signal_limit_w(kept, now_s)
        limit_w = min(signalled_w, own_w)
        limited = math.isfinite(signalled_w) or own_w < self._facility.contract_limit_w
        if found.import_w is None or not limited:
            self._over_limit_w = 0.0
            return 0.0
        running = self._workloads.reservations(now_s)
        running_w = math.fsum(r.power_w for r in running if r.holds_at(now_s))
        over_w = max(0.0, (site.base_power_w - limit_w) / self._balance.overhead + running_w)
        if over_w == 0.0 or abs(over_w - self._over_limit_w) > DEADBAND * site.rated_power_w:
            self._over_limit_w = over_w
        return self._over_limit_w

    def _judge(self, signal: GridSignal, now_s: float) -> Verdict:
        """Whether the signal is accepted: its time is not over, and its limit can be kept."""
        if not signal.holds_at(now_s):
            return Verdict(False, ("valid_until is in the past",))
        if signal.import_limit_w is None:
            return Verdict(True, ())
        return self._judge_limit(signal.import_limit_w, signal.valid_until_s, now_s)

    def _judge_limit(self, limit_w: float, until_s: float | None, now_s: float) -> Verdict:
        """Whether an import limit in W can be kept from now until then (None: for good)."""
        found = self._balance.survey(now_s)
        site = self._balance.site(found, now_s)
        to_come = outlooks(
            site,
            self._workloads.reservations(now_s),
            self._workloads.throttleable(),
            from_s=now_s,
            until_s=until_s,
        )
        unmeasured = UNMEASURED if found.import_w is None else None
        obstacle = unmeasured if self._acting else OBSERVING
        return judge(limit_w, site, to_come, obstacle=obstacle)

    def _header(self, correlation_id: str, now_s: float) -> dict[str, Any]:
        return envelope(
            "grid_signal_response",
            facility_id=self._facility.id,
            correlation_id=correlation_id,
            now_s=now_s,
        )


def by_resource(caps_w: Mapping[str, float]) -> dict[str, float]:
    """Caps by the identity that URIs carry: a workload's own may be any text of any length."""
    return {resource_id(workload_id): cap_w for workload_id, cap_w in caps_w.items()}
