"""Who may ask the BMC what: decided before anything reaches it, however the path is written."""

from __future__ import annotations

import pytest
from mockup_bmc import MockupBmc
from served_front import Served

from bmc_ext.redfish.host_privileges import privilege_at
from bmc_ext.security.identity import ROLES

ROOT = "/redfish/v1"
SECRET = "of-a-user-1"


@pytest.fixture(scope="module")
def users(front: Served) -> dict[str, str]:
    """A user of each role, named by it."""
    for role in ROLES:
        front.service.accounts.ensure(f"u-{role}", SECRET, role)
    return {role: f"u-{role}" for role in ROLES}


@pytest.mark.parametrize(
    ("method", "path", "lowest"),
    [
        ("PATCH", "/Systems/1", "Operator"),
        ("POST", "/Systems/1/Actions/Reset", "Operator"),
        ("DELETE", "/Chassis/2", "Operator"),
        ("PATCH", "/Managers/Upstream_DCPI", "Administrator"),
        ("PATCH", "/Managers/Upstream_DCPI/EthernetInterfaces/e0", "Administrator"),
        ("POST", "/Systems/1/LogServices/SEL/Actions/LogService.ClearLog", "Administrator"),
        ("POST", "/systems/1/%4cogservices/SEL/Actions/LogService.ClearLog", "Administrator"),
        ("POST", "/Systems/1/LOGSERVICES./SEL/Actions/LogService.ClearLog", "Administrator"),
        ("POST", "/Chassis/2/Certificates", "Administrator"),
        ("GET", "/Managers/Upstream_DCPI/RemoteAccountService/Accounts", "Administrator"),
        ("PATCH", "/Managers/Upstream_DCPI/Accounts/2", "Administrator"),
        ("POST", "/UpdateService/Actions/UpdateService.SimpleUpdate", "Operator"),
        ("POST", "/JobService/Jobs", "Administrator"),
        ("DELETE", "/TaskService/Tasks/Upstream_1", "Administrator"),
        ("PATCH", "/Vendor/Thing", "Administrator"),
    ],
)
def test_who_lacks_the_privilege_never_reaches_the_bmc(
    front: Served, bmc: MockupBmc, users: dict[str, str], method: str, path: str, lowest: str
) -> None:
    """All roles below are answered 403 by us; the BMC sees nothing of it."""
    below = ["ReadOnly", "WorkloadOperator", "GridOperator", "MunicipalPartner"]
    below += ["Operator"] if lowest == "Administrator" else []
    before = len(bmc.seen)
    body = None if method in ("GET", "DELETE") else {}
    for role in below:
        answer = front.ask(method, ROOT + path, body, user=users[role], password=SECRET)
        assert answer.status == 403, (role, answer)
    assert [seen.path for seen in bmc.seen[before:] if seen.method == method != "GET"] == []
    assert not [seen for seen in bmc.seen[before:] if "RemoteAccount" in seen.path]


