"""A running emulator or service as a child process, and a plain HTTPS client for it."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

COMMAND = Path(sys.executable).parent / "dcpi-bmc"
USER, PASSWORD = "root", "dcpi-lab"


class Answer(NamedTuple):
    """Status, headers (lower case) and JSON body or raw text."""

    status: int
    headers: dict[str, str]
    body: Any


class Running:
    """One child process that serves; started on a free port."""

    def __init__(self, *arguments: object) -> None:
        words = [str(COMMAND), *map(str, arguments)]
        if "--state-dir" in words:
            self.state_dir = Path(words[words.index("--state-dir") + 1])
        self.process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.output = ""
        self.port = self._wait_for_port()
        self._reader = threading.Thread(target=self._read_on, daemon=True)
        self._reader.start()
        self.password = PASSWORD
        self.user = USER

    def _wait_for_port(self) -> int:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            found = re.search(r"https://\S+?:(\d+)", line)
            if found:
                return int(found[1])
        self.process.stdout.close()
        status = self.process.wait(10)
        raise AssertionError(f"it ended with {status} without serving:\n{self.output}")

    def more_ports(self, count: int) -> list[int]:
        """Those of the next `count` BMCs in its table, whose first line told the first."""

        def found() -> list[int]:
            ports = [int(port) for port in re.findall(r"https://\S+?:(\d+)", self.output)]
            return ports[1 : count + 1] if len(ports) > count else []

        ports: list[int] = wait_for(found, 120, f"{count} more BMCs")
        return ports

    def _read_on(self) -> None:
        """Whoever does not read its output stops it once the pipe is full."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line

    def _close(self) -> None:
        self._reader.join(20)  # until its own children have closed it, too
        assert self.process.stdout is not None
        assert not self._reader.is_alive()
        self.process.stdout.close()

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: dict[str, str] | None = None,
        auth: bool = True,
        raw: bytes | None = None,
    ) -> Answer:
        """One request on a new connection."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=10, context=unverified()
        )
        sent = dict(headers or {})
        if auth and "X-Auth-Token" not in sent:
            token = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
            sent.setdefault("Authorization", f"Basic {token}")
        data = raw if raw is not None else json.dumps(body).encode() if body is not None else None
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        with contextlib.closing(connection):
            connection.request(method, path, data, sent)
            response = connection.getresponse()
            text = response.read()
            found = {name.lower(): value for name, value in response.getheaders()}
        is_json = "application/json" in found.get("content-type", "")
        return Answer(response.status, found, json.loads(text) if is_json and text else text)

    def get(self, path: str) -> Any:
        """The body of a GET that succeeds, as soon as a window is complete."""
        give_up_s = time.monotonic() + 15
        while (answer := self.ask("GET", path)).status == 503 and time.monotonic() < give_up_s:
            if "first measurement window" not in str(answer.body):
                break
            time.sleep(0.02)
        assert answer.status == 200, answer
        return answer.body

    def kill(self) -> None:
        """End it without warning."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
        self._close()

    def stop(self) -> int:
        """End it politely; its exit status."""
        self.process.terminate()
        status = self.process.wait(15)
        self._close()
        return status


def unverified() -> ssl.SSLContext:
    """A client's context that takes any certificate, the lab's own among them.

    The machine's authorities are not read: that takes longer than the rest of a request.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@contextlib.contextmanager
def emulator(state_dir: Path, *arguments: object) -> Iterator[Running]:
    """A mock BMC on a free port."""
    with running("emulate", "--port", 0, "--state-dir", state_dir, *arguments) as it:
        yield it


@contextlib.contextmanager
def running(*arguments: object) -> Iterator[Running]:
    """A serving child process that is gone afterwards."""
    it = Running(*arguments)
    try:
        yield it
    finally:
        if it.process.poll() is None:
            it.stop()


def wait_for(condition: Callable[[], Any], within_s: float, what: str) -> Any:
    """The first true value of `condition`; AssertionError after `within_s`."""
    deadline = time.monotonic() + within_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s: {what}")
        time.sleep(0.05)


def environment(**extra: str) -> dict[str, str]:
    """The environment of the tests with additions."""
    return {**os.environ, **extra}
