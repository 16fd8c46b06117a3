"""The one path of every command: validate, decide, audit, act, read back, audit, answer."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from bmc_ext.clock import Clock
from bmc_ext.control.audited import audited
from bmc_ext.control.balance import Balance
from bmc_ext.control.content import fingerprint
from bmc_ext.control.grid import GridBook
from bmc_ext.control.grid_control import GridControl, by_resource
from bmc_ext.control.outlets import OutletControl, OutletOutcome
from bmc_ext.control.ports import FieldDevices, Snapshots, WorkloadSink
from bmc_ext.control.survey import loop_plates
from bmc_ext.control.thermal import ThermalControl
from bmc_ext.control.workloads import Entry, WorkloadBook, WorkloadOrders
from bmc_ext.domain.admission import decide
from bmc_ext.domain.grid import GridStatus
from bmc_ext.domain.import_limit import Verdict
from bmc_ext.domain.thermal import CoolingCommand, SystemOutcome, plan
from bmc_ext.domain.workload import WorkloadRecord, resource_id
from bmc_ext.messages import thermal as thermal_messages
from bmc_ext.messages import workload as workload_messages
from bmc_ext.messages.envelope import envelope
from bmc_ext.messages.validate import ignored_members, message_type_of, validate
from bmc_ext.rack_pdu import PduOutlet, RackPdu
from bmc_ext.security.audit import AuditLog
from bmc_ext.security.identity import Identity
from bmc_ext.settings import Config
from bmc_ext.state import StateDirectory

__all__ = ["Commands", "Outcome", "WorkloadSink"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to a command: HTTP status, message, and the identity of what it made, if any."""

    status: int
    body: dict[str, Any]
    location_id: str | None = None


