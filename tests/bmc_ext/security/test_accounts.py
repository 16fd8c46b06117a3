"""Accounts: who may exist, who is verified, what is remembered, what survives."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bmc_ext.errors import ConflictError, NotFoundError, StateError
from bmc_ext.security.accounts import Accounts
from bmc_ext.state import StateDirectory

PASSWORD = "dcpi-lab"


@pytest.fixture
def accounts(state: StateDirectory, clock: Any) -> Iterator[Accounts]:
    """Accounts with one administrator, root."""
    accounts = Accounts(state, clock=clock)
    accounts.create("root", PASSWORD, "Administrator")
    yield accounts
    accounts.close()


def test_a_right_password_gives_the_identity_and_a_wrong_one_nothing(accounts: Accounts) -> None:
    """Verify answers role and privileges, or None for wrong and for unknown."""
    identity = accounts.verify("root", PASSWORD)
    assert identity is not None
    assert (identity.username, identity.role, identity.session_id) == (
        "root",
        "Administrator",
        None,
    )
    assert identity.has("ConfigureUsers")
    assert accounts.verify("root", "dcpi-lab ") is None
    assert accounts.verify("nobody", PASSWORD) is None


@pytest.mark.parametrize(
    ("username", "password"),
    [("", "x"), ("root\0", PASSWORD), ("root:", PASSWORD), ("root", ""), ("root", "\ud800" * 9),
     ("\udcff", PASSWORD), ("root", "x" * 100_000)],
)  # fmt: skip
def test_odd_credentials_are_simply_wrong(accounts: Accounts, username: str, password: str) -> None:
    """Nothing that a client can send as Basic makes verify fail otherwise than by None."""
    assert accounts.verify(username, password) is None


def test_the_separator_cannot_be_moved_between_name_and_password(accounts: Accounts) -> None:
    """A remembered credential of one user is not that of another with a shifted boundary."""
    accounts.create("ab", "c-longpassword", "ReadOnly")
    assert accounts.verify("ab", "c-longpassword") is not None
    assert accounts.verify("a", "bc-longpassword") is None


@pytest.mark.parametrize("username", ["", "x" * 65, "a:b", "a\nb", "a\0", "\u202eroot", " root"])
def test_a_user_name_that_basic_cannot_carry_is_refused(accounts: Accounts, username: str) -> None:
    """Names have 1 to 64 printable characters without a colon."""
    with pytest.raises(ValueError, match="user name"):
        accounts.create(username, PASSWORD, "ReadOnly")


@pytest.mark.parametrize("password", ["", "7 chars", "x" * 257, "\ud800" * 10])
def test_a_password_out_of_bounds_is_refused(accounts: Accounts, password: str) -> None:
    """Passwords have 8 to 256 characters, when made and when changed."""
    with pytest.raises(ValueError, match="password"):
        accounts.create("anna", password, "ReadOnly")
    with pytest.raises(ValueError, match="password"):
        accounts.set_password("root", password)


def test_a_name_is_given_once(accounts: Accounts) -> None:
    """A second account of the same name is a conflict, and the first keeps its password."""
    with pytest.raises(ConflictError, match="root"):
        accounts.create("root", "another-password", "ReadOnly")
    assert accounts.verify("root", PASSWORD) is not None


def test_unknown_names_are_not_found(accounts: Accounts) -> None:
    """Every change of an account that does not exist is NotFoundError."""
    for change in (
        lambda: accounts.get("anna"),
        lambda: accounts.delete("anna"),
        lambda: accounts.set_password("anna", PASSWORD),
        lambda: accounts.set_role("anna", "ReadOnly"),
        lambda: accounts.set_enabled("anna", False),
    ):
        with pytest.raises(NotFoundError, match="anna"):
            change()


def test_the_last_administrator_stays(accounts: Accounts) -> None:
    """The last one who can manage accounts cannot be deleted, locked or demoted."""
    accounts.create("second", PASSWORD, "Administrator", enabled=False)
    for change in (
        lambda: accounts.delete("root"),
        lambda: accounts.set_enabled("root", False),
        lambda: accounts.set_role("root", "Operator"),
    ):
        with pytest.raises(ConflictError, match="last administrator"):
            change()
    accounts.set_password("root", "another-password")
    accounts.set_enabled("second", True)
    accounts.delete("root")
    assert [account.username for account in accounts.list()] == ["second"]


def test_ensure_makes_an_account_once_and_never_resets_it(accounts: Accounts) -> None:
    """The start of a service does not undo a changed password or role."""
    accounts.ensure("anna", PASSWORD, "Operator")
    accounts.set_password("anna", "changed-password")
    accounts.ensure("anna", PASSWORD, "Administrator")
    assert accounts.get("anna").role == "Operator"
    assert accounts.verify("anna", PASSWORD) is None
    assert accounts.verify("anna", "changed-password") is not None


def test_a_change_counts_at_once_though_the_credential_was_remembered(accounts: Accounts) -> None:
    """Password, role, lock and deletion drop what was remembered and tell the observer."""
    told: list[str] = []
    accounts.observe(told.append)
    accounts.create("anna", PASSWORD, "ReadOnly")
    assert told == []

    before = accounts.verify("anna", PASSWORD)
    assert before is not None
    assert accounts.is_current(before)
    accounts.set_role("anna", "GridOperator")
    assert not accounts.is_current(before)
    after = accounts.verify("anna", PASSWORD)
    assert after is not None
    assert after.role == "GridOperator"

    accounts.set_password("anna", "changed-password")
    assert accounts.verify("anna", PASSWORD) is None
    assert accounts.verify("anna", "changed-password") is not None
    accounts.set_enabled("anna", False)
    assert accounts.verify("anna", "changed-password") is None
    accounts.set_enabled("anna", True)
    assert accounts.verify("anna", "changed-password") is not None
    accounts.delete("anna")
    assert accounts.verify("anna", "changed-password") is None
    assert told == ["anna"] * 5


def test_a_confirmed_credential_is_recalled_for_300_s(accounts: Accounts, clock: Any) -> None:
    """Within five minutes a poller does not pay argon2 again; after them it does."""
    assert accounts.recall("root", PASSWORD) is None  # it never runs argon2
    accounts.verify("root", PASSWORD)
    clock.advance(299)
    assert accounts.recall("root", PASSWORD) is not None
    clock.advance(2)
    assert accounts.recall("root", PASSWORD) is None
    started = time.perf_counter()
    assert accounts.verify("root", PASSWORD) is not None
    assert time.perf_counter() - started > 5e-3


def test_accounts_survive_a_restart_and_no_password_is_readable(tmp_path: Path) -> None:
    """A second process over the same directory knows the accounts; the files hold hashes only."""
    state = StateDirectory(tmp_path)
    accounts = Accounts(state)
    accounts.create("root", "secret-word-42", "Administrator")
    accounts.create("anna", "secret-word-42", "MunicipalPartner", enabled=False)
    accounts.close()
    state.close()

    assert all(b"secret-word-42" not in file.read_bytes() for file in tmp_path.iterdir())
    state = StateDirectory(tmp_path)
    accounts = Accounts(state)
    assert accounts.verify("root", "secret-word-42") is not None
    assert accounts.get("anna").enabled is False
    accounts.close()
    state.close()


def test_a_role_that_this_version_does_not_know_stops_the_start(tmp_path: Path) -> None:
    """Rights that nobody can read are not guessed."""
    state = StateDirectory(tmp_path)
    Accounts(state).close()
    database = state.database("state", durable=True)
    database.execute("INSERT INTO accounts VALUES ('anna', 'Emperor', 1, 'x', 0)")
    database.close()
    with pytest.raises(StateError, match="Emperor"):
        Accounts(state)
    state.close()


_CREATE_UNTIL_KILLED = """
import sys
from pathlib import Path
from bmc_ext.security.accounts import Accounts
from bmc_ext.state import StateDirectory
accounts = Accounts(StateDirectory(Path(sys.argv[1])))
for number in range(200):
    accounts.create(f"user{number}", "dcpi-lab", "ReadOnly")
    print(number, flush=True)
