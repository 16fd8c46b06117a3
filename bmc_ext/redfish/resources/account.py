"""AccountService: accounts and the predefined roles."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote

from bmc_ext.control.audited import audited
from bmc_ext.errors import MessageError, NotFoundError
from bmc_ext.redfish import members
from bmc_ext.redfish.context import Context, Request, Response
from bmc_ext.redfish.errors import RedfishError
from bmc_ext.redfish.registry import Routes
from bmc_ext.security.accounts import Account, Accounts, check_password
from bmc_ext.security.identity import (
    CONFIGURE_SELF,
    CONFIGURE_USERS,
    LOGIN,
    ROLES,
    STANDARD_PRIVILEGES,
)

routes = Routes()

SERVICE = "/redfish/v1/AccountService"
ACCOUNTS = f"{SERVICE}/Accounts"
ROLE_URIS = f"{SERVICE}/Roles"
_PREDEFINED = ("Administrator", "Operator", "ReadOnly")


@routes.get(SERVICE, LOGIN, schema="AccountService.v1_15_1.AccountService")
def account_service(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """Where accounts and roles live."""
    return {
        "Id": "AccountService",
        "Name": "Account Service",
        "ServiceEnabled": True,
        "MinPasswordLength": 8,
        "MaxPasswordLength": 256,
        "Status": {"State": "Enabled", "Health": "OK"},
        "Accounts": {"@odata.id": ACCOUNTS},
        "Roles": {"@odata.id": ROLE_URIS},
    }


@routes.get(ACCOUNTS, LOGIN, schema="ManagerAccountCollection.ManagerAccountCollection")
def accounts(context: Context, request: Request) -> dict[str, Any]:
    """The accounts that the caller may see: all for who manages users, else their own."""
    visible = [a for a in context.accounts.list() if _may_see(request, a.username)]
    return {
        "Name": "Accounts",
        "Members": [{"@odata.id": _uri(account.username)} for account in visible],
        "Members@odata.count": len(visible),
    }


@routes.post(ACCOUNTS, CONFIGURE_USERS, costly=True)
def create_account(context: Context, request: Request) -> Response:
    """Add an account."""
    body = members.json_object(request.json(), ("UserName", "Password", "RoleId", "Enabled"))
    username = members.text(body, "UserName")
    if username in (".", ".."):
        raise MessageError("no URI can name the user '.' or '..'", "/UserName")
    role = _role(body)
    password = _password(body)
    enabled = members.flag(body, "Enabled", True)
    planned = {"account": username[:64], "role_id": role, "enabled": enabled}
    with audited(context.audit, "account.create", request.who, request.correlation_id, planned):
        try:
            account = context.accounts.create(username, password, role, enabled)
        except ValueError as error:
            raise MessageError(str(error), "/UserName") from error
    answer = {
        "@odata.type": "#ManagerAccount.v1_12_1.ManagerAccount",
        "@odata.id": _uri(username),
        **_body(account),
    }
    return Response(201, answer, {"Location": _uri(username)})


@routes.get(f"{ACCOUNTS}/{{account}}", LOGIN, schema="ManagerAccount.v1_12_1.ManagerAccount")
def account(context: Context, request: Request) -> dict[str, Any]:
    """One account, without its password."""
    return _body(_find(context, request))


@routes.patch(f"{ACCOUNTS}/{{account}}", CONFIGURE_SELF, costly=True)
def change_account(context: Context, request: Request) -> dict[str, Any]:
    """Change a password (one's own, too), a role, or whether the account may log in."""
    username = _find(context, request).username
    body = members.json_object(request.json(), ("Password", "RoleId", "Enabled"))
    if not request.who.has(CONFIGURE_USERS) and set(body) - {"Password"}:
        raise RedfishError(403, "only who manages users may change roles and locks")
    role = _role(body) if "RoleId" in body else None
    enabled = members.flag(body, "Enabled", True) if "Enabled" in body else None
    password = _password(body) if "Password" in body else None
    planned = {
        "account": username, "role_id": role, "enabled": enabled, "password": password is not None
    }  # fmt: skip
    with audited(context.audit, "account.change", request.who, request.correlation_id, planned):
        _apply(context.accounts, username, role, enabled, password)
    return _body(context.accounts.get(username))


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
    role = members.text(body, "RoleId")
    if role not in ROLES:
        raise MessageError(f"no role {role!r}; the roles are {', '.join(ROLES)}", "/RoleId")
    return role


def _password(body: dict[str, Any]) -> str:
    password = members.text(body, "Password")
    try:
        check_password(password)
    except ValueError as error:
        raise MessageError(str(error), "/Password") from error
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
        "IsPredefined": name in _PREDEFINED,
        "AssignedPrivileges": [p for p in STANDARD_PRIVILEGES if p in held],
        "OemPrivileges": sorted(held - set(STANDARD_PRIVILEGES)),
    }


def _uri(username: str) -> str:
    return f"{ACCOUNTS}/{quote(username, safe='')}"


def _find(context: Context, request: Request) -> Account:
    username = unquote(request.params["account"])
    if not _may_see(request, username):
        raise NotFoundError(f"no account {username!r}")
    return context.accounts.get(username)


def _may_see(request: Request, username: str) -> bool:
    return username == request.who.username or request.who.has(CONFIGURE_USERS)


def _body(account: Account) -> dict[str, Any]:
    return {
        "Id": account.username,
        "Name": f"Account of {account.username}",
        "UserName": account.username,
        "Password": None,
        "RoleId": account.role,
        "Enabled": account.enabled,
        "Locked": False,
        "AccountTypes": ["Redfish"],
        "Links": {"Role": {"@odata.id": f"{ROLE_URIS}/{account.role}"}},
    }