class Commands:
    """All commands of DCPI and the state behind them; every method may be called from any thread.

    A malformed message raises MessageError, an identity with other content ConflictError, a disk
    that does not take an entry StateError: then nothing was done. In observe mode thermal commands
    are planned and not written, nothing is capped, and what would need a cap is refused;
    announcements are decided all the same, for the workload waits for the answer and starts on its
    own.
    """

    def __init__(
        self,
        *,
        config: Config,
        clock: Clock,
        state: StateDirectory,
        audit: AuditLog,
        snapshots: Snapshots,
        engine: FieldDevices,
        sink: WorkloadSink | None = None,
    ) -> None:
        facility = config.facility
        self._config = config
        self._clock = clock
        self._audit = audit
        self._plates = loop_plates(config)
        self._workloads = WorkloadBook(state)
        self._grid = GridBook(
            state,
            contract_limit_w=facility.contract_limit_w,
            rated_power_w=facility.rated_power_w,
        )
        self._balance = Balance(config, snapshots, self._workloads, self._grid)
        self._grid_control = GridControl(
            config, clock, audit, self._grid, self._workloads, self._balance
        )
        self._thermal = ThermalControl(config, engine, clock)
        self._outlets = OutletControl(config, engine, clock)
        self._orders = None if sink is None else WorkloadOrders(sink)
        # One decision at a time: two announcements cannot take the same megawatts.
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the books."""
        with self._lock:
            self._workloads.close()
            self._grid.close()

    def announce(self, message: object, identity: Identity, correlation_id: str) -> Outcome:
        """Decide a workload_announcement; the decision is on disk before it is answered.

        The same workload_id with the same content gives the same answer.
        """
        document = validate(message, "workload_announcement")
        ignored = ignored_members(message, "workload_announcement")
        wish = workload_messages.announcement(document, ignored)
        # Of the message as it came: what was left out of it may have decided it.
        digest = fingerprint(cast("dict[str, Any]", message))
        location_id = resource_id(wish.workload_id)
        with self._lock:
            known = self._workloads.answer_of(wish.workload_id, digest)
            if known is not None:
                return Outcome(200, {**known, "correlation_id": correlation_id}, location_id)
            now_s = self._now_s()
            found = self._balance.survey(now_s)
            site = self._balance.site(found, now_s)
            decision = decide(wish, site, self._workloads.reservations(now_s), now_s)
            grid = self._grid.conditions(found.frequency_hz, now_s)
            body = {
                **self._header("infrastructure_response", correlation_id, now_s),
                **workload_messages.infrastructure_response(wish.workload_id, decision, grid),
            }
            planned = {
                "workload": location_id,
                "fingerprint": digest,
                "approval_status": decision.status,
                "start_s": decision.start_s,
                "end_s": decision.end_s,
                "max_power_w": decision.max_power_w,
            }
            with audited(self._audit, "workload.announce", identity, correlation_id, planned):
                self._workloads.add(Entry(wish, decision, now_s, digest, body))
        return Outcome(200, body, location_id)

    def thermal_control(self, message: object, identity: Identity, correlation_id: str) -> Outcome:
        """Carry out a thermal_control; NotFoundError when it names no configured system."""
        document = validate(message, "thermal_control")
        commands = thermal_messages.cooling_commands(document)
        outcomes = self.cool(commands, identity, correlation_id)
        payload = thermal_messages.thermal_control_response(self._config.control, outcomes)
        header = self._header("thermal_control_response", correlation_id, self._now_s())
        return Outcome(200, {**header, **payload})

    def cool(
        self, commands: Sequence[CoolingCommand], identity: Identity, correlation_id: str
    ) -> tuple[SystemOutcome, ...]:
        """Plan, write, read back; errors as of `thermal_control`."""
        plans = plan(commands, self._plates, self._balance.survey(self._now_s()).loops)
        planned = {
            "control_mode": self._config.control,
            "systems": [
                {"system_id": p.system_id, "known": p.known, "speed_percent": p.speed_percent}
                for p in plans
            ],
        }
        with audited(self._audit, "thermal.control", identity, correlation_id, planned) as result:
            outcomes = self._thermal.carry_out(plans)
            payload = thermal_messages.thermal_control_response(self._config.control, outcomes)
            result["outcomes"] = payload["outcomes"]
        return outcomes

    def switch_outlet(
        self, pdu: RackPdu, outlet: PduOutlet, on: bool, identity: Identity, correlation_id: str
    ) -> OutletOutcome:
        """Switch an outlet on or off and say what became of it."""
        planned = {"pdu": pdu.id, "outlet": outlet.id, "on": on}
        with audited(self._audit, "outlet.switch", identity, correlation_id, planned) as result:
            outcome = self._outlets.switch(outlet, on)
            result |= {"status": outcome.status, "effective": outcome.effective}
        return outcome

    def grid_signal(self, message: object, identity: Identity, correlation_id: str) -> Outcome:
        """Take a demand_response_request or a grid_signal; accepted, or refused with reasons."""
        kind = message_type_of(message, ("demand_response_request", "grid_signal"))
        document = validate(message, kind)
        with self._lock:
            take = (
                self._grid_control.take_signal
                if kind == "grid_signal"
                else self._grid_control.take_event
            )
            return Outcome(200, take(document, identity, correlation_id))

    def limit_import(self, limit_w: float, identity: Identity, correlation_id: str) -> Verdict:
        """Set the operator's own import limit in W; refused with reasons where it cannot be kept.

        ValueError outside 0 to the contract.
        """
        if not 0 <= limit_w <= self._config.facility.contract_limit_w:
            raise ValueError(f"{limit_w} W is outside 0 to the contract")
        with self._lock:
            return self._grid_control.limit_import(limit_w, identity, correlation_id)

    def grid_status(self) -> GridStatus:
        """The grid connection now."""
        with self._lock:
            now_s = self._now_s()
            found = self._balance.survey(now_s)
            site = self._balance.site(found, now_s)
            return self._grid.status(
                found,
                reserved_w=self._balance.reserved_w(site, now_s),
                workloads=self._workloads.throttleable(capped=True),
                now_s=now_s,
            )

    def workloads(self) -> list[WorkloadRecord]:
        """Every announced workload, in the order of announcement."""
        with self._lock:
            return self._workloads.records(self._now_s())

    def workload(self, workload_id: str) -> WorkloadRecord:
        """One workload by its own or its URI's identity; NotFoundError where there is none."""
        with self._lock:
            return self._workloads.record(workload_id, self._now_s())

    def tick(self, now_s: float) -> None:
        """Let workloads and grid events begin and end; called once a second, by one thread."""
        with self._lock:
            found = self._balance.survey(now_s)
            site = self._balance.site(found, now_s)
            capped = self._grid_control.cap(found, site, now_s)
            orders = {
                record.workload_id: order
                for record in self._workloads.records(now_s)
                if record.state in ("scheduled", "running") and (order := record.order) is not None
            }
            caps_w = by_resource(self._workloads.caps)
        # Outside the lock: a sink that is slow to answer keeps nobody waiting.
        failed = [] if self._orders is None else self._orders.reconcile(orders)
        if capped:
            self._audit.append("grid.cap.done", caps_w=caps_w, failed=failed)
        # Last: a full disk must not keep a cap from being told.
        with self._lock:
            self._balance.keep(now_s)
            self._workloads.forget(now_s)
            self._grid.forget(now_s)

    def _header(self, message_type: str, correlation_id: str, now_s: float) -> dict[str, Any]:
        return envelope(
            message_type,
            facility_id=self._config.facility.id,
            correlation_id=correlation_id,
            now_s=now_s,
        )

    def _now_s(self) -> float:
        return self._clock.unix_ns() / 1e9
