"""A service without sensors behind the real front on a real socket, and a raw client for it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from e2e.emulator_client import Answer, Patience, is_too_early, unverified

from bmc_ext.host_name import HostName
from bmc_ext.redfish.context import Request
from bmc_ext.redfish.firmware import Firmware
from bmc_ext.redfish.host import HostResponse
from bmc_ext.service import Service
from bmc_ext.serving.lanes import Lane
from bmc_ext.serving.protocol import Limits
from bmc_ext.serving.server import bind, server_of
from bmc_ext.settings import Config, EventsConfig, FacilityConfig, FeedConfig

USER, PASSWORD = "root", "of-this-test"
FACILITY_NAME = "/redfish/v1/dcpi"  # text that looks like a link is no link
SYSTEM = "/redfish/v1/Systems/one"


class OneSystem:
    """A host BMC with one system whose only property can be written; counts the writes."""

    def __init__(self) -> None:
        self.color = "Off"
        self.number: int | None = None  # its version, if it has one
        self.writes = 0
        self.types: tuple[str, ...] = ("ComputerSystem.v1_0_0.ComputerSystem",)

    runs_here = True
    may_wait = False

    root: Mapping[str, Any] = {"Systems": {"@odata.id": "/redfish/v1/Systems"}}
    schemas: Mapping[str, tuple[str, ...]] = {}

    def power_states(self) -> Mapping[str, str]:
        """None is known."""
        return {}

    def claims(self, path: str) -> bool:  # noqa: ARG002
        """Nothing of ours."""
        return False

    def takes_query(self, query: Mapping[str, str]) -> bool:  # noqa: ARG002
        """None."""
        return False

    def members(self, collection: str) -> tuple[str, ...]:
        """One system and nothing else."""
        return ("one",) if collection == "Systems" else ()

    def methods(self, path: str) -> tuple[str, ...]:
        """What the system takes."""
        return ("GET", "PATCH") if path == SYSTEM else ()

    def handle(
        self,
        method: str,
        path: str,
        query: str,  # noqa: ARG002
        body: object | None,
        request: Request | None = None,  # noqa: ARG002
    ) -> HostResponse:
        """Read or write it."""
        if method == "GET":
            kind = f"#{self.types[0]}"
            body = {"@odata.id": path, "@odata.type": kind, "Id": "one", "Lamp": self.color}
            return HostResponse(200, body, {})
        self.writes += 1
        if isinstance(body, dict):
            self.color = str(body.get("Lamp"))
        return HostResponse(204, None, {})

    def version(self, path: str) -> int | None:  # noqa: ARG002
        """What the test says."""
        return self.number

    def warm_up(self) -> None:
        """Nothing is slow here."""


class Served:
    """One front that serves; `ask` speaks HTTP, `raw` bytes."""

    def __init__(self, service: Service, host: OneSystem, port: int) -> None:
        self.service = service
        self.host = host
        self.port = port

    def open(self) -> ssl.SSLSocket:
        """A new connection, after its handshake."""
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        return unverified().wrap_socket(plain)

    def raw(self, data: bytes, within_s: float = 2.0) -> bytes:
        """What comes back for these bytes until the server closes, or nothing more comes."""
        with self.open() as connection:
            # Refused before it was all sent, the refusal may be there all the same.
            with contextlib.suppress(OSError):
                connection.sendall(data)
            return received(connection, within_s)

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        user: str | None = USER,
        password: str = PASSWORD,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """The answer on a new connection; without credentials where `user` is None.

        Told that no window is complete yet, it asks again, as a client does.
        """
        sent = dict(headers or {})
        if user is not None:
            sent["Authorization"] = basic(user, password)
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        give_up_s = time.monotonic() + 15
        while is_too_early(answer := self._once(method, path, data, sent)):
            assert time.monotonic() < give_up_s, answer
            time.sleep(0.02)
        return answer

    def _once(self, method: str, path: str, data: bytes | None, sent: dict[str, str]) -> Answer:
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=10, context=unverified()
        )
        with contextlib.closing(connection):
            connection.request(method, path, data, sent)
            response = connection.getresponse()
            text = response.read()
            found = {name.lower(): value for name, value in response.getheaders()}
        is_json = "json" in found.get("content-type", "") and text
        return Answer(response.status, found, json.loads(text) if is_json else text)

    def audit(self, event: str) -> list[dict[str, Any]]:
        """The fields of the audit entries of that event."""
        lines = self.service.audit.path.read_bytes().splitlines()
        entries = [json.loads(line) for line in lines]
        return [entry["fields"] for entry in entries if entry["event"] == event]


def basic(user: str, password: str) -> str:
    """The value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def received(connection: ssl.SSLSocket, within_s: float) -> bytes:
    """All bytes until the peer closes or the time is up."""
    deadline = time.monotonic() + within_s
    data = b""
    try:
        while (left_s := deadline - time.monotonic()) > 0:
            connection.settimeout(left_s)
            part = connection.recv(65536)
            if not part:
                break
            data += part
    except OSError:
        pass
    return data


def closed_within(connection: socket.socket, within_s: float) -> bool:
    """Whether the server ends the connection in that time; what it still sends is read."""
    deadline = time.monotonic() + within_s
    while (left_s := deadline - time.monotonic()) > 0:
        connection.settimeout(left_s)
        try:
            if not connection.recv(65536):
                return True
        except TimeoutError:
            return False
        except OSError:
            return True
    return False


def wait_for(condition: Callable[[], Any], within_s: float, what: str) -> Any:
    """The first true value of `condition`; AssertionError after `within_s`, see Patience."""
    patience = Patience(within_s)
    while not (value := condition()):
        assert not patience.is_over(), f"not within {within_s} s: {what}"
        time.sleep(0.01)
    return value


@contextlib.contextmanager
def served(
    directory: Path,
    limits: Limits | None = None,
    *,
    waiting_logins: int = 64,
    firmware: Firmware | None = None,
    host_name: HostName | None = None,
    config: Config | None = None,
) -> Iterator[Served]:
    """A front that serves until the block ends; its one feed has a meter that is not there.

    With an upstream BMC in the configuration that one is the host.
    """
    config = config or Config(
        facility=FacilityConfig("test-site", FACILITY_NAME, 1e6, 1e6),
        state_dir=directory,
        feeds=(FeedConfig("feed-1", "Feed", 1e6),),
        events=EventsConfig(allow_loopback=True),
    )
    host = OneSystem()
    given = host if config.upstream is None else None
    service = Service(config, host=given, firmware=firmware, host_name=host_name)
    service.accounts.ensure(USER, PASSWORD, "Administrator")
    tls = service.tls()
    listener = bind("127.0.0.1", 0)
    service.lifecycle.port = listener.getsockname()[1]
    service.start()
    ready = threading.Event()
    with (
        Lane("request", threads=4, waiting=64) as requests,
        Lane("password", threads=2, waiting=waiting_logins) as passwords,
        Lane("upstream", threads=4, waiting=64) as hosts,
    ):
        server = server_of(
            service.front(requests, passwords, hosts),
            tls,
            ready.set,
            limits or Limits(),
            service.eventing.end_streams,
        )
        thread = threading.Thread(target=asyncio.run, args=(server.serve(sockets=[listener]),))
        thread.start()
        try:
            assert ready.wait(10)
            yield Served(service, host, listener.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join()
    service.stop()
