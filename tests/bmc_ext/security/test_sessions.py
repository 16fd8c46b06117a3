"""Sessions: tokens, time-out, limits, and accounts that change under them."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from bmc_ext.errors import ConflictError, NotFoundError
from bmc_ext.security.accounts import Accounts
from bmc_ext.security.identity import identity_of
from bmc_ext.security.sessions import MAX_SESSIONS, Sessions
from bmc_ext.state import StateDirectory

ANNA = identity_of("anna", "Operator")


def test_a_token_opens_what_its_session_may(clock: Any) -> None:
    """Authenticate answers the user with the session's id; other tokens answer nobody."""
    sessions = Sessions(1800, clock)
    session = sessions.open(ANNA)
    assert sessions.authenticate(session.token) == ANNA.in_session(session.id)
    for other in ("", "x", session.id, session.token[:-1], session.token + "=", "\udcff", "é"):
        assert sessions.authenticate(other) is None


def test_tokens_are_256_bits_and_never_kept(clock: Any) -> None:
    """Tokens and ids differ, and a listed session has no token."""
    sessions = Sessions(1800, clock)
    opened = [sessions.open(ANNA) for _ in range(20)]
    tokens = {session.token for session in opened}
    assert len(tokens) == len({session.id for session in opened}) == 20
    assert all(len(token) == 43 for token in tokens)
    assert [session.id for session in sessions.list()] == [session.id for session in opened]
    assert all(session.token == "" for session in sessions.list())
    assert sessions.list()[0].created_s == clock.unix_s


def test_use_keeps_a_session_open_and_disuse_ends_it(clock: Any) -> None:
    """The time-out starts anew with each use; then the session is gone for every call."""
    sessions = Sessions(60, clock)
    token = sessions.open(ANNA).token
    for _ in range(5):
        clock.advance(59)
        assert sessions.authenticate(token) is not None
    session_id = sessions.list()[0].id
    clock.advance(60)
    assert sessions.authenticate(token) is None
    assert sessions.list() == ()
    with pytest.raises(NotFoundError):
        sessions.get(session_id)


def test_looking_at_a_session_does_not_keep_it_open(clock: Any) -> None:
    """Only its own token counts as use."""
    sessions = Sessions(60, clock)
    token = sessions.open(ANNA).token
    clock.advance(40)
    assert len(sessions.list()) == 1
    clock.advance(40)
    assert sessions.authenticate(token) is None


def test_logout_ends_one_session_and_close_of_all_of_a_user(clock: Any) -> None:
    """The others stay."""
    sessions = Sessions(1800, clock)
    first, second = sessions.open(ANNA), sessions.open(ANNA)
    third = sessions.open(identity_of("bert", "ReadOnly"))
    sessions.close(first.id)
    with pytest.raises(NotFoundError, match=first.id):
        sessions.close(first.id)
    assert [session.id for session in sessions.list()] == [second.id, third.id]
    assert sessions.close_of("anna") == 1
    assert sessions.get(third.id).username == "bert"


def test_the_number_of_sessions_is_bounded_and_expired_ones_make_room(clock: Any) -> None:
    """At the limit a login is refused, until a session has expired."""
    sessions = Sessions(60, clock)
    token = sessions.open(ANNA).token
    clock.advance(30)
    for _ in range(MAX_SESSIONS - 1):
        sessions.open(ANNA)
    with pytest.raises(ConflictError, match="in use"):
        sessions.open(ANNA)
    clock.advance(31)
    sessions.open(ANNA)
    assert sessions.authenticate(token) is None


@pytest.mark.parametrize("timeout_s", [29, 86_401, float("nan")])
def test_a_time_out_out_of_redfish_bounds_is_refused(clock: Any, timeout_s: float) -> None:
    """SessionTimeout is 30 to 86400 s, at the start and when changed."""
    with pytest.raises(ValueError, match="time-out"):
        Sessions(timeout_s, clock)
    sessions = Sessions(60, clock)
    with pytest.raises(ValueError, match="time-out"):
        sessions.timeout_s = timeout_s


def test_an_account_change_ends_its_sessions(state: StateDirectory, clock: Any) -> None:
    """A demoted user's token opens nothing any more; the others' still do."""
    accounts = Accounts(state, clock=clock)
    sessions = Sessions(1800, clock, is_current=accounts.is_current)
    accounts.observe(sessions.close_of)
    accounts.create("root", "dcpi-lab", "Administrator")
    accounts.create("anna", "dcpi-lab", "Operator")
    root, anna = (accounts.verify(name, "dcpi-lab") for name in ("root", "anna"))
    assert root is not None
    assert anna is not None
    roots, annas = sessions.open(root).token, sessions.open(anna).token
    accounts.set_role("anna", "ReadOnly")
    assert sessions.authenticate(annas) is None
    assert sessions.authenticate(roots) is not None

    with pytest.raises(ConflictError, match="changed"):
        sessions.open(anna)  # the login was verified before the change and arrives after it
    assert [session.username for session in sessions.list()] == ["root"]
    accounts.close()


def test_authenticate_is_safe_under_threads(clock: Any) -> None:
    """Eight threads open, use and close at once."""
    sessions = Sessions(1800, clock)
    failures: list[str] = []

    def work() -> None:
        for _ in range(200):
            session = sessions.open(ANNA)
            if sessions.authenticate(session.token) is None:
                failures.append("open session refused")
            sessions.close(session.id)
            if sessions.authenticate(session.token) is not None:
                failures.append("closed session accepted")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
