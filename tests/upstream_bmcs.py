"""BMCs to stand behind the sidecar: stock sushy-tools over TLS, and a server of DMTF's mockups."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import http.server
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.emulator_client import unverified
from served_front import Answer, wait_for

from bmc_ext.security.lab_pki import ensure_lab_certificate
from bmc_ext.settings import Config, EventsConfig, FacilityConfig, FeedConfig
from bmc_ext.upstream_settings import UpstreamAccount, UpstreamConfig

ACCOUNT = UpstreamAccount("sidecar", "of-the-bmc")


@dataclass
class Seen:
    """One request as a BMC got it; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


def certificate(folder: Path) -> tuple[Path, Path, Path]:
    """Certificate, key and authority of a BMC on 127.0.0.1."""
    pair = ensure_lab_certificate(folder)
    return *pair, folder / "lab-ca.pem"


def digest(certificate_file: Path) -> str:
    """SHA-256 of a certificate."""
    der = ssl.PEM_cert_to_DER_cert(certificate_file.read_text(encoding="ascii"))
    return hashlib.sha256(der).hexdigest()


def sidecar_config(directory: Path, url: str, **upstream: Any) -> Config:
    """A sidecar in front of the BMC at `url`, with one feed whose meter is not there."""
    upstream.setdefault("account", ACCOUNT)
    upstream.setdefault("refresh_s", 1.0)
    upstream.setdefault("timeout_s", 2.0)
    return Config(
        facility=FacilityConfig("test-site", "Site", 1e6, 1e6),
        state_dir=directory,
        feeds=(FeedConfig("feed-1", "Feed", 1e6),),
        events=EventsConfig(allow_loopback=True),
        upstream=UpstreamConfig(url, **upstream),
    )


def ask_directly(port: int, method: str, path: str, body: object = None, **headers: str) -> Answer:
    """One request to a BMC past the sidecar."""
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=unverified())
    with contextlib.closing(connection):
        data = None if body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **headers} if data else headers
        connection.request(method, path, data, sent)
        response = connection.getresponse()
        text = response.read()
        found = {name.lower(): value for name, value in response.getheaders()}
    is_json = "json" in found.get("content-type", "") and text
    return Answer(response.status, found, json.loads(text) if is_json else text)


@contextlib.contextmanager
def sushy(folder: Path) -> Iterator[tuple[int, Path]]:
    """Port and authority of a stock sushy-emulator over TLS, in a process of its own."""
    pair = certificate(folder / "tls")
    settings = folder / "sushy.conf"
    settings.write_text(
        f'SUSHY_EMULATOR_FAKE_DRIVER = True\nSUSHY_EMULATOR_STATE_DIR = "{folder}"\n',
        encoding="utf-8",
    )
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    command = [
        str(Path(sys.executable).parent / "sushy-emulator"), "--fake", "-i", "127.0.0.1",
        "-p", str(port), "--config", str(settings),
        "--ssl-certificate", str(pair[0]), "--ssl-key", str(pair[1]),
    ]  # fmt: skip
    with (folder / "sushy.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(lambda: _answers(port), 60, "sushy-emulator answers")
        yield port, pair[2]
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError):
        return ask_directly(port, "GET", "/redfish/v1/").status == 200
    return False
