"""Who must change the password: what is open to them, and what says so (DSP0266 13.3.8)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from bmc_ext.redfish.base_messages import PREFIX
from bmc_ext.redfish.context import Request
from bmc_ext.redfish.errors import RedfishError

ACCOUNTS = "/redfish/v1/AccountService/Accounts"
SESSIONS = "/redfish/v1/SessionService/Sessions"
_OPEN_METHODS = ("GET", "HEAD", "PATCH")
_KEY = "PasswordChangeRequired"


def account_uri(username: str) -> str:
    """Where an account lives."""
    return f"{ACCOUNTS}/{quote(username, safe='')}"


def may_only_change_password(request: Request) -> bool:
    """Whether this is what such a user may do; RedfishError 403 for all else that such a one asks.

    Their sessions may be closed, too: none is left open for want of a new password.
    False for everyone whose password is good.
    """
    identity = request.identity
    if identity is None or not identity.must_change_password:
        return False
    own = account_uri(identity.username)
    if request.path.rstrip("/") == own and request.method in _OPEN_METHODS:
        return True
    if request.method == "DELETE" and request.path.startswith(f"{SESSIONS}/"):
        return True
    raise RedfishError(403, _text(own), message=_KEY, args=(own,))


def announcement(username: str) -> dict[str, Any]:
    """What the answer to a login adds for such a user."""
    own = account_uri(username)
    return {
        "@Message.ExtendedInfo": [
            {
                "@odata.type": "#Message.v1_2_1.Message",
                "MessageId": f"{PREFIX}.{_KEY}",
                "Message": _text(own),
                "MessageArgs": [own],
                "MessageSeverity": "Critical",
                "Resolution": "PATCH Password of that account.",
            }
        ]
    }


def _text(uri: str) -> str:
    return f"the password must be changed first: PATCH Password of {uri}"
