"""The HTTPS connection to a listener: where it may lead, and one POST on it.

The service sends to where a client tells it, from inside the management network. So: no redirect is
followed, no proxy asked, nothing of the answer shown to anybody, and addresses of this machine
itself or of its link are refused unless the configuration allows them. The name is resolved once
for each connection and the address that was checked is the one that is connected to.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

from bmc_ext.errors import ConfigurationError
from bmc_ext.settings import EventsConfig

_CONNECT_S = 5.0
_ANSWER_S = 10.0
_ANSWER_BYTES = 65_536  # of an answer that nobody reads
_PORTS = {"https": 443, "http": 80}


def check_authorities(config: EventsConfig) -> None:
    """ConfigurationError where listeners' certificates could not be verified."""
    if config.ca_file is None:
        return
    try:
        ssl.create_default_context(cafile=config.ca_file)
    except OSError as error:
        text = f"events/ca_file: {config.ca_file}: no PEM certificates: {error}"
        raise ConfigurationError(text) from error


def check_destination(destination: str, config: EventsConfig) -> None:
    """ValueError where the service may not send to that URI, as far as can be told unresolved."""
    if not destination.isascii() or not destination.isprintable() or " " in destination:
        raise ValueError("it is not a URI")
    parts = urlsplit(destination)
    if parts.scheme not in _PORTS:
        raise ValueError(f"the scheme {parts.scheme!r} is not https")
    if parts.scheme == "http" and not config.allow_http:
        raise ValueError("http is not allowed by the configuration (events/allow_http); use https")
    if not parts.hostname:
        raise ValueError("it names no host")
    if parts.username is not None or parts.fragment:
        raise ValueError("it holds credentials or a fragment; use HttpHeaders for credentials")
    _ = parts.port  # ValueError of its own beyond 65535
    try:
        address = ipaddress.ip_address(parts.hostname)
    except ValueError:
        return  # a name: what it resolves to is checked with every connection
    if not is_allowed(address, config):
        raise ValueError(f"the address {address} is this machine's own, or nobody's")


def is_allowed(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, config: EventsConfig
) -> bool:
    """Whether events may go there: private networks are where listeners live."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_loopback:
        return config.allow_loopback
    return not (address.is_link_local or address.is_multicast or address.is_unspecified)


class Listener:
    """One destination; a connection is kept open between events where the listener keeps it."""

    def __init__(self, destination: str, *, verify_certificate: bool, config: EventsConfig) -> None:
        self._parts = urlsplit(destination)
        self._verify = self._verified = verify_certificate
        self._config = config
        self._connection: http.client.HTTPConnection | None = None
        self._aborted = False

    def post(self, body: bytes, headers: Mapping[str, str]) -> int:
        """The status that the listener answers; OSError or HTTPException where it does not.

        A kept connection that turns out to be closed is opened anew: the event may come twice.
        """
        kept = self._connection is not None
        try:
            return self._post(body, headers)
        except (http.client.HTTPException, ConnectionError):
            self.close()
            if not kept:
                raise
            return self._post(body, headers)

    def verify(self, certificate: bool) -> None:
        """Whether to check the listener's certificate from the next POST on; any thread."""
        self._verify = certificate

    def close(self) -> None:
        """Hang up; the next POST connects anew. Only for the thread that posts."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def abort(self) -> None:
        """Let a POST that waits end with OSError and no other begin; from any thread, at once."""
        self._aborted = True
        connection = self._connection
        if connection is not None and connection.sock is not None:
            # Not SSLSocket's own shutdown: it takes the TLS state from under a thread that reads.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)

    def _post(self, body: bytes, headers: Mapping[str, str]) -> int:
        verify = self._verify
        if self._connection is not None and verify != self._verified:
            self.close()
        if self._connection is None:
            self._verified = verify
            self._connection = self._connect()
        connection = self._connection
        if self._aborted:
            raise ConnectionAbortedError("the subscription has ended")
        target = self._parts.path or "/"
        if self._parts.query:
            target = f"{target}?{self._parts.query}"
        try:
            connection.request(
                "POST",
                target,
                body,
                {**headers, "Content-Type": "application/json", "OData-Version": "4.0"},
            )
            with connection.getresponse() as response:
                rest = response.read(_ANSWER_BYTES + 1)
        except BaseException:
            self.close()
            raise
        if len(rest) > _ANSWER_BYTES or response.will_close:
            self.close()
        return response.status

    def _connect(self) -> http.client.HTTPConnection:
        host = self._parts.hostname or ""
        port = self._parts.port or _PORTS[self._parts.scheme]
        raw = self._open(host, port)
        try:
            if self._parts.scheme == "http":
                connection = http.client.HTTPConnection(host, port, timeout=_ANSWER_S)
                connection.sock = raw
            else:
                connection = http.client.HTTPSConnection(host, port, timeout=_ANSWER_S)
                connection.sock = self._tls().wrap_socket(raw, server_hostname=host)
            connection.sock.settimeout(_ANSWER_S)
            connection.auto_open = 0  # http.client would connect again, to an unchecked address
        except BaseException:
            raw.close()
            raise
        return connection

    def _open(self, host: str, port: int) -> socket.socket:
        """A socket to the first address of the name that may be connected to and answers."""
        failure: OSError = ConnectionRefusedError(f"{host} has no address that events may go to")
        for *_, where in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            if not is_allowed(ipaddress.ip_address(str(where[0]).partition("%")[0]), self._config):
                continue
            try:
                found = socket.create_connection((str(where[0]), port), timeout=_CONNECT_S)
                # Head and body go in two writes: the second must not wait for the first's answer.
                found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return found
            except OSError as error:
                failure = error
        raise failure

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._config.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if not self._verified:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context
