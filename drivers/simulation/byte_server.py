"""Serves a conversation in bytes: over TCP, each client its own, or on a pty."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import Protocol

_TICK_S = 0.02


class Conversation(Protocol):
    """One side of a connection."""

    def hear(self, data: bytes) -> bytes:
        """What is said to what came; the parts of a question may come one by one."""

    def speak(self) -> bytes:
        """What is said unasked, now; asked some fifty times a second."""


class ByteTcpServer:
    """A TCP server; `stop` closes the clients too, `start` binds the same port again.

    Without a limit of clients, as gateways are that allow several.
    """

    def __init__(
        self, begin: Callable[[], Conversation], host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.port = port
        self._host = host
        self._begin = begin
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None

    def start(self) -> None:
        """Bind and serve from threads."""
        self._stopping.clear()
        self._listener = socket.create_server((self._host, self.port))
        self.port = self._listener.getsockname()[1]
        self._run(lambda: self._accept(self._listener))

    def stop(self) -> None:
        """Stop listening and drop every client."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _run(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name="byte-server", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket | None) -> None:
        assert listener is not None
        listener.settimeout(_TICK_S)
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                client, _ = listener.accept()
                self._run(lambda client=client: self._serve(client))  # type: ignore[misc]

    def _serve(self, client: socket.socket) -> None:
        with client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _converse(client.fileno(), self._begin(), self._stopping)


class PtyServer:
    """The same on the master end of a pty, which stays the caller's."""

    def __init__(self, conversation: Conversation, master_fd: int) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=_converse,
            args=(master_fd, conversation, self._stopping),
            name="pty-server",
            daemon=True,
        )

    def start(self) -> None:
        """Serve from a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering."""
        self._stopping.set()
        self._thread.join()


def _converse(descriptor: int, conversation: Conversation, stopping: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while not stopping.is_set():
            ready, _, _ = select.select([descriptor], [], [], _TICK_S)
            said = b""
            if ready:
                data = os.read(descriptor, 4096)
                if not data:
                    return
                said = conversation.hear(data)
            said += conversation.speak()
            while said:
                said = said[os.write(descriptor, said) :]


class Pace:
    """Says when the next unasked message is due."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._due = time.monotonic()

    def is_due(self) -> bool:
        """Whether one is due; then the next is due `every_s` later."""
        now = time.monotonic()
        if now < self._due:
            return False
        self._due = now + self._every_s
        return True
