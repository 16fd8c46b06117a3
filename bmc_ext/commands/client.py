"""The HTTPS client of the commands that talk to a running service, and their common options."""

from __future__ import annotations

import base64
import functools
import http.client
import json
import math
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

import click

__all__ = [
    "Answer",
    "Client",
    "FiniteRange",
    "RefusedError",
    "Response",
    "Target",
    "UnreachableError",
    "plain_refusal",
    "target_options",
    "url_option",
    "why_unreachable",
]

DEFAULT_URL = "https://127.0.0.1:8443"
TIMEOUT_S = 10.0

LARGEST_ANSWER = 32 << 20
"""Bytes that one answer may have."""

ANSWER_S = 60.0
"""How long one answer may take to arrive; one without an end is none."""

_TLS = {
    "WRONG_VERSION_NUMBER": "what is there speaks no TLS",
    "TLSV1_ALERT_PROTOCOL_VERSION": "its TLS is too old",
    "UNSUPPORTED_PROTOCOL": "its TLS is too old",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it wants a certificate of the client",
}
"""OpenSSL's reasons in plain words."""

_R = TypeVar("_R")


class UnreachableError(click.ClickException):
    """The service did not answer, or its certificate is not trusted."""


class RefusedError(click.ClickException):
    """The service answered with an error; `status` is its HTTP status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


class FiniteRange(click.FloatRange):
    """A number within bounds, and no NaN, which is within any."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number; click.BadParameter."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number", param, ctx)
        return number


@dataclass(frozen=True, slots=True)
class Target:
    """A service and who asks it; `ca` is the PEM file of the authority that it is trusted by.

    The scheme of `url` is https or wss. Our own services speak TLS 1.3; for others `oldest_tls`
    may be lower.
    """

    url: str
    user: str
    password: str
    ca: Path | None = None
    insecure: bool = False
    oldest_tls: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3

    @property
    def parts(self) -> SplitResult:
        """The URL in parts; click.UsageError where it is none that can be asked over TLS."""
        try:
            parts = urlsplit(self.url)
        except ValueError as error:
            raise click.UsageError(f"{self.url!r} is no URL: {error}") from None
        if parts.scheme not in ("https", "wss") or not parts.hostname:
            raise click.UsageError(f"{self.url!r} is no https URL")
        if parts.username is not None:  # its password is not repeated
            raise click.UsageError("the URL names a user: give --user and --password instead")
        try:
            parts.port  # noqa: B018 - reading it checks it
        except ValueError:
            raise click.UsageError(f"{self.url!r} has no valid port") from None
        if not _is_host(parts.hostname):
            raise click.UsageError(f"{self.url!r} has no valid host")
        return parts

    @property
    def authorization(self) -> str:
        """The value of the Authorization header."""
        pair = f"{self.user}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"

    def tls(self) -> ssl.SSLContext:
        """What the service must prove; click.UsageError where the authority cannot be read."""
        try:
            context = ssl.create_default_context(cafile=None if self.ca is None else str(self.ca))
        except OSError as error:
            raise click.UsageError(f"--ca {self.ca}: {error.strerror or error}") from None
        context.minimum_version = self.oldest_tls
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def unreachable(self, error: Exception) -> UnreachableError:
        """One clear line for a connection that failed."""
        return UnreachableError(f"{self.url} {why_unreachable(error)}")


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer: its headers, names in lower case, and its JSON object."""

    headers: Mapping[str, str]
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Response:
    """Any answer as it came; names of headers in lower case."""

    status: int
    reason: str
    headers: Mapping[str, str]
    content: bytes

    def answer(self) -> Answer:
        """It as a success with a JSON object; RefusedError where it is none."""
        document = _object(self.content)
        if self.status >= 300 or document is None:
            raise RefusedError(self.status, plain_refusal(document, self.reason))
        return Answer(self.headers, document)


class Client:
    """One kept connection; UnreachableError and RefusedError are all that its calls raise."""

    def __init__(self, target: Target) -> None:
        self._target = target
        parts = target.parts
        self._connection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port, timeout=TIMEOUT_S, context=target.tls()
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def get(self, path: str) -> Answer:
        """The resource at that path; asked again once where the kept connection had ended."""
        return self.fetch(path).answer()

    def fetch(self, path: str) -> Response:
        """Whatever is answered there, refusals too; asked again once like `get`."""
        kept = self._connection.sock is not None
        try:
            return self._ask("GET", path, None)
        except UnreachableError:
            if not kept:
                raise
            return self._ask("GET", path, None)

    def post(self, path: str, body: bytes) -> Answer:
        """The answer to that JSON body."""
        return self._ask("POST", path, body).answer()

    def _ask(self, method: str, path: str, body: bytes | None) -> Response:
        headers = {"Authorization": self._target.authorization, "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
            content = _content(response)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise self._target.unreachable(error) from None
        found = {name.lower(): value for name, value in response.getheaders()}
        return Response(response.status, response.reason, found, content)


def _is_host(name: str) -> bool:
    """Whether it can be looked up; an address of IPv6 has lost its brackets."""
    try:
        name.encode("idna")
    except UnicodeError:
        return False
    return name.isprintable() and " " not in name


def why_unreachable(error: Exception) -> str:
    """What a connection that failed says of a service: the rest of a sentence that it begins."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"has a certificate that is not trusted ({error.verify_message}): "
            "give --ca FILE, or --insecure in a lab"
        )
    if type(error) is http.client.BadStatusLine:  # who hangs up raises a kind of it
        return "does not answer in HTTP"
    if isinstance(error, ssl.SSLError) and error.reason in _TLS:
        return f"does not answer: {_TLS[error.reason]}"
    if isinstance(error, TimeoutError) and str(error).endswith("timed out"):  # with OpenSSL's line
        return "does not answer in time"
    reason = (isinstance(error, OSError) and error.strerror) or error or type(error).__name__
    return f"does not answer: {reason}"


