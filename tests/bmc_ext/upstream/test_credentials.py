"""As whom a request goes on: the service, an account of the role, or the client itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from acme_mockup import is_known, write_tree
from mockup_bmc import SESSIONS, Handler, MockupBmc, mockup_bmc
from served_front import PASSWORD, USER, Served, basic, served, wait_for
from upstream_bmcs import ACCOUNT, sidecar_config

from bmc_ext.upstream.login import LOCKOUT_S
from bmc_ext.upstream_settings import UpstreamAccount

FABRICS = "/redfish/v1/Fabrics"
SECRET = "of-a-user-1"
MAPPED = UpstreamAccount("operator", "of-operators")


@pytest.fixture
def bmc(tmp_path: Path) -> Iterator[MockupBmc]:
    """A BMC for one test."""
    write_tree(tmp_path / "bmc")
    with mockup_bmc(tmp_path / "bmc") as server:
        yield server


def last(bmc: MockupBmc, path: str = FABRICS) -> dict[str, str]:
    """Headers of the newest request for a path."""
    return next(seen.headers for seen in reversed(bmc.seen) if seen.path == path)


def ask_as(front: Served, role: str, path: str = FABRICS) -> int:
    """The status of a GET by a user of that role."""
    front.service.accounts.ensure(f"u-{role}", SECRET, role)
    return front.ask("GET", path, user=f"u-{role}", password=SECRET).status


def test_each_role_goes_on_as_it_is_told(bmc: MockupBmc, tmp_path: Path) -> None:
    """Pass-through sends the client's Basic, mapped the role's account, others are refused."""
    bmc.accounts |= {"operator": "of-operators", "u-ReadOnly": SECRET}
    roles = {"Administrator": ACCOUNT, "Operator": MAPPED, "ReadOnly": None}
    config = sidecar_config(tmp_path / "s", bmc.url, ca=bmc.ca, roles=roles)
    with served(tmp_path / "s", config=config) as front:
        wait_for(lambda: is_known(front), 20, "known")
        assert front.ask("GET", FABRICS).status == 200
        service = last(bmc)["x-auth-token"]
        assert ask_as(front, "Operator") == 200
        assert last(bmc)["x-auth-token"] not in ("", service)
        assert ask_as(front, "ReadOnly") == 200
        assert last(bmc)["authorization"] == basic("u-ReadOnly", SECRET)
        before = len(bmc.asked(within=FABRICS))
        assert ask_as(front, "GridOperator") == 403
        assert len(bmc.asked(within=FABRICS)) == before
        session = {"UserName": "u-ReadOnly", "Password": SECRET}
        answer = front.ask("POST", "/redfish/v1/SessionService/Sessions", session)
        token = {"X-Auth-Token": answer.headers["x-auth-token"]}
        assert front.ask("GET", FABRICS, user=None, headers=token).status == 403
        bmc.accounts["u-ReadOnly"] = "another"
        assert ask_as(front, "ReadOnly") == 401
        assert front.ask("GET", FABRICS).status == 200  # a client's wrong password harms no other
        assert not [s for s in bmc.seen if PASSWORD in s.body.decode() or basic(USER, PASSWORD) in
                    s.headers.get("authorization", "")]  # fmt: skip
    assert bmc.tokens == {}


def test_one_session_is_shared_renewed_and_closed(bmc: MockupBmc, tmp_path: Path) -> None:
    """One login serves all requests; a session that the BMC ended is opened anew, once."""
    with served(
        tmp_path / "s", config=sidecar_config(tmp_path / "s", bmc.url, pinned_sha256=bmc.pin)
    ) as front:
        wait_for(lambda: is_known(front), 20, "known")
        for _ in range(5):
            assert front.ask("GET", FABRICS).status == 200
        assert len(bmc.tokens) == 1
        assert len(bmc.asked("POST")) == 1
        bmc.tokens.clear()
        assert front.ask("GET", FABRICS).status == 200
        assert front.ask("PATCH", "/redfish/v1/Chassis/2", {"AssetTag": "x"}).status == 200
        assert len(bmc.asked("POST")) == 2
    assert bmc.tokens == {}
    assert [s.path for s in bmc.seen if s.method == "DELETE"] != []


def test_a_bmc_without_sessions_is_asked_with_basic(bmc: MockupBmc, tmp_path: Path) -> None:
    """Where no session is to be had the account goes with each request."""

    def none(handler: Handler) -> bool:
        if handler.command != "POST" or handler.path != SESSIONS:
            return False
        handler.say(404)
        return True

    bmc.instead = none
    with served(tmp_path / "s", config=sidecar_config(tmp_path / "s", bmc.url, ca=bmc.ca)) as front:
        wait_for(lambda: is_known(front), 20, "known")
        assert front.ask("GET", FABRICS).status == 200
        assert last(bmc)["authorization"] == basic(ACCOUNT.username, ACCOUNT.password)


def test_a_refused_account_is_not_tried_again_and_again(bmc: MockupBmc, tmp_path: Path) -> None:
    """Wrong credentials make the BMC unavailable, and lock no account by repetition."""
    bmc.accounts[ACCOUNT.username] = "changed"
    with served(tmp_path / "s", config=sidecar_config(tmp_path / "s", bmc.url, ca=bmc.ca)) as front:
        wait_for(lambda: bmc.asked("POST"), 20, "one attempt")
        for _ in range(3):
            answer = front.ask("GET", FABRICS)
            assert answer.status == 503
        wait_for(lambda: "refuses the account" in str(front.ask("GET", FABRICS).body), 20, "said")
        assert len(bmc.asked("POST")) == 1
        answer = front.ask("GET", FABRICS)
        assert ACCOUNT.password not in str(answer.body)
        wait_s = answer.headers["retry-after"]
        assert LOCKOUT_S / 2 < int(wait_s) <= LOCKOUT_S + 1
        (said,) = answer.body["error"]["@Message.ExtendedInfo"]
        assert abs(int(said["MessageArgs"][0]) - int(wait_s)) <= 1


def test_a_mapped_account_that_is_refused_harms_its_role_alone(
    bmc: MockupBmc, tmp_path: Path
) -> None:
    """503 for the role whose account is wrong; the service's own goes on."""
    config = sidecar_config(
        tmp_path / "s", bmc.url, ca=bmc.ca, roles={"Administrator": ACCOUNT, "Operator": MAPPED}
    )
    with served(tmp_path / "s", config=config) as front:
        wait_for(lambda: is_known(front), 20, "known")
        for _ in range(3):
            assert ask_as(front, "Operator") == 503
        attempts = [s for s in bmc.seen if b"of-operators" in s.body]
        assert len(attempts) == 1
        assert front.ask("GET", FABRICS).status == 200
