"""Locks after wrong passwords outlive the service, for as long as they were to last."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from bmc_ext.security.accounts import Accounts
from bmc_ext.security.lockout import LockoutRule
from bmc_ext.state import StateDirectory

RULE = LockoutRule(threshold=2, duration_s=300, reset_after_s=60)
PASSWORD = "of-this-test"


def _lock(state: StateDirectory, clock: Any) -> None:
    """Two wrong passwords of an account, in a run of the service that ends then."""
    with closing(Accounts(state, clock=clock, lockout=RULE)) as accounts:
        accounts.create("root", PASSWORD, "Administrator")
        for _ in range(2):
            assert accounts.verify("root", "a-guess") is None
        assert accounts.lockout.is_locked("root")


def test_a_lock_outlives_the_service(state: StateDirectory, clock: Any) -> None:
    """The next run refuses the right password too, until the time is up; the one after it not."""
    _lock(state, clock)
    clock.unix_s += 100.0
    with closing(Accounts(state, clock=clock, lockout=RULE)) as accounts:
        assert accounts.verify("root", PASSWORD) is None
        clock.running_s += 199.0
        assert accounts.verify("root", PASSWORD) is None
        clock.running_s += 2.0
        assert accounts.verify("root", PASSWORD) is not None
    clock.unix_s += 201.0
    with closing(Accounts(state, clock=clock, lockout=RULE)) as accounts:
        assert accounts.verify("root", PASSWORD) is not None


@pytest.mark.parametrize(("step_s", "left_s"), [(-86_400.0, 300.0), (301.0, 0.0)])
def test_a_clock_that_was_set_makes_no_lock_longer(
    state: StateDirectory, clock: Any, step_s: float, left_s: float
) -> None:
    """A day back is not a day more of it."""
    _lock(state, clock)
    clock.unix_s += step_s
    with closing(Accounts(state, clock=clock, lockout=RULE)) as accounts:
        assert accounts.lockout.is_locked("root") is (left_s > 0)
        clock.running_s += left_s
        assert not accounts.lockout.is_locked("root")


def test_an_administrator_lifts_a_lock_for_good(state: StateDirectory, clock: Any) -> None:
    """What was unlocked stays so after a restart."""
    _lock(state, clock)
    with closing(Accounts(state, clock=clock, lockout=RULE)) as accounts:
        accounts.lockout.unlock("root")
    with closing(Accounts(state, clock=clock, lockout=RULE)) as accounts:
        assert accounts.verify("root", PASSWORD) is not None
