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


def is_too_early(answer: Answer) -> bool:
    """Whether the service says that it has not measured yet, which is over in a moment."""
    return answer.status == 503 and "first measurement window" in str(answer.body)


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
        self._reader.join(60)  # until its own children have closed it, too
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
        """The answer on a new connection; where no window is complete yet, as soon as one is."""
        sent = dict(headers or {})
        if auth and "X-Auth-Token" not in sent:
            token = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
            sent.setdefault("Authorization", f"Basic {token}")
        data = raw if raw is not None else json.dumps(body).encode() if body is not None else None
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        give_up_s = time.monotonic() + 15
        while is_too_early(answer := self._once(method, path, data, sent)):
            assert time.monotonic() < give_up_s, answer
            time.sleep(0.02)
        return answer

    def _once(self, method: str, path: str, data: bytes | None, sent: dict[str, str]) -> Answer:
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=30, context=unverified()
        )
        with contextlib.closing(connection):
            connection.request(method, path, data, sent)
            response = connection.getresponse()
            text = response.read()
            found = {name.lower(): value for name, value in response.getheaders()}
        is_json = "application/json" in found.get("content-type", "")
        return Answer(response.status, found, json.loads(text) if is_json and text else text)

    def get(self, path: str) -> Any:
        """The body of a GET that succeeds."""
        answer = self.ask("GET", path)
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
        status = self.process.wait(60)
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


class Patience:
    """A deadline for who looks again and again, of whose looks each counts LOOK_S at most.

    The rest is what a busy machine keeps waiting; after five times as long it is over all the same.
    """

    LOOK_S = 0.15

    def __init__(self, within_s: float) -> None:
        self._seen_s = time.monotonic()
        self._left_s = within_s
        self._end_s = self._seen_s + 5 * within_s

    def is_over(self) -> bool:
        """Asked once a look."""
        before_s, self._seen_s = self._seen_s, time.monotonic()
        self._left_s -= min(self._seen_s - before_s, self.LOOK_S)
        return self._left_s < 0 or self._seen_s > self._end_s


def wait_for(condition: Callable[[], Any], within_s: float, what: str) -> Any:
    """The first true value of `condition`; AssertionError after `within_s`, see Patience."""
    patience = Patience(within_s)
    while not (value := condition()):
        assert not patience.is_over(), f"not within {within_s} s: {what}"
        time.sleep(0.05)
    return value


def environment(**extra: str) -> dict[str, str]:
    """The environment of the tests with additions."""
    return {**os.environ, **extra}
