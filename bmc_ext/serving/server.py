"""Run the front: one process, one event loop, TLS on a socket that is bound first."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn

from bmc_ext.errors import ConfigurationError
from bmc_ext.serving.front import Front

_GRACEFUL_S = 2  # without a limit one open stream keeps SIGTERM waiting for ever
_KEEP_ALIVE_S = 75


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; ConfigurationError where the address cannot be used."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another with --port"
        ) from error
    # asyncio sets this only on sockets that name their protocol; without it an answer waits 40 ms
    # for the peer's delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def run(
    front: Front, listener: socket.socket, tls: ssl.SSLContext, on_ready: Callable[[], None]
) -> None:
    """Serve until SIGINT or SIGTERM; `on_ready` is called once requests are answered."""
    config = uvicorn.Config(
        front,
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=65536,
        ws_per_message_deflate=False,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACEFUL_S,
    )
    config.load()
    config.ssl = tls
    server = _Server(config, on_ready)
    with _signals_end_quietly():
        asyncio.run(server.serve(sockets=[listener]))


@contextlib.contextmanager
def _signals_end_quietly() -> Iterator[None]:
    """The signal that ended uvicorn comes again after it: the rest must still stop in order."""
    known = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in known:
        signal.signal(number, _ignore)
    try:
        yield
    finally:
        for number, handler in known.items():
            signal.signal(number, handler)


def _ignore(number: int, frame: FrameType | None) -> None:
    del number, frame


class _Server(uvicorn.Server):
    """The server of uvicorn that says when it is up."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, then call back."""
        await super().startup(sockets)
        if not self.should_exit:
            self._on_ready()
