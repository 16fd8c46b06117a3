"""The section `upstream` of the configuration: what it means, and errors that name the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from bmc_ext.config import load_config
from bmc_ext.errors import ConfigurationError
from bmc_ext.security.identity import ROLES
from bmc_ext.upstream.connection import Connection
from bmc_ext.upstream_settings import UpstreamAccount, UpstreamConfig
from schemas import validator

PIN = ":".join(["AB"] * 32)


def load(folder: Path, section: str) -> UpstreamConfig:
    """The section as the configuration reads it."""
    (folder / "bmc.password").write_text("secret-1\nnot this\n", encoding="utf-8")
    (folder / "empty").write_text("\n", encoding="utf-8")
    (folder / "ca.pem").write_text("no certificate", encoding="utf-8")
    file = folder / "service.yaml"
    file.write_text(
        f"facility: {{id: x, rated_power_w: 1}}\nstate_dir: s\nupstream: {{{section}}}\n",
        encoding="utf-8",
    )
    found = load_config(file).upstream
    assert found is not None
    return found


def test_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords come from a file beside the configuration or from the environment."""
    monkeypatch.setenv("BMC_OPERATOR", "secret-2")
    found = load(
        tmp_path,
        f"url: 'https://bmc:8443/', pinned_sha256: '{PIN}', timeout_s: 5, "
        "account: {username: dcpi, password_file: bmc.password}, roles: {Administrator: service, "
        "Operator: {username: op, password_env: BMC_OPERATOR}, ReadOnly: pass-through}",
    )
    service = UpstreamAccount("dcpi", "secret-1")
    assert found == UpstreamConfig(
        "https://bmc:8443",
        service,
        {
            "Administrator": service,
            "Operator": UpstreamAccount("op", "secret-2"),
            "ReadOnly": None,
        },
        pinned_sha256="ab" * 32,
        timeout_s=5,
    )
    assert "secret" not in repr(found)


ACCOUNT = "account: {username: dcpi, password_file: bmc.password}"


@pytest.mark.parametrize(
    ("section", "named"),
    [
        (f"url: 'http://bmc', ca: ca.pem, {ACCOUNT}", "upstream/url: 'http://bmc' does not match"),
        (f"url: 'https://u:p@bmc', ca: ca.pem, {ACCOUNT}", "upstream/url"),
        (f"url: 'https://bmc/redfish/v1', ca: ca.pem, {ACCOUNT}", "upstream/url"),
        (f"url: 'https://bmc', {ACCOUNT}", "upstream: one of ca and pinned_sha256 is needed"),
        (f"url: 'https://bmc', ca: ca.pem, pinned_sha256: '{PIN}', {ACCOUNT}", "and only one"),
        (f"url: 'https://bmc', ca: nowhere.pem, {ACCOUNT}", "nowhere.pem: no such file"),
        (f"url: 'https://bmc', pinned_sha256: 'ab', {ACCOUNT}", "upstream/pinned_sha256"),
        ("url: 'https://bmc', ca: ca.pem", "'account' is a required property"),
        (
            "url: 'https://bmc', ca: ca.pem, account: {username: a, password: b}",
            "upstream/account",
        ),
        (
            "url: 'https://bmc', ca: ca.pem, account: {username: a, password_file: none}",
            "upstream/account/password_file",
        ),
        (
            "url: 'https://bmc', ca: ca.pem, account: {username: a, password_file: empty}",
            "its first line is empty",
        ),
        (
            "url: 'https://bmc', ca: ca.pem, account: {username: a, password_env: NOT_SET_HERE}",
            "upstream/account/password_env: NOT_SET_HERE is not set",
        ),
        (f"url: 'https://bmc', ca: ca.pem, {ACCOUNT}, roles: {{Admin: service}}", "Admin"),
        (
            f"url: 'https://bmc', ca: ca.pem, {ACCOUNT}, roles: {{Operator: passthrough}}",
            "upstream/roles/Operator: 'passthrough' is not one of",
        ),
    ],
)
def test_what_cannot_work_is_named(tmp_path: Path, section: str, named: str) -> None:
    """The place and the reason, and never a password."""
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, section)
    assert named in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("section", "named"),
    [
        (f"url: 'https://bmc', ca: ca.pem, {ACCOUNT}", "ca.pem: no PEM certificates"),
        (f"url: 'https://bmc:99999', pinned_sha256: '{PIN}', {ACCOUNT}", "99999"),
    ],
)
def test_what_is_seen_at_the_start_is_named_too(tmp_path: Path, section: str, named: str) -> None:
    """An authority that is none and a port that is none end the start, not the first request."""
    with pytest.raises(ConfigurationError, match=named):
        Connection(load(tmp_path, section))


def test_the_schema_knows_our_roles() -> None:
    """A role that can be configured is one that exists, and the other way round."""
    section = validator("config/config").schema["properties"]["upstream"]
    assert set(section["properties"]["roles"]["propertyNames"]["enum"]) == set(ROLES)
