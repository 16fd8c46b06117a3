"""HTTPS to the upstream BMC: one peer that proved who it is, and every answer within its bounds."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import urllib3
from urllib3.connection import HTTPSConnection

from bmc_ext.errors import ConfigurationError, HostUnavailableError
from bmc_ext.upstream_settings import UpstreamConfig

MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
"""What is taken of one answer; a service root that is larger is none."""

_CONNECT_S: Final = 3.0
_KEPT: Final = 16  # connections: as many as requests run at once, and those of our own threads
_CHUNK_BYTES: Final = 65536


class RawAnswer(NamedTuple):
    """Status, headers by their name in lower case, and the whole body."""

    status: int
    headers: dict[str, str]
    data: bytes


class Connection:
    """The way to one upstream BMC; any thread.

    Redirects are not followed, no proxy is asked, nothing is uncompressed. ConfigurationError for
    an authority that cannot be read.
    """

    def __init__(self, config: UpstreamConfig) -> None:
        self.origin = config.url
        self._timeout_s = config.timeout_s
        parts = urlsplit(config.url)
        try:
            port = parts.port or 443
        except ValueError as error:
            raise ConfigurationError(f"upstream/url: {config.url}: {error}") from error
        trust: dict[str, Any] = {"cert_reqs": "CERT_REQUIRED", "ca_certs": str(config.ca)}
        if config.pinned_sha256:
            trust = {"cert_reqs": "CERT_NONE", "assert_fingerprint": config.pinned_sha256}
        else:
            _check_authority(str(config.ca))
        self._pool = urllib3.HTTPSConnectionPool(
            parts.hostname or "", port, maxsize=_KEPT, retries=False, **trust
        )
        self._pool.ConnectionCls = _Connection

    def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        data: bytes | None = None,
        *,
        within_s: float | None = None,
    ) -> RawAnswer:
        """One request and its whole answer; HostUnavailableError says why there is none."""
        deadline_s = time.monotonic() + (within_s or self._timeout_s)
        for again in (method == "GET", False):
            try:
                return self._ask(method, path, headers, data, deadline_s)
            except urllib3.exceptions.ProtocolError as error:
                # A kept connection that the peer closed at this moment says nothing about the peer.
                if not again or time.monotonic() > deadline_s:
                    raise _unavailable(error) from error
            except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                raise _unavailable(error) from error
        raise AssertionError("the last attempt neither answers nor raises")

    def stream(self, path: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        """An answer without an end, of which only the header has been read; to be closed."""
        timeout = urllib3.Timeout(connect=min(_CONNECT_S, self._timeout_s), read=None)
        try:
            return self._pool.urlopen(
                "GET", path, headers=dict(headers), timeout=timeout, redirect=False,
                preload_content=False, decode_content=False,
            )  # fmt: skip
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise _unavailable(error) from error

    def close(self) -> None:
        """Close what is kept open."""
        self._pool.close()

    def _ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        data: bytes | None,
        deadline_s: float,
    ) -> RawAnswer:
        left_s = max(0.1, deadline_s - time.monotonic())
        timeout = urllib3.Timeout(connect=min(_CONNECT_S, left_s), read=left_s)
        response = self._pool.urlopen(
            method, path, body=data, headers=dict(headers), timeout=timeout, redirect=False,
            preload_content=False, decode_content=False,
        )  # fmt: skip
        whole = False
        try:
            content = _body(response, deadline_s)
            whole = True
        finally:
            if whole:
                response.release_conn()
            else:
                response.close()
        found = {name.lower(): value for name, value in response.headers.items()}
        return RawAnswer(response.status, found, content)


class _Connection(HTTPSConnection):
    """A connection whose answer's header arrives in time, or it is cut off.

    The socket's own time-out begins anew with each byte.
    """

    def getresponse(self) -> Any:
        """The header of the answer."""
        limit = self.timeout if isinstance(self.timeout, int | float) else None
        if limit is None or self.sock is None:
            return super().getresponse()
        timer = threading.Timer(limit, _cut, (self.sock,))
        timer.daemon = True
        timer.start()
        try:
            return super().getresponse()
        finally:
            timer.cancel()


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _body(response: urllib3.BaseHTTPResponse, deadline_s: float) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := response.read1(_CHUNK_BYTES):
        size += len(part)
        if size > MAX_ANSWER_BYTES:
            raise HostUnavailableError(f"its answer is larger than {MAX_ANSWER_BYTES} bytes")
        if time.monotonic() > deadline_s:
            raise HostUnavailableError("its answer did not arrive in time")
        parts.append(part)
    return b"".join(parts)


def _check_authority(path: str) -> None:
    try:
        ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"upstream/ca: {path}: no PEM certificates: {error}") from error


def _unavailable(error: Exception) -> HostUnavailableError:
    """What went wrong, in one line."""
    if isinstance(error, urllib3.exceptions.NewConnectionError):  # counts as a time-out there
        error = error.__cause__ if isinstance(error.__cause__, OSError) else error
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return HostUnavailableError("it did not answer in time")
    text = str(error.args[-1] if error.args else error)
    return HostUnavailableError(" ".join(text.split())[:200] or type(error).__name__)