def _content(response: http.client.HTTPResponse) -> bytes:
    """The body; OSError where it is too long, or does not end."""
    deadline, content = time.monotonic() + ANSWER_S, bytearray()
    while piece := response.read1(1 << 16):
        content += piece
        if len(content) > LARGEST_ANSWER:
            raise OSError(f"an answer of more than {LARGEST_ANSWER >> 20} MiB")
        if time.monotonic() > deadline:
            raise TimeoutError(f"an answer without an end within {ANSWER_S:g} s")
    missing = response.length
    response.close()  # the connection is free for the next request
    if missing:
        raise http.client.IncompleteRead(bytes(content), missing)
    return bytes(content)


def plain_refusal(document: object, otherwise: str) -> str:
    """The text of a Redfish error body (DSP0266 8.6) with the member it names, or `otherwise`."""
    try:
        error: Any = document["error"]  # type: ignore[index] # whatever it is, it may lack this
        text, extended = str(error["message"]), error.get("@Message.ExtendedInfo", [])
    except (KeyError, TypeError, AttributeError):
        return otherwise or "no JSON object came back"
    places = [place for info in extended for place in info.get("RelatedProperties", [])]
    return f"{text} ({', '.join(places)})" if places else text


def _object(content: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def target_options(command: Callable[..., _R]) -> Callable[..., _R]:
    """Give a command --user, --password, --ca and --insecure; it gets a Target as `target`.

    The command brings `url` itself, as an option or an argument.
    """

    @click.option("--user", envvar="DCPI_USER", show_envvar=True, help="Who asks.")
    @click.option("--password", envvar="DCPI_PASSWORD", show_envvar=True, help="Their password.")
    @click.option(
        "--ca",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="PEM file of the authority that issued the service's certificate.",
    )
    @click.option("--insecure", is_flag=True, help="Take any certificate: for a lab only.")
    @functools.wraps(command)
    def with_target(
        *args: Any,
        url: str,
        user: str | None,
        password: str | None,
        ca: Path | None,
        insecure: bool,
        **kwargs: Any,
    ) -> _R:
        if not user or password is None:
            raise click.UsageError("give --user and --password, or set DCPI_USER and DCPI_PASSWORD")
        if ca is not None and insecure:
            raise click.UsageError("--ca and --insecure exclude each other")
        target = Target(url, user, password, ca, insecure)
        _ = target.parts
        return command(*args, target=target, **kwargs)

    return with_target


def url_option(command: Callable[..., _R]) -> Callable[..., _R]:
    """Give a command --url."""
    return click.option(
        "--url",
        envvar="DCPI_URL",
        default=DEFAULT_URL,
        show_default=True,
        show_envvar=True,
        help="Where the service is.",
    )(command)
