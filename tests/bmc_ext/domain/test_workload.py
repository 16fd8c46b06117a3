"""Announced workloads: the record, its life, its identity and its order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bmc_ext.domain.workload import Announcement, Decision, WorkloadRecord, resource_id

NOW_S = 1_800_000_000.0
WISH = Announcement("w", peak_power_w=40e6, baseline_power_w=5e6, heat_w=39e6)
GRANTED = Decision(
    "approved", (), 100e6, None, start_s=NOW_S + 60, end_s=NOW_S + 120, max_power_w=40e6,
    max_heat_w=39e6,
)  # fmt: skip
REJECTED = Decision("rejected", ("no",), 0.0, None)


@pytest.mark.parametrize(
    ("after_s", "state"),
    [(0, "scheduled"), (60, "running"), (119.9, "running"), (120, "completed")],
)
def test_life_follows_the_granted_times(after_s: float, state: str) -> None:
    """A workload is scheduled, running and completed by its granted times alone."""
    assert GRANTED.state(NOW_S + after_s) == state


def test_open_end_keeps_running() -> None:
    """A workload without an end never completes by itself."""
    assert replace(GRANTED, end_s=None).state(NOW_S + 1e9) == "running"


def test_rejected_has_no_reservation_and_no_order() -> None:
    """A rejected workload takes nothing from the ledger and may draw nothing."""
    record = WorkloadRecord(WISH, REJECTED, NOW_S, REJECTED.state(NOW_S))
    assert (record.state, record.max_power_w, record.order) == ("rejected", None, None)
    assert REJECTED.reservation is None


def test_order_carries_the_cap_in_force() -> None:
    """A demand response's cap replaces the granted maximum in the order."""
    order = WorkloadRecord(WISH, GRANTED, NOW_S, "running", cap_w=20e6).order
    assert order is not None
    assert (order.max_power_w, order.peak_power_w) == (20e6, 40e6)


def test_no_ramp_rate_is_the_peak_within_a_second() -> None:
    """A workload that announced no ramp may take its whole peak within a second."""
    order = WorkloadRecord(WISH, GRANTED, NOW_S, "running").order
    assert order is not None
    assert order.ramp_rate_w_per_s == 40e6


def test_plain_identity_is_kept_in_uris() -> None:
    """A plain workload_id is its own resource_id."""
    assert resource_id("ai-training-job-12345") == "ai-training-job-12345"


@pytest.mark.parametrize("workload_id", ["", "a/b", ".", "..", "ü", "a b", "x" * 5000, "\x00"])
def test_awkward_identity_gets_a_safe_one(workload_id: str) -> None:
    """Any text can be a workload_id; what a URI cannot carry is named by a digest."""
    safe = resource_id(workload_id)
    assert safe.startswith("workload-")
    assert len(safe) < 64
    assert safe != resource_id(workload_id + "x")
