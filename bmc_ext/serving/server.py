"""Run the front: one process, one event loop, TLS on a socket that is bound first."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import resource
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NamedTuple

import uvicorn

from bmc_ext.errors import ConfigurationError
from bmc_ext.serving.bridge import AsgiApp
from bmc_ext.serving.protocol import BoundedHttpProtocol, Limits

_BACKLOG = 512
_GRACEFUL_S = 2  # without a limit one open stream keeps SIGTERM waiting for ever
_KEEP_ALIVE_S = 75
_OWN_DESCRIPTORS = 1024  # buses and connections that are still shaking hands
_SERVICE_DESCRIPTORS = 64  # databases, event loop and a few clients of one service


class Aside(NamedTuple):
    """What a second listener leads to."""

    application: AsgiApp
    listener: socket.socket


def bind(host: str, port: int, advice: str = "choose another with --port") -> socket.socket:
    """A listening socket; ConfigurationError where the address cannot be used."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host}:{port}: {error.strerror}; {advice}"
        ) from error
    # asyncio sets this only on sockets that name their protocol; without it an answer waits 40 ms
    # for the peer's delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def run(
    front: AsgiApp,
    listener: socket.socket,
    tls: ssl.SSLContext,
    on_ready: Callable[[], None],
    serve_until: Callable[[Callable[[bool], None]], None],
    on_ending: Callable[[], None],
    aside: Aside | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; `on_ready` is called once requests are answered.

    `serve_until` is handed what ends serving as well: gracefully, or at once where told true;
    `on_ending` ends the streams, then.
    In any but the main thread it alone does.
    """
    limits = Limits()
    allow_descriptors()
    server = server_of(front, tls, on_ready, limits, on_ending, aside)

    def end(at_once: bool) -> None:
        server.force_exit = at_once
        server.should_exit = True

    serve_until(end)
    with _signals_end_quietly():
        asyncio.run(server.serve(sockets=[listener]))


def server_of(
    front: AsgiApp,
    tls: ssl.SSLContext,
    on_ready: Callable[[], None],
    limits: Limits,
    on_ending: Callable[[], None],
    aside: Aside | None = None,
) -> uvicorn.Server:
    """A server whose `serve(sockets=…)` ends once its `should_exit` is true.

    `on_ending` ends the streams that would not end by themselves.
    """
    return _Server(front, tls, on_ready, limits, on_ending, aside)


def _config(application: AsgiApp) -> uvicorn.Config:
    config = uvicorn.Config(
        application,
        ws="websockets-sansio",
        ws_max_size=65536,
        ws_per_message_deflate=False,
        lifespan="on",
        log_config=None,
        log_level="critical",  # it warns of each bad request; the front logs its own failures
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACEFUL_S,
    )
    config.load()
    return config


@contextlib.contextmanager
def _signals_end_quietly() -> Iterator[None]:
    """The signal that ended uvicorn comes again after it: the rest must still stop in order.

    Signals reach the main thread only; in another there is nothing to be quiet about.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
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


def allow_descriptors(services: int = 1) -> None:
    """Raise the soft limit of open files to what so many services need, if the system lets us."""
    wanted = Limits().connections + _OWN_DESCRIPTORS + services * _SERVICE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


class _Server(uvicorn.Server):
    """uvicorn's server on bounded connections; says when it is up."""

    def __init__(
        self,
        front: AsgiApp,
        tls: ssl.SSLContext,
        on_ready: Callable[[], None],
        limits: Limits,
        on_ending: Callable[[], None],
        aside: Aside | None,
    ) -> None:
        super().__init__(_config(front))
        self._on_ending = on_ending
        self._aside = aside
        self._tls = tls
        self._on_ready = on_ready
        self._limits = limits

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, then call back."""
        await super().startup([])  # uvicorn's own listening knows no handshake time-out
        if self.should_exit:
            return
        for listener in sockets or []:
            await self._listen(self.config, listener)
        if self._aside is not None:
            await self._listen(_config(self._aside.application), self._aside.listener)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, which never end by themselves, then wait for what is under way."""
        self._on_ending()
        await super().shutdown(sockets)
        for left in list(self.server_state.connections):
            left.transport.abort()  # its client does not answer the end of TLS
        await asyncio.sleep(0)

    async def _listen(self, config: uvicorn.Config, listener: socket.socket) -> None:
        server = await asyncio.get_running_loop().create_server(
            functools.partial(
                BoundedHttpProtocol, config, self.server_state, self.lifespan.state, self._limits
            ),
            sock=listener,
            backlog=_BACKLOG,
            ssl=self._tls,
            ssl_handshake_timeout=self._limits.handshake_s,
        )
        self.servers.append(server)
