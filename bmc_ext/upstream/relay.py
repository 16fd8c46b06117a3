"""Events of the upstream BMC told to our own listeners, with origins that lead through us."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import orjson
import urllib3

from bmc_ext.clock import parse_iso8601
from bmc_ext.errors import HostUnavailableError
from bmc_ext.redfish.events.message import EVENT_TYPES, SEVERITIES, Happening
from bmc_ext.upstream.connection import Connection
from bmc_ext.upstream.links import Links
from bmc_ext.upstream.login import Login
from bmc_ext.upstream.paths import ROOT

_LOG = logging.getLogger(__name__)

MAX_EVENT_BYTES: Final = 1024 * 1024
_AGAIN_S: Final = 2.0
_SHORT_S: Final = 30.0  # who ends a stream sooner, again and again, is asked more rarely
_RARELY_S: Final = 60.0
_SHOWN: Final = 1024  # characters of a text that somebody else wrote
_CHUNK_BYTES: Final = 65536
_EVENT_STREAM: Final = "text/event-stream"
_ENDINGS: Final = (HostUnavailableError, urllib3.exceptions.HTTPError, OSError, ValueError)

Publish = Callable[[Happening], None]


class Relay:
    """Listens to the server-sent events of an upstream BMC in a thread of its own.

    `find` gives the URI of its stream, or None while there is none to be listened to.
    """

    def __init__(
        self,
        connection: Connection,
        login: Login,
        links: Links,
        find: Callable[[], str | None],
        publish: Publish,
    ) -> None:
        self._connection = connection
        self._login = login
        self._links = links
        self._find = find
        self._publish = publish
        self._last_id = ""
        self._stream: urllib3.BaseHTTPResponse | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upstream-events", daemon=True)

    @property
    def listens(self) -> bool:
        """Whether a stream is open."""
        return self._stream is not None

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        self.hang_up()
        if self._thread.is_alive():
            self._thread.join()

    def hang_up(self) -> None:
        """End the stream, which is opened anew when it is there again."""
        stream = self._stream
        if stream is not None:
            with contextlib.suppress(OSError, ValueError, RuntimeError):
                stream.shutdown()

    def _run(self) -> None:
        wait_s = _AGAIN_S
        while not self._stopping.wait(wait_s):
            uri = self._find()
            if uri is None:
                continue
            began_s = time.monotonic()
            try:
                self._listen(uri)
            except _ENDINGS as error:
                _LOG.info("the events of the upstream BMC ended: %s", error)
            is_short = time.monotonic() - began_s < _SHORT_S
            wait_s = min(_RARELY_S, 2 * wait_s) if is_short else _AGAIN_S

    def _listen(self, uri: str) -> None:
        """Tell what comes until the stream ends."""
        known = self._login.headers()
        since = {"Last-Event-ID": self._last_id} if self._last_id else {}
        stream = self._connection.stream(uri, {"Accept": _EVENT_STREAM, **since, **known})
        try:
            if stream.status == 401:
                self._login.headers(refused=known)
            kind = stream.headers.get("Content-Type", "").partition(";")[0].strip()
            if stream.status != 200 or kind != _EVENT_STREAM:
                raise HostUnavailableError(f"it answers {stream.status} {kind} for its events")
            self._stream = stream
            for event_id, data in _events(stream):
                for event in happenings(data, self._links):
                    self._publish(event)
                self._last_id = event_id or self._last_id
        finally:
            self._stream = None
            stream.close()


def happenings(data: bytes, links: Links) -> Iterator[Happening]:
    """The records of an Event that the upstream BMC sent, as far as they are any.

    Those of an origin that cannot be reached through us are left out.
    """
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:
        return
    records = body.get("Events") if isinstance(body, dict) else None
    for record in records if isinstance(records, list) else []:
        event = _happening(record, links) if isinstance(record, dict) else None
        if event is not None:
            yield event


def _happening(record: Mapping[str, Any], links: Links) -> Happening | None:
    message_id = record.get("MessageId")
    if not isinstance(message_id, str) or not message_id:
        return None
    origin = record.get("OriginOfCondition")
    uri = origin.get("@odata.id") if isinstance(origin, dict) else origin
    ours = links.outward(uri) if isinstance(uri, str) else None
    if isinstance(uri, str) and ours is None:
        return None
    args = record.get("MessageArgs")
    severity = record.get("MessageSeverity", record.get("Severity"))
    kind = record.get("EventType")
    return Happening(
        message_id[:_SHOWN],
        tuple(str(word)[:_SHOWN] for word in (args if isinstance(args, list) else [])),
        str(record.get("Message", ""))[:_SHOWN],
        severity if severity in SEVERITIES else "OK",
        kind if kind in EVENT_TYPES else "Other",
        _moment(record.get("EventTimestamp")),
        ours if ours is not None and ours.startswith(f"{ROOT}/") else None,
    )


def _moment(text: object) -> float:
    """Unix seconds of an event's time; now for what has none."""
    try:
        return parse_iso8601(str(text))
    except (ValueError, OverflowError):
        return time.time()


def _events(stream: urllib3.BaseHTTPResponse) -> Iterator[tuple[str, bytes]]:
    """Id and data of each server-sent event (WHATWG HTML 9.2.6)."""
    event_id, size = "", 0
    data: list[bytes] = []
    for line in _lines(stream):
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not line:
            if data:
                yield event_id, b"\n".join(data)
            data, size = [], 0
        elif name == b"data":
            size += len(value)
            if size > MAX_EVENT_BYTES:
                raise HostUnavailableError(f"an event is larger than {MAX_EVENT_BYTES} bytes")
            data.append(value)
        elif name == b"id" and value.isascii():
            event_id = value.decode()[:128]


def _lines(stream: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    rest = b""
    while part := stream.read1(_CHUNK_BYTES):
        *lines, rest = (rest + part).split(b"\n")
        if len(rest) > MAX_EVENT_BYTES:
            raise HostUnavailableError(f"an event is larger than {MAX_EVENT_BYTES} bytes")
        yield from (line.removesuffix(b"\r") for line in lines)
