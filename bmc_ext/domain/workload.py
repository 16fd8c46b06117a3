"""Announced workloads: what one asks for, what was decided, and where it stands (DCPI 6.1)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Literal

from bmc_ext.domain.ledger import Reservation

ApprovalStatus = Literal["approved", "approved_with_conditions", "rejected"]
WorkloadState = Literal["scheduled", "running", "completed", "rejected"]


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a workload asks for: powers and heat in W, times in Unix seconds, temperatures in Cel.

    `start_s` None is now, `duration_s` None is open-ended. `notes` say which optional members were
    ignored or taken otherwise, and why. `objection` says what must not be guessed: with one the
    announcement is rejected.
    """

    workload_id: str
    peak_power_w: float
    baseline_power_w: float
    heat_w: float
    ramp_rate_w_per_s: float | None = None
    start_s: float | None = None
    duration_s: float | None = None
    priority: str | None = None
    can_delay: bool = False
    max_delay_s: float = 0.0
    can_throttle: bool = False
    min_power_w: float = 0.0
    preferred_coolant_c: float | None = None
    max_silicon_c: float | None = None
    notes: tuple[str, ...] = ()
    objection: str | None = None


@dataclass(frozen=True, slots=True)
class Alternative:
    """A start (Unix seconds) and a peak power in W that would be accepted if announced."""

    start_s: float
    max_power_w: float


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to an announcement; powers and heats in W, times in Unix seconds.

    Of a rejected one `start_s`, `end_s` and the granted maxima are None. `end_s` None of an
    approved one is open-ended. The available power and cooling are those of the interval that was
    asked for, never below 0; cooling is None when it is not limited.
    """

    status: ApprovalStatus
    reasons: tuple[str, ...]
    power_available_w: float
    cooling_available_w: float | None
    start_s: float | None = None
    end_s: float | None = None
    max_power_w: float | None = None
    max_heat_w: float | None = None
    coolant_supply_c: float | None = None
    alternative: Alternative | None = None

    @property
    def reservation(self) -> Reservation | None:
        """What an approval takes from the ledger; None for a rejection."""
        if self.start_s is None or self.max_power_w is None or self.max_heat_w is None:
            return None
        return Reservation(self.start_s, self.end_s, self.max_power_w, self.max_heat_w)

    def state(self, now_s: float) -> WorkloadState:
        """Where in its life the workload is at that Unix time."""
        if self.start_s is None:
            return "rejected"
        if now_s < self.start_s:
            return "scheduled"
        return "running" if self.end_s is None or now_s < self.end_s else "completed"


@dataclass(frozen=True, slots=True)
class PowerOrder:
    """What an approved workload may draw, and when: W, W/s and Unix seconds.

    `end_s` None is open-ended. `max_power_w` is the cap in force, lowered during a demand response.
    A workload that announced no ramp rate may take its whole peak within a second.
    """

    workload_id: str
    start_s: float
    end_s: float | None
    baseline_power_w: float
    peak_power_w: float
    max_power_w: float
    ramp_rate_w_per_s: float


@dataclass(frozen=True, slots=True)
class WorkloadRecord:
    """An announced workload as it stands at a moment; `cap_w` is a demand response's cap in W."""

    announcement: Announcement
    decision: Decision
    announced_s: float
    state: WorkloadState
    cap_w: float | None = None

    @property
    def workload_id(self) -> str:
        """The identity that its sender chose; any text."""
        return self.announcement.workload_id

    @property
    def resource_id(self) -> str:
        """The identity that URIs carry."""
        return resource_id(self.workload_id)

    @property
    def approval_status(self) -> ApprovalStatus:
        """The decision."""
        return self.decision.status

    @property
    def start_s(self) -> float | None:
        """Granted start in Unix seconds; None of a rejected one."""
        return self.decision.start_s

    @property
    def end_s(self) -> float | None:
        """Granted end in Unix seconds; None where it is open, and of a rejected one."""
        return self.decision.end_s

    @property
    def peak_power_w(self) -> float:
        """Announced peak in W."""
        return self.announcement.peak_power_w

    @property
    def baseline_power_w(self) -> float:
        """Announced baseline in W."""
        return self.announcement.baseline_power_w

    @property
    def max_power_w(self) -> float | None:
        """What it may draw now in W; None of a rejected one."""
        return self.decision.max_power_w if self.cap_w is None else self.cap_w

    @property
    def min_power_w(self) -> float | None:
        """What it can be throttled to in W; None where it cannot throttle."""
        return self.announcement.min_power_w if self.announcement.can_throttle else None

    @property
    def priority(self) -> str | None:
        """Announced priority; None where not told."""
        return self.announcement.priority

    @property
    def can_throttle(self) -> bool:
        """Whether it runs with less than its peak."""
        return self.announcement.can_throttle

    @property
    def can_delay(self) -> bool:
        """Whether it may start later."""
        return self.announcement.can_delay

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it was not approved as announced, and what was taken otherwise."""
        return self.decision.reasons

    @property
    def order(self) -> PowerOrder | None:
        """What it may draw, and when; None of a rejected one."""
        if self.start_s is None or self.max_power_w is None:
            return None
        ramp_w_per_s = self.announcement.ramp_rate_w_per_s
        return PowerOrder(
            workload_id=self.workload_id,
            start_s=self.start_s,
            end_s=self.end_s,
            baseline_power_w=self.baseline_power_w,
            peak_power_w=self.peak_power_w,
            max_power_w=self.max_power_w,
            ramp_rate_w_per_s=ramp_w_per_s or max(1.0, self.peak_power_w),
        )


_PLAIN_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.:-]{0,127}")


def resource_id(workload_id: str) -> str:
    """The identity of a workload in URIs: its own where that is plain, else a digest of it."""
    if _PLAIN_ID.fullmatch(workload_id):
        return workload_id
    digest = hashlib.sha256(workload_id.encode("utf-8", "surrogatepass")).hexdigest()
    return f"workload-{digest[:32]}"
