"""Where an SNMP agent is and as whom it is asked; secrets stay out of every message.

`snmp://HOST[:PORT]?community=public[&version=1]`, or `snmp://HOST?credentials=FILE`, where FILE is
YAML that only its owner may read: `community`, or for SNMPv3 `user`, `auth` and `auth_key`, `priv`
and `priv_key` (passphrases).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from drivers.errors import TargetError
from drivers.protocols.target_url import TargetUrl, split_target

FORM = "snmp://HOST:PORT?community=public or snmp://HOST:PORT?credentials=FILE"
_PORT = 161  # RFC 3417, 3.1

# Names as in RFC 3414, 3826 and 7860; SNMPv3 without a key is refused.
AUTH_PROTOCOLS = ("MD5", "SHA", "SHA224", "SHA256", "SHA384", "SHA512")
PRIV_PROTOCOLS = ("DES", "AES128", "AES192", "AES256")
_SHORTEST_KEY = 8  # RFC 3414, 11.2
_LONGEST_FILE = 10_000

_SALT = secrets.token_bytes(16)


@dataclass(frozen=True, slots=True)
class User:
    """An SNMPv3 user (RFC 3414); without `priv` messages are signed only."""

    name: str
    auth: str
    auth_key: str = field(repr=False)
    priv: str | None = None
    priv_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SnmpTarget:
    """An agent; either a `community` with version "1" or "2c", or a `user`."""

    host: str
    port: int
    version: str
    community: str | None = field(default=None, repr=False)
    user: User | None = None

    @property
    def bus(self) -> str:
        """The agent, and as whom it is asked: one community must not be taken for another."""
        who = "" if self.user is None else f"{self.user.name}@"
        secret = repr((self.version, self.community, self.user and self.user.auth_key)).encode()
        mark = hashlib.blake2s(secret, key=_SALT, digest_size=3).hexdigest()
        return f"snmp://{who}{self.host}:{self.port}#{mark}"


def parse_snmp_target(text: str) -> SnmpTarget:
    """The agent of a target; TargetError says what is wrong, never a secret."""
    url = split_target(text, FORM, ("community", "version", "credentials"), secret=("community",))
    if not url.host or url.path not in ("", "/"):
        raise TargetError(f"target {url.text!r} is not {FORM}")
    port = _PORT if url.port is None else url.port
    if "credentials" in url.options:
        return _with_credentials(url, port)
    community = url.options.get("community")
    if not community:
        raise TargetError(f"target {url.text!r}: neither community nor credentials")
    version = url.choice("version", ("1", "2c"), "2c")
    return SnmpTarget(url.host, port, version, community)


def _with_credentials(url: TargetUrl, port: int) -> SnmpTarget:
    if "community" in url.options:
        raise TargetError(f"target {url.text!r}: both community and credentials")
    path = Path(url.options["credentials"])
    entries = _read(path)
    if "community" in entries:
        if len(entries) > 1:
            raise TargetError(f"{path}: a community stands alone")
        version = url.choice("version", ("1", "2c"), "2c")
        return SnmpTarget(url.host, port, version, entries["community"])
    url.choice("version", ("3",), "3")
    return SnmpTarget(url.host, port, "3", user=_user(path, entries))


def _read(path: Path) -> Mapping[str, str]:
    try:
        if path.stat().st_mode & 0o077:
            raise TargetError(f"{path}: others than its owner can read it (chmod 600)")
        entries = yaml.safe_load(path.read_bytes()[:_LONGEST_FILE])
    except OSError as error:
        raise TargetError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError):
        # The parser's own text quotes the file.
        raise TargetError(f"{path}: not YAML") from None
    known = {"community", "user", "auth", "auth_key", "priv", "priv_key"}
    if not isinstance(entries, dict) or not entries or not set(entries) <= known:
        raise TargetError(f"{path}: not a mapping of {', '.join(sorted(known))}")
    return {name: str(value) for name, value in entries.items()}


def _user(path: Path, entries: Mapping[str, str]) -> User:
    for name, protocols in (("auth", AUTH_PROTOCOLS), ("priv", PRIV_PROTOCOLS)):
        if name == "priv" and name not in entries and "priv_key" not in entries:
            continue
        if entries.get(name) not in protocols:
            raise TargetError(f"{path}: {name} is none of {', '.join(protocols)}")
        if len(entries.get(f"{name}_key", "")) < _SHORTEST_KEY:
            raise TargetError(f"{path}: {name}_key has less than {_SHORTEST_KEY} characters")
    if not entries.get("user"):
        raise TargetError(f"{path}: no user")
    return User(
        entries["user"],
        entries["auth"],
        entries["auth_key"],
        entries.get("priv"),
        entries.get("priv_key"),
    )
