"""The operator's own import limit: below the contract, kept, and never above the grid's order."""

from __future__ import annotations

from typing import Any

import pytest

from bmc_ext.clock import iso8601


def limit(bench: Any, limit_mw: float) -> Any:
    """Set the limit and return the verdict."""
    return bench.commands.limit_import(limit_mw * 1e6, bench.user, "c-3")


def test_a_lower_limit_refuses_what_was_approved_before(bench: Any) -> None:
    """40 MW fit below 250 MW, not below 120 MW, and fit again when the limit is raised."""
    assert bench.announce("a", 40, duration_estimate_sec=60)["approval_status"] == "approved"
    bench.tick(120)
    assert limit(bench, 120).accepted
    assert bench.announce("b", 40)["approval_status"] == "rejected"
    status = bench.commands.grid_status()
    assert (status.operator_limit_w, status.import_limit_w) == (120e6, 120e6)
    assert status.contract_limit_w == 250e6
    assert limit(bench, 250).accepted
    assert bench.announce("c", 40)["approval_status"] == "approved"
    assert bench.commands.grid_status().operator_limit_w == 250e6


def test_the_grids_lower_order_wins(bench: Any) -> None:
    """What is in effect is the lower of both; what the operator set stays what he set."""
    assert limit(bench, 200).accepted
    until = iso8601(bench.clock.now_s + 600)
    bench.signal(bench.grid_signal("s-1", import_limit_mw=120, valid_until=until))
    status = bench.commands.grid_status()
    assert (status.operator_limit_w, status.import_limit_w) == (200e6, 120e6)
    assert bench.announce("a", 40)["approval_status"] == "rejected"
    bench.clock.now_s += 601
    assert bench.commands.grid_status().import_limit_w == 200e6


def test_a_limit_caps_what_runs_and_gives_back(bench: Any) -> None:
    """Below what flows, running workloads are capped; at the contract they are free again."""
    bench.train()
    assert limit(bench, 180).accepted
    bench.tick(1)
    assert bench.sink.orders["t"].max_power_w == pytest.approx(100e6 - 14e6 / 1.06)
    assert limit(bench, 250).accepted
    bench.tick(1)
    assert bench.sink.orders["t"].max_power_w == 100e6


def test_a_limit_that_cannot_be_kept_is_refused_and_leaves_nothing(bench: Any) -> None:
    """What no cap reaches is refused with the numbers; the limit before it stays in force."""
    bench.train()
    assert limit(bench, 200).accepted
    verdict = limit(bench, 100)
    assert not verdict.accepted
    assert "there remain at least 130.4 MW, above the limit of 100 MW" in verdict.reasons[0]
    assert bench.commands.grid_status().operator_limit_w == 200e6
    bench.measured.dead_feeds = {"feed_0"}
    assert "not all of the import is measured" in limit(bench, 150).reasons[1]


def test_a_limit_is_kept_over_a_restart_and_bounded_by_the_contract(bench: Any) -> None:
    """It is on disk before it is answered; a contract that is lower by then bounds it."""
    assert limit(bench, 200).accepted
    assert bench.restart().grid_status().operator_limit_w == 200e6
    bench.stop()
    facility = bench.config.facility
    lower = bench.start(facility=type(facility)("campus", "Campus", 250e6, 150e6, 0.06))
    assert lower.grid_status().operator_limit_w == 150e6


def test_the_contract_as_limit_is_none_of_his_own(bench: Any) -> None:
    """Who went back to the contract is not held to it when the contract is raised."""
    assert limit(bench, 200).accepted
    assert limit(bench, 250).accepted
    bench.stop()
    facility = bench.config.facility
    raised = bench.start(facility=type(facility)("campus", "Campus", 300e6, 300e6, 0.06))
    assert raised.grid_status().operator_limit_w == 300e6


def test_observe_mode_changes_no_limit(bench: Any) -> None:
    """In observe mode it is refused with the reason; one that was set before still counts."""
    assert limit(bench, 120).accepted
    bench.stop()
    bench.start(control="observe")
    verdict = limit(bench, 200)
    assert verdict.reasons == ("control mode is observe: the import limit is not changed",)
    assert bench.commands.grid_status().operator_limit_w == 120e6
    assert bench.announce("a", 40)["approval_status"] == "rejected"
    planned = [e for e in bench.audit_entries() if e["event"] == "grid.operator_limit.planned"]
    assert planned[-1]["fields"]["accepted"] is False


def test_a_limit_outside_the_contract_is_a_mistake_of_the_caller(bench: Any) -> None:
    """Neither below 0 nor above the contract, nor no number at all."""
    for wrong in (-1.0, 251.0, float("nan")):
        with pytest.raises(ValueError, match="outside 0 to the contract"):
            limit(bench, wrong)


def test_each_limit_is_audited_before_and_after(bench: Any) -> None:
    """Who set it, what it was and what it became."""
    limit(bench, 200)
    limit(bench, 10)
    found = [e for e in bench.audit_entries() if e["event"].startswith("grid.operator_limit")]
    assert [e["event"].rpartition(".")[2] for e in found] == ["planned", "done"] * 2
    assert [
        tuple(e["fields"][k] for k in ("limit_w", "limit_before_w", "accepted")) for e in found[::2]
    ] == [
        (200e6, 250e6, True),
        (10e6, 200e6, False),
    ]
    assert found[0]["fields"]["user"] == "root"
