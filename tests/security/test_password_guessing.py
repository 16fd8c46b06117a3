"""What a guesser learns, and what guessing costs the service."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bmc_ext.security.accounts import Accounts
from bmc_ext.state import StateDirectory


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[Accounts]:
    """Accounts with an administrator and a locked user."""
    state = StateDirectory(tmp_path)
    accounts = Accounts(state)
    accounts.create("root", "dcpi-lab", "Administrator")
    accounts.create("locked", "dcpi-lab", "ReadOnly", enabled=False)
    yield accounts
    accounts.close()
    state.close()


def _seconds(accounts: Accounts, username: str, password: str) -> float:
    started = time.perf_counter()
    assert accounts.verify(username, password) is None
    return time.perf_counter() - started


def test_unknown_known_and_locked_users_take_the_same_time(accounts: Accounts) -> None:
    """The time of a refusal does not tell whether the user exists or is locked."""
    tries = {"root": "wrong-password", "nobody": "dcpi-lab", "locked": "dcpi-lab"}
    times: dict[str, list[float]] = {name: [] for name in tries}
    for _ in range(15):
        for name, password in tries.items():
            times[name].append(_seconds(accounts, name, password))
    medians = [statistics.median(values) for values in times.values()]
    assert max(medians) < 2 * min(medians)


def test_a_flood_of_guesses_does_not_stop_those_who_are_known(accounts: Accounts) -> None:
    """While twelve threads guess, a remembered credential is still answered quickly."""
    assert accounts.verify("root", "dcpi-lab") is not None
    stop = threading.Event()

    def guess(name: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            accounts.verify("root", f"guess-{name}-{number}")

    threads = [threading.Thread(target=guess, args=(name,)) for name in range(12)]
    for thread in threads:
        thread.start()
    try:
        times = []
        for _ in range(50):
            started = time.perf_counter()
            assert accounts.verify("root", "dcpi-lab") is not None
            times.append(time.perf_counter() - started)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert statistics.median(times) < 5e-3
