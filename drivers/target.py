"""Where a Modbus device is.

`tcp://HOST[:PORT]`, `serial:///dev/ttyUSB0[?baud=9600&framing=8N1]`, or a gateway to a serial line
that hands RTU frames over TCP, `rtu+tcp://HOST:PORT[?baud=9600&framing=8N1]`.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

from drivers.errors import TargetError

_MODBUS_TCP_PORT = 502  # registered with IANA for Modbus
_FRAMINGS = ("8N1", "8N2", "8E1", "8O1")


@dataclass(frozen=True, slots=True)
class TcpTarget:
    """A Modbus TCP device or gateway."""

    host: str
    port: int = _MODBUS_TCP_PORT

    @property
    def bus(self) -> str:
        """What devices on the same connection share."""
        return f"tcp://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class SerialTarget:
    """A serial line; None where the device's profile decides."""

    path: str
    baud: int | None = None
    framing: str | None = None

    @property
    def bus(self) -> str:
        """What devices on the same line share."""
        return f"serial://{self.path}"


@dataclass(frozen=True, slots=True)
class RtuOverTcpTarget:
    """A gateway to a serial line; rate and framing are its line's, None where the profile says."""

    host: str
    port: int
    baud: int | None = None
    framing: str | None = None

    @property
    def bus(self) -> str:
        """What devices on the same line share."""
        return f"rtu+tcp://{self.host}:{self.port}"


# The targets with a serial line, whose time is what the polls share.
LineTarget = SerialTarget | RtuOverTcpTarget
Target = TcpTarget | LineTarget


def parse_target(text: str) -> Target:
    """The target that `text` names; TargetError says what is wrong with it."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise TargetError(f"target {text!r}: {error}") from error
    if parts.scheme == "tcp" and parts.hostname:
        return TcpTarget(parts.hostname, _MODBUS_TCP_PORT if port is None else port)
    if parts.scheme == "serial" and parts.path.startswith("/") and not parts.netloc:
        return SerialTarget(unquote(parts.path), *_line(text, parse_qs(parts.query)))
    if parts.scheme == "rtu+tcp" and parts.hostname and port:
        return RtuOverTcpTarget(parts.hostname, port, *_line(text, parse_qs(parts.query)))
    raise TargetError(
        f"target {text!r} is neither tcp://HOST:PORT nor serial:///dev/NAME?baud=9600&framing=8N1 "
        "nor rtu+tcp://HOST:PORT?baud=9600&framing=8N1"
    )


def _line(text: str, query: dict[str, list[str]]) -> tuple[int | None, str | None]:
    """Rate and framing."""
    unknown = query.keys() - {"baud", "framing"}
    if unknown:
        raise TargetError(f"target {text!r}: unknown option {min(unknown)!r}")
    baud = query.get("baud", [None])[-1]
    framing = query.get("framing", [None])[-1]
    if baud is not None and not (baud.isdecimal() and 300 <= int(baud) <= 4_000_000):
        raise TargetError(f"target {text!r}: baud {baud!r} is not a rate from 300 to 4000000")
    if framing is not None and framing not in _FRAMINGS:
        raise TargetError(f"target {text!r}: framing {framing!r} is none of {', '.join(_FRAMINGS)}")
    return None if baud is None else int(baud), framing
