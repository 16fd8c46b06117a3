"""The BMC behind the sidecar: where it is, what proves who it is, and who logs in there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bmc_ext.errors import ConfigurationError

_PLAIN: Final = ("timeout_s", "refresh_s", "push_events")


@dataclass(frozen=True, slots=True)
class UpstreamAccount:
    """An account of the upstream BMC."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class UpstreamConfig:
    """An upstream BMC. Its certificate is issued by `ca`, or has the digest `pinned_sha256` (hex).

    The service itself asks as `account`, and so do all clients unless `roles` says as whom, by the
    client's role: as an account, or with its own Basic credentials for None. A role that is not
    named may not ask the upstream BMC then. An answer must be whole within `timeout_s`; what it has
    is looked up every `refresh_s`. With `push_events` we subscribe to the events of one that has no
    stream of them.
    """

    url: str
    account: UpstreamAccount
    roles: Mapping[str, UpstreamAccount | None] | None = None
    ca: Path | None = None
    pinned_sha256: str = ""
    timeout_s: float = 10.0
    refresh_s: float = 10.0
    push_events: bool = False


def upstream_config(document: Mapping[str, Any], base: Path, origin: str) -> UpstreamConfig:
    """The section `upstream`, which the schema has accepted; ConfigurationError names the place."""
    account = _account(document["account"], base, f"{origin}: upstream/account")
    roles = None
    if "roles" in document:
        roles = {
            role: _choice(choice, account, base, f"{origin}: upstream/roles/{role}")
            for role, choice in document["roles"].items()
        }
    ca = base / document["ca"] if "ca" in document else None
    if ca is not None and not ca.is_file():
        raise ConfigurationError(f"{origin}: upstream/ca: {ca}: no such file")
    return UpstreamConfig(
        url=document["url"].rstrip("/"),
        account=account,
        roles=roles,
        ca=ca,
        pinned_sha256=document.get("pinned_sha256", "").replace(":", "").lower(),
        **{name: document[name] for name in _PLAIN if name in document},
    )


def _choice(
    choice: Any, account: UpstreamAccount, base: Path, place: str
) -> UpstreamAccount | None:
    if choice == "service":
        return account
    return None if choice == "pass-through" else _account(choice, base, place)


def _account(document: Mapping[str, str], base: Path, place: str) -> UpstreamAccount:
    """The account with its password, which the configuration itself never holds."""
    if "password_env" in document:
        name = document["password_env"]
        password = os.environ.get(name, "")
        if not password:
            raise ConfigurationError(f"{place}/password_env: {name} is not set in the environment")
        return UpstreamAccount(document["username"], password)
    path = base / document["password_file"]
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not text in UTF-8"
        raise ConfigurationError(f"{place}/password_file: {path}: {reason}") from error
    if not lines or not lines[0]:
        raise ConfigurationError(f"{place}/password_file: {path}: its first line is empty")
    return UpstreamAccount(document["username"], lines[0])