"""


def test_an_account_that_was_answered_survives_kill_9(tmp_path: Path) -> None:
    """Whatever create returned for is there after the process was killed at once."""
    process = subprocess.Popen(
        [sys.executable, "-c", _CREATE_UNTIL_KILLED, str(tmp_path)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    created = [int(process.stdout.readline()) for _ in range(5)]
    process.send_signal(signal.SIGKILL)
    process.stdout.close()
    process.wait()

    state = StateDirectory(tmp_path)
    accounts = Accounts(state)
    names = {account.username for account in accounts.list()}
    assert names >= {f"user{number}" for number in created}
    accounts.close()
    state.close()


def test_verify_and_changes_from_many_threads_agree(accounts: Accounts) -> None:
    """Eight verifying threads never see a wrong password pass while passwords change under them."""
    accounts.create("anna", "password-0", "ReadOnly")
    wrong: list[str] = []
    stop = threading.Event()

    def poll() -> None:
        while not stop.is_set():
            if accounts.verify("anna", "never-the-password"):
                wrong.append("accepted")
            accounts.verify("root", PASSWORD)

    threads = [threading.Thread(target=poll) for _ in range(8)]
    for thread in threads:
        thread.start()
    for number in range(1, 4):
        accounts.set_password("anna", f"password-{number}")
        assert accounts.verify("anna", f"password-{number - 1}") is None
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert accounts.verify("anna", "password-3") is not None