@pytest.mark.parametrize(
    "path",
    [
        "/SessionService/Sessions/s", "/AccountService/Accounts/1",
        "/AccountService/Accounts/1/Keys",
        "/Sessions",
        "/sessions/1",
        "/sessionservice/Sessions", "/SESSIONSERVICE", "/%53essionService/Sessions/s/x",
        "/AccountService./Accounts", "/AccountService%20/Accounts", "//AccountService/Accounts/1",
        "/Systems/../AccountService/Accounts/1", "/Systems/%2e%2e/AccountService/Accounts/1",
        "/Systems%2f..%2fAccountService", "/Systems/1/%252e%252e/AccountService",
        "/AccountService;x/Accounts/1", "/./AccountService/Accounts/1",
        "/EventService/Subscriptions/9/x", "/CertificateService/Acme", "/systems/1",
        "/chassis/DCPI",
        "/Chassis/DCPI/Memory", "/Chassis/dcpi", "/Chassis/DCPI%20", "/Managers/DCPI/Acme",
        "/Oem/dcpi/x", "/TaskService/Tasks/1", "/Registries/base/x", "/Systems/1%00",
        "/Systems/%ff", "/Systems/1%5c..%5cx", "/Acme%3f/x", "/AccountService%c2%a0/x",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_ours_alone_is_not_reached_around_us(
    front: Served, bmc: MockupBmc, path: str, method: str
) -> None:
    """No spelling leads an administrator to the BMC's sessions, accounts, or ids of ours."""
    before = len(bmc.seen)
    answer = front.ask(method, ROOT + path, None if method == "GET" else {})
    assert answer.status in (400, 404, 405), answer
    looks = ("/redfish/v1/Managers", "/redfish/v1/Chassis", "/redfish/v1/Systems")
    asked = [seen.path for seen in bmc.seen[before:] if seen.method == method]
    assert not [p for p in asked if "ccount" in p.lower() or p.startswith(ROOT + path)], asked
    assert method == "GET" or asked == [], (asked, looks)


def test_a_path_with_an_empty_segment_names_nothing(front: Served, bmc: MockupBmc) -> None:
    """One trailing slash is allowed, two are 404 and go nowhere."""
    assert front.ask("GET", f"{ROOT}/Systems/1/").status == 200
    before = len(bmc.seen)
    for path in ("Systems/1//", "Systems//", "Systems//1", "Systems/1///"):
        assert front.ask("GET", f"{ROOT}/{path}").status == 404, path
        assert front.ask("PATCH", f"{ROOT}/{path}", {"AssetTag": "x"}).status == 404, path
    assert not [one for one in bmc.seen[before:] if "//" in one.path or one.method == "PATCH"]


def test_without_a_login_the_bmc_is_not_reached(front: Served, bmc: MockupBmc) -> None:
    """An open root opens nothing behind it."""
    before = len(bmc.asked(within="/Fabrics"))
    assert front.ask("GET", f"{ROOT}/Fabrics", user=None).status == 401
    assert front.ask("GET", f"{ROOT}/?$expand=*", user=None).status == 200
    assert len(bmc.asked(within="/Fabrics")) == before


def test_nothing_of_ours_goes_to_the_bmc(front: Served, bmc: MockupBmc) -> None:
    """Our passwords, tokens and cookies stay here, and the BMC's token does not come out."""
    session = {"UserName": "root", "Password": "of-this-test"}
    token = front.ask("POST", f"{ROOT}/SessionService/Sessions", session).headers["x-auth-token"]
    before = len(bmc.seen)
    sent = {"Cookie": "a=b", "X-Auth-Token": token, "X-Forwarded-For": "::1"}
    answer = front.ask("GET", f"{ROOT}/Fabrics", user=None, headers=sent)
    assert answer.status == 200
    assert "x-auth-token" not in answer.headers
    (seen,) = [one for one in bmc.seen[before:] if one.path == f"{ROOT}/Fabrics"]
    assert seen.headers["x-auth-token"] in bmc.tokens
    assert not {"authorization", "cookie", "x-forwarded-for"} & set(seen.headers)


@pytest.mark.parametrize(
    ("method", "path", "privilege"),
    [
        ("GET", "/redfish/v1/Systems/1", "Login"),
        ("PATCH", "/redfish/v1/Systems/1", "ConfigureComponents"),
        ("PATCH", "/redfish/v1/sYSTEMS/1", "ConfigureComponents"),
        ("POST", "/redfish/v1/Systems/1/VirtualMedia/1/Actions/x", "ConfigureManager"),
        ("POST", "/redfish/v1/Managers/1/Actions/Manager.Reset", "ConfigureManager"),
        ("GET", "/redfish/v1/Managers/1/RemoteAccountService", "ConfigureUsers"),
        ("PUT", "/redfish/v1/Whatever", "ConfigureManager"),
    ],
)
def test_the_privilege_follows_from_the_place(method: str, path: str, privilege: str) -> None:
    """As in DMTF's privilege registry; what is not known is the manager's."""
    assert privilege_at(method, path) == privilege
