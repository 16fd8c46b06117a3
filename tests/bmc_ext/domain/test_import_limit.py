"""Whether an import limit can be kept."""

from __future__ import annotations

import pytest

from bmc_ext.domain.grid import Throttleable
from bmc_ext.domain.import_limit import judge, outlooks
from bmc_ext.domain.ledger import LimitStep, Reservation, Site

NOW_S = 1000.0
SITE = Site(250e6, (LimitStep(0.0, 250e6),), 88e6, 194e6, 0.06)
RUNNING = Reservation(0.0, 4000.0, 100e6, 0.0)
LATER = Reservation(2000.0, 3000.0, 20e6, 0.0)
FLEXIBLE = Throttleable("t", 0.0, 4000.0, 100e6, 40e6)


def test_import_is_looked_at_now_and_at_each_start() -> None:
    """A workload counts with its cooling from its start, if that lies in the limit's validity."""
    found = outlooks(SITE, [RUNNING, LATER], [FLEXIBLE], from_s=NOW_S, until_s=None)
    assert [outlook.moment_s for outlook in found] == [NOW_S, 2000.0]
    assert [outlook.promised_w for outlook in found] == pytest.approx([194e6, 215.2e6])
    assert [outlook.least_w for outlook in found] == pytest.approx([130.4e6, 151.6e6])
    assert len(outlooks(SITE, [LATER], [], from_s=NOW_S, until_s=2000.0)) == 1


@pytest.mark.parametrize(
    ("limit_w", "accepted", "words"),
    [
        (215.2e6, True, ""),
        (200e6, True, "capped by up to 15.2 MW"),
        (151.6e6, True, "capped by up to 63.6 MW"),
        (151.5e6, False, "in 1000 s remain at least 151.6 MW, above the limit of 151.5 MW"),
        (0.0, False, "above the limit of 0 MW"),
    ],
)
def test_limit_is_accepted_down_to_the_least_import(
    limit_w: float, accepted: bool, words: str
) -> None:
    """The bounds are all that is promised, and what remains of it at the tightest moment."""
    found = outlooks(SITE, [RUNNING, LATER], [FLEXIBLE], from_s=NOW_S, until_s=None)
    verdict = judge(limit_w, SITE, found)
    assert verdict.accepted is accepted
    assert words in "".join(verdict.reasons)
    assert bool(verdict.reasons) is bool(words)


def test_obstacle_refuses_what_needs_a_cap_and_nothing_else() -> None:
    """Where nobody can be capped, only a limit above all that is promised is accepted."""
    found = outlooks(SITE, [RUNNING], [FLEXIBLE], from_s=NOW_S, until_s=None)
    assert judge(194e6, SITE, found, obstacle="no").accepted
    refused = judge(193e6, SITE, found, obstacle="no")
    assert not refused.accepted
    assert refused.reasons[1] == "no"
