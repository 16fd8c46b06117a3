"""Whether an import limit of the grid operator can be kept, and what keeping it takes.

A limit is accepted only if it can be kept with every workload that can throttle at its minimum, at
every moment of its validity that is known today. One that cannot be kept is refused with the
numbers, and no workload is capped for it; it stays known all the same, so that no power above it is
on offer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bmc_ext.domain.grid import Throttleable, flexibility_down_w
from bmc_ext.domain.ledger import TOLERANCE_W, Reservation, Site

_NO_OFFER = "while the signal holds, no new workload gets power above its limit"


@dataclass(frozen=True, slots=True)
class Outlook:
    """The import at a moment (Unix seconds), in W with the cooling that the workloads need.

    `promised_w` is what base load and approved workloads may draw, `least_w` what remains of it
    when the workloads give up all that they can.
    """

    moment_s: float
    promised_w: float
    least_w: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to a limit, and what the grid operator should know of it."""

    accepted: bool
    reasons: tuple[str, ...]


def outlooks(
    site: Site,
    reservations: Sequence[Reservation],
    workloads: Sequence[Throttleable],
    *,
    from_s: float,
    until_s: float | None,
) -> tuple[Outlook, ...]:
    """The import at `from_s` and at each start of a workload before `until_s` (None: open)."""
    end_s = math.inf if until_s is None else until_s
    starts_s = {r.start_s for r in reservations if from_s < r.start_s < end_s}
    return tuple(
        _outlook(site, reservations, workloads, moment_s)
        for moment_s in (from_s, *sorted(starts_s))
    )


def judge(
    limit_w: float, site: Site, to_come: Sequence[Outlook], *, obstacle: str | None = None
) -> Verdict:
    """Whether an import limit in W can be kept from the first of the outlooks on.

    `obstacle` is why no workload would be capped.
    """
    highest = max(to_come, key=lambda outlook: outlook.promised_w)
    if highest.promised_w <= limit_w + TOLERANCE_W:
        return Verdict(True, ())
    flowing = f"{_mw(site.measured_power_w)} flow"
    if obstacle is not None:
        above = _above(highest.promised_w, limit_w)
        flowing_and_promised = f"{flowing}, and approved workloads may need {above}"
        return Verdict(False, (flowing_and_promised, obstacle, _NO_OFFER))
    tightest = max(to_come, key=lambda outlook: outlook.least_w)
    given_up_w = tightest.promised_w - tightest.least_w
    if tightest.least_w > limit_w + TOLERANCE_W:
        after_s = tightest.moment_s - to_come[0].moment_s
        when = f"; in {after_s:.0f} s" if after_s else ": there"
        remain = f"remain at least {_above(tightest.least_w, limit_w)}"
        given_up = f"{_mw(given_up_w)} can be given up with the cooling{when} {remain}"
        return Verdict(False, (f"{flowing}, {given_up}", _NO_OFFER))
    above = _above(highest.promised_w, limit_w)
    capped = f"workloads are capped by up to {_mw(highest.promised_w - limit_w)} with the cooling"
    return Verdict(True, (f"{flowing}, and approved workloads may need {above}: {capped}",))


def _outlook(
    site: Site,
    reservations: Sequence[Reservation],
    workloads: Sequence[Throttleable],
    moment_s: float,
) -> Outlook:
    overhead = 1.0 + site.cooling_overhead
    running_w = math.fsum(r.power_w for r in reservations if r.holds_at(moment_s))
    promised_w = site.base_power_w + overhead * running_w
    least_w = promised_w - overhead * flexibility_down_w(workloads, moment_s)
    return Outlook(moment_s, promised_w, least_w)


def _above(power_w: float, limit_w: float) -> str:
    return f"{_mw(power_w)}, above the limit of {_mw(limit_w)}"


def _mw(power_w: float) -> str:
    return f"{power_w / 1e6:.6g} MW"
