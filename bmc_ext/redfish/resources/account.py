"""AccountService: accounts and the predefined roles."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from bmc_ext.control.audited import audited
from bmc_ext.errors import NotFoundError
from bmc_ext.redfish import members
from bmc_ext.redfish.context import Context, Request, Response
from bmc_ext.redfish.errors import RedfishError
from bmc_ext.redfish.password_change import ACCOUNTS, account_uri
from bmc_ext.redfish.registry import Routes
from bmc_ext.security.accounts import PASSWORD_LENGTH, Account, Accounts, check_password
from bmc_ext.security.identity import (
    CONFIGURE_SELF,
    CONFIGURE_USERS,
    LOGIN,
    OEM_PRIVILEGES,
    ROLES,
    STANDARD_PRIVILEGES,
)
from bmc_ext.security.lockout import MAX_SECONDS, MAX_THRESHOLD, LockoutRule

routes = Routes()

SERVICE = "/redfish/v1/AccountService"
ROLE_URIS = f"{SERVICE}/Roles"
PRIVILEGE_MAP = f"{SERVICE}/PrivilegeMap"
_WRITABLE = ("Password", "RoleId", "Enabled", "Locked", "PasswordChangeRequired")
_ON_CREATE = (
    "UserName", "Password", "RoleId", "Enabled", "PasswordChangeRequired", "AccountTypes",
)  # fmt: skip
_TYPES = ["Redfish"]
_LOCKOUT = {
    "AccountLockoutThreshold": MAX_THRESHOLD,
    "AccountLockoutDuration": MAX_SECONDS,
    "AccountLockoutCounterResetAfter": MAX_SECONDS,
}


@routes.get(SERVICE, LOGIN, schema="AccountService.v1_15_1.AccountService")
def account_service(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """Where accounts and roles live."""
    rule = context.accounts.lockout.rule
    return {
        "Id": "AccountService",
        "Name": "Account Service",
        "ServiceEnabled": True,
        "MinPasswordLength": PASSWORD_LENGTH[0],
        "MaxPasswordLength": PASSWORD_LENGTH[1],
        "LocalAccountAuth": "Enabled",
        "SupportedAccountTypes": _TYPES,
        "AccountLockoutThreshold": rule.threshold,
        "AccountLockoutDuration": rule.duration_s,
        "AccountLockoutCounterResetAfter": rule.reset_after_s,
        "Status": {"State": "Enabled", "Health": "OK"},
        "Accounts": {"@odata.id": ACCOUNTS},
        "Roles": {"@odata.id": ROLE_URIS},
        "PrivilegeMap": {"@odata.id": PRIVILEGE_MAP},
    }


@routes.patch(SERVICE, CONFIGURE_USERS)
def change_service(context: Context, request: Request) -> dict[str, Any]:
    """Change after how many wrong passwords an account is locked, and for how long."""
    readable = account_service(context, request)
    body = members.json_object(request.json(), _LOCKOUT, readable)
    values = [
        members.whole_number({**readable, **body}, name, 0, most) for name, most in _LOCKOUT.items()
    ]
    try:
        rule = LockoutRule(*values)
    except ValueError as error:
        name = "AccountLockoutCounterResetAfter"
        raise members.refused("PropertyValueOutOfRange", str(error), name, values[2]) from error
    planned = dict(zip(("threshold", "duration_s", "reset_after_s"), values, strict=True))
    with audited(
        context.audit, "account_service.change", request.who, request.correlation_id, planned
    ):
        context.accounts.set_lockout(rule)
    return account_service(context, request)


@routes.get(PRIVILEGE_MAP, LOGIN, schema="PrivilegeRegistry.v1_1_5.PrivilegeRegistry")
def privilege_map(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """Which privilege each operation needs, made from the routes that check it."""
    return {
        "Id": "PrivilegeMap",
        "Name": "Privilege Map",
        "PrivilegesUsed": [*STANDARD_PRIVILEGES, "NoAuth"],
        "OEMPrivilegesUsed": list(OEM_PRIVILEGES),
        "Mappings": context.privilege_mappings(),
    }


@routes.get(ACCOUNTS, LOGIN, schema="ManagerAccountCollection.ManagerAccountCollection")
def accounts(context: Context, request: Request) -> dict[str, Any]:
    """The accounts that the caller may see: all for who manages users, else their own."""
    visible = [a for a in context.accounts.list() if _may_see(request, a.username)]
    return {
        "Name": "Accounts",
        "Members": [{"@odata.id": account_uri(account.username)} for account in visible],
        "Members@odata.count": len(visible),
    }


@routes.post(ACCOUNTS, CONFIGURE_USERS, costly=True)
@routes.post(f"{ACCOUNTS}/Members", CONFIGURE_USERS, costly=True)
def create_account(context: Context, request: Request) -> Response:
    """Add an account."""
    body = members.json_object(request.json(), _ON_CREATE)
    username = members.text(body, "UserName")
    if username in (".", ".."):
        reason = "no URI can name the user '.' or '..'"
        raise members.refused("PropertyValueFormatError", reason, "UserName", username)
    role = _role(body)
    password = _password(body)
    enabled = members.flag(body, "Enabled", True)
    must_change = members.flag(body, "PasswordChangeRequired", False)
    if body.get("AccountTypes", _TYPES) != _TYPES:
        reason = "all accounts are of the type Redfish, and of no other"
        value = str(body["AccountTypes"])
        raise members.refused("PropertyValueNotInList", reason, "AccountTypes", value)
    planned = {"account": username[:64], "role_id": role, "enabled": enabled}
    with audited(context.audit, "account.create", request.who, request.correlation_id, planned):
        if any(known.username == username for known in context.accounts.list()):
            raise RedfishError(
                409,
                f"account {username!r} exists already",
                "/UserName",
                message="ResourceAlreadyExists",
                args=("ManagerAccount", "UserName", username[:64]),
            )
        try:
            account = context.accounts.create(
                username, password, role, enabled, must_change_password=must_change
            )
        except ValueError as error:
            raise members.refused(
                "PropertyValueFormatError", str(error), "UserName", username
            ) from error
    answer = {
        "@odata.type": "#ManagerAccount.v1_12_1.ManagerAccount",
        "@odata.id": account_uri(username),
        **_body(context, account),
    }
    return Response(201, answer, {"Location": account_uri(username)})


@routes.get(f"{ACCOUNTS}/{{account}}", LOGIN, schema="ManagerAccount.v1_12_1.ManagerAccount")
def account(context: Context, request: Request) -> dict[str, Any]:
    """One account, without its password."""
    return _body(context, _find(context, request))


@routes.patch(f"{ACCOUNTS}/{{account}}", CONFIGURE_SELF, costly=True)
def change_account(context: Context, request: Request) -> dict[str, Any]:
    """Change a password (one's own, too), a role, or whether the account may log in."""
    present = _find(context, request)
    username = present.username
    body = members.json_object(request.json(), _WRITABLE, _body(context, present))
    if not request.who.has(CONFIGURE_USERS) and set(body) - {"Password"}:
        raise RedfishError(403, "only who manages users may change roles and locks")
    role = _role(body) if "RoleId" in body else None
    enabled = members.flag(body, "Enabled", True) if "Enabled" in body else None
    password = _password(body) if "Password" in body else None
    must_change = None
    if "PasswordChangeRequired" in body:
        must_change = members.flag(body, "PasswordChangeRequired", False)
    unlock = "Locked" in body
    if members.flag(body, "Locked", False):
        reason = "Locked can only be set to false: wrong passwords lock an account"
        raise members.refused("PropertyValueNotInList", reason, "Locked", "true")
    planned = {
        "account": username, "role_id": role, "enabled": enabled, "password": password is not None,
        "password_change_required": must_change, "unlock": unlock,
    }  # fmt: skip
    with audited(context.audit, "account.change", request.who, request.correlation_id, planned):
        _apply(context.accounts, username, role, enabled, password)
        if must_change is not None:
            context.accounts.set_must_change_password(username, must_change)
        if unlock:
            context.accounts.lockout.unlock(username)
    return _body(context, context.accounts.get(username))


def _apply(
    accounts: Accounts, username: str, role: str | None, enabled: bool | None, password: str | None
) -> None:
    """All or nothing: first what the last administrator may not give up."""
    if role is not None:
        accounts.set_role(username, role)
    if enabled is not None:
        accounts.set_enabled(username, enabled)
    if password is not None:
        accounts.set_password(username, password)


def _role(body: dict[str, Any]) -> str:
    return members.one_of(body, "RoleId", tuple(ROLES))


def _password(body: dict[str, Any]) -> str:
    password = members.text(body, "Password")
    try:
        check_password(password)
    except ValueError as error:
        raise members.refused("PropertyValueFormatError", str(error), "Password", "") from error
    return password


@routes.delete(f"{ACCOUNTS}/{{account}}", CONFIGURE_USERS)
def delete_account(context: Context, request: Request) -> Response:
    """Remove an account."""
    username = _find(context, request).username
    planned = {"account": username}
    with audited(context.audit, "account.delete", request.who, request.correlation_id, planned):
        context.accounts.delete(username)
    return Response(204)


@routes.get(ROLE_URIS, LOGIN, schema="RoleCollection.RoleCollection")
def roles(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """The roles; none can be added or changed."""
    return {
        "Name": "Roles",
        "Members": [{"@odata.id": f"{ROLE_URIS}/{name}"} for name in ROLES],
        "Members@odata.count": len(ROLES),
    }


@routes.get(f"{ROLE_URIS}/{{role}}", LOGIN, schema="Role.v1_3_3.Role")
def role(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """One role with its standard privileges and those of DCPI 10.2.2."""
    name = request.params["role"]
    if name not in ROLES:
        raise NotFoundError(f"no role {name!r}")
    held = ROLES[name]
    return {
        "Id": name,
        "Name": name,
        "RoleId": name,
        "IsPredefined": True,
        "AssignedPrivileges": [p for p in STANDARD_PRIVILEGES if p in held],
        "OemPrivileges": sorted(held - set(STANDARD_PRIVILEGES)),
    }


def _find(context: Context, request: Request) -> Account:
    username = unquote(request.params["account"])
    if not _may_see(request, username):
        raise NotFoundError(f"no account {username!r}")
    return context.accounts.get(username)


def _may_see(request: Request, username: str) -> bool:
    return username == request.who.username or request.who.has(CONFIGURE_USERS)


def _body(context: Context, account: Account) -> dict[str, Any]:
    return {
        "Id": account.username,
        "Name": f"Account of {account.username}",
        "UserName": account.username,
        "Password": None,
        "RoleId": account.role,
        "Enabled": account.enabled,
        "Locked": context.accounts.lockout.is_locked(account.username),
        "PasswordChangeRequired": account.must_change_password,
        "AccountTypes": _TYPES,
        "Links": {"Role": {"@odata.id": f"{ROLE_URIS}/{account.role}"}},
    }
