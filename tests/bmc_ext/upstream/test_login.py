"""A refused account is tried ever more rarely, with one request each time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from acme_mockup import write_tree
from mockup_bmc import SESSIONS, MockupBmc, mockup_bmc
from upstream_bmcs import ACCOUNT

from bmc_ext.upstream.connection import Connection
from bmc_ext.upstream.login import CredentialsRefusedError, Login
from bmc_ext.upstream_settings import UpstreamAccount, UpstreamConfig

FABRICS = "/redfish/v1/Fabrics"
WRONG = UpstreamAccount(ACCOUNT.username, "not-yet")


@pytest.fixture
def bmc(tmp_path: Path) -> Iterator[MockupBmc]:
    """A BMC for one test."""
    write_tree(tmp_path)
    with mockup_bmc(tmp_path) as server:
        yield server


def _refused(login: Login) -> float:
    """How long it is of no use to ask again, s."""
    with pytest.raises(CredentialsRefusedError, match="refuses the account") as refused:
        login.headers()
    return refused.value.retry_after_s


def test_a_refused_account_is_tried_ever_more_rarely(bmc: MockupBmc) -> None:
    """The wait doubles, is told truly, and ends once the BMC takes the account."""
    connection = Connection(UpstreamConfig(bmc.url, WRONG, ca=bmc.ca))
    login = Login(connection, WRONG, lockout_s=1.0)
    basic = login.headers()
    assert connection.ask("GET", FABRICS, basic).status == 401
    with pytest.raises(CredentialsRefusedError) as first:
        login.headers(refused=basic)
    assert first.value.retry_after_s == pytest.approx(1.0)
    tried = len(bmc.seen)
    assert 0 < _refused(login) < 1.0
    assert len(bmc.seen) == tried
    time.sleep(1.05)
    assert _refused(login) == pytest.approx(2.0)
    (again,) = bmc.seen[tried:]
    assert (again.method, again.path) == ("POST", SESSIONS)
    assert again.headers["authorization"] == basic["Authorization"]
    assert 1.0 < _refused(login) < 2.0
    assert len(bmc.seen) == tried + 1
    bmc.accounts[WRONG.username] = WRONG.password
    time.sleep(2.05)
    headers = login.headers()
    assert connection.ask("GET", FABRICS, headers).status == 200
    login.accepted()
    assert login.refused().retry_after_s == pytest.approx(1.0)
    connection.close()


def test_many_that_are_refused_at_once_are_one_refusal(bmc: MockupBmc) -> None:
    """Whoever asked with the same credentials does not make the wait longer."""
    connection = Connection(UpstreamConfig(bmc.url, WRONG, ca=bmc.ca))
    login = Login(connection, WRONG, lockout_s=50.0)
    waits = [login.refused().retry_after_s for _ in range(5)]
    assert waits == pytest.approx([50.0] * 5, abs=1.0)
    connection.close()
