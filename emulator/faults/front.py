"""Faults between the sockets and the service: nothing behind them knows of one."""

from __future__ import annotations

import asyncio
import fnmatch
import random
import threading
from collections.abc import MutableMapping
from typing import Any

from bmc_ext.serving.bridge import AsgiApp, Receive, Scope, Send
from bmc_ext.serving.refusal import refusal
from emulator.faults.vocabulary import Fault

_ON_WEBSOCKETS = ("drop", "delay")
_ENDS = ("http.disconnect", "websocket.disconnect")
_TEXT = "the service fails"


class FrontFaults:
    """The active faults of a front by id; any thread may change them while requests are served."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._lock = threading.Lock()
        self._rules: dict[str, _Rule] = {}

    def inject(self, fault_id: str, fault: Fault) -> None:
        """Let a fault begin."""
        with self._lock:
            self._rules[fault_id] = _Rule(fault, fault.seed(self._seed))

    def clear(self, fault_id: str) -> None:
        """End a fault. Unknown: KeyError."""
        with self._lock:
            del self._rules[fault_id]

    def left(self, fault_id: str) -> int | None:
        """How many requests a fault still hits, None without a limit. Unknown: KeyError."""
        with self._lock:
            return self._rules[fault_id].left

    def around(self, app: AsgiApp) -> AsgiApp:
        """The application as clients meet it."""
        return _FaultyApp(self, app)

    def hits(self, scope: Scope) -> list[Fault]:
        """The faults that hit a request, oldest first."""
        with self._lock:
            return [rule.fault for rule in self._rules.values() if rule.hits(scope)]


class _Rule:
    """A fault and whom it has hit; its owner's lock is held."""

    def __init__(self, fault: Fault, seed: int) -> None:
        self.fault = fault
        self.left: int | None = fault.parameters.get("count")
        self._probability = fault.parameters.get("probability", 1.0)
        self._path = fault.parameters.get("path", "*")
        self._method = fault.parameters.get("method")
        self._chance = random.Random(seed)

    def hits(self, scope: Scope) -> bool:
        is_socket = scope["type"] == "websocket"
        if is_socket and self.fault.kind not in _ON_WEBSOCKETS:
            return False
        if self._method not in (None, "GET" if is_socket else scope["method"]):
            return False
        if self.left == 0 or not fnmatch.fnmatchcase(scope["path"], self._path):
            return False
        if self._chance.random() >= self._probability:
            return False
        if self.left is not None:
            self.left -= 1
        return True


class _FaultyApp:
    """The application behind the faults."""

    def __init__(self, faults: FrontFaults, app: AsgiApp) -> None:
        self._faults = faults
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection event stream of ASGI 3."""
        if scope["type"] in ("http", "websocket"):
            for fault in self._faults.hits(scope):
                if fault.kind == "delay":
                    await asyncio.sleep(fault.parameters["delay_s"])
                elif fault.kind == "drop":
                    _transport(send).abort()
                    await _end(receive)
                    return
                elif fault.kind == "wrong-status":
                    await _refuse(send, fault.parameters["status"])
                    return
                elif fault.kind == "malformed-json":
                    send = _MalformedJson(send).send
                else:
                    send = _Truncated(receive, send).send
        await self._app(scope, receive, send)


async def _end(receive: Receive) -> None:
    """Until the server knows that the connection is gone; it would answer for us before."""
    while (await receive())["type"] not in _ENDS:
        pass


def _transport(send: Send) -> Any:
    """The connection of a request. ASGI does not know of one: it is uvicorn's that sends."""
    sender: Any = send
    while not hasattr(sender.__self__, "transport"):
        sender = sender.__self__.inner  # another fault's
    return sender.__self__.transport


async def _refuse(send: Send, status: int) -> None:
    status, headers, body = refusal(status, _TEXT)
    length = (b"content-length", str(len(body)).encode())
    headers = [*(pair for pair in headers if pair[0] != b"content-length"), length]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class _MalformedJson:
    """Sends the first half of JSON, and everything else as it is."""

    def __init__(self, inner: Send) -> None:
        self.inner = inner
        self._start: MutableMapping[str, Any] | None = None
        self._body = b""

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """One event of the answer."""
        if message["type"] == "http.response.start":
            kinds = [value for name, value in message["headers"] if name == b"content-type"]
            if kinds and kinds[0].startswith(b"application/json"):
                self._start = message
                return
        elif self._start is not None:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._end(self._start)
            return
        await self.inner(message)

    async def _end(self, start: MutableMapping[str, Any]) -> None:
        """What a proper JSON object begins with is none. An answer to HEAD has nothing to cut."""
        body, headers = self._body[: len(self._body) // 2], start["headers"]
        if body:
            headers = [pair for pair in headers if pair[0] != b"content-length"]
            headers.append((b"content-length", str(len(body)).encode()))
        await self.inner({**start, "headers": headers})
        await self.inner({"type": "http.response.body", "body": body})


class _Truncated:
    """Sends half of the first part of a body and hangs up."""

    def __init__(self, receive: Receive, inner: Send) -> None:
        self.inner = inner
        self._receive = receive

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """One event of the answer."""
        body = message.get("body", b"")
        if not body:
            await self.inner(message)
            return
        half = {**message, "body": body[: len(body) // 2], "more_body": True}
        await self.inner(half)
        _transport(self.inner).close()  # what was sent still arrives
        await _end(self._receive)
