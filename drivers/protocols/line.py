"""Instruments that send lines of text, on a serial line or over TCP: asked, or talking unasked."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from drivers.codec import PointCodec
from drivers.errors import TransportError, WriteRefusedError
from drivers.profile_types import Profile
from drivers.profile_types import Transport as TransportSettings
from drivers.protocols.byte_line import (
    LINE_OPTIONS,
    ByteLine,
    StreamTarget,
    byte_line,
    line_target,
)
from drivers.protocols.line_reply import Field, Form, ReplyError, field_of, form_of, plain
from drivers.protocols.number_plan import NumberPlan, refuse_writes
from drivers.protocols.target_url import split_target

_FORM = "line+tcp://HOST:PORT or line+serial:///dev/NAME?baud=9600&framing=8N1"

_LONGEST_LINE = 4096
# A device that talks in between what it was asked may send this many other lines before the answer.
_MOST_LINES = 20


@dataclass(frozen=True, slots=True)
class Question:
    """How a line is got: each text of `send` is followed by a line, the last by the answer.

    The lines before the last must be `acknowledge`. Without `send` the device talks unasked. In a
    text `{unit}` stands for the device's number and `{letter}` for its letter (1 is A).
    """

    send: tuple[str, ...]
    acknowledge: str
    end: str
    form: Form

    def text(self, step: int, unit: int) -> str:
        """What is sent at a step to the device of that number."""
        letter = chr(ord("@") + unit % 27)
        return self.send[step].replace("{unit}", str(unit)).replace("{letter}", letter)


@dataclass(frozen=True, slots=True)
class LineRequest:
    """A question, and which fields of its answer are wanted."""

    question: Question
    fields: tuple[Field, ...]


class _Lines:
    """Cuts what comes into lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes, end: bytes) -> list[str]:
        """The lines that are whole now; ReplyError when one is too long or no ASCII text."""
        *lines, self._rest = (self._rest + data).split(end)
        if len(self._rest) > _LONGEST_LINE:
            self._rest = b""
            raise ReplyError(f"no end of line in {_LONGEST_LINE} bytes")
        try:
            return [line.decode("ascii") for line in lines]
        except UnicodeDecodeError as error:
            raise ReplyError(f"not ASCII text: {bytes(error.object)[:40]!r}") from error

    def clear(self) -> None:
        """Forget the beginning of a line."""
        self._rest = b""


class LineTransport:
    """See Transport; a request is a LineRequest, the answer the numbers of its fields."""

    def __init__(self, line: ByteLine, name: str) -> None:
        self._line = line
        self._name = name
        self._lines = _Lines()
        # Of a device that talks unasked: the newest line of each form, and who has used which.
        self._heard: dict[Form, tuple[int, list[str]]] = {}
        self._used: dict[LineRequest, int] = {}
        self._count = 0

    def open(self) -> None:
        """See Transport."""
        self._line.open()

    def read(self, unit: int, request: LineRequest, timeout_s: float) -> list[float]:
        """See Transport; NaN for a field that says it has no value."""
        try:
            if request.question.send:
                fields = self._ask(unit, request.question, timeout_s)
            else:
                fields = self._listen(request, timeout_s)
            return [field.number(fields) for field in request.fields]
        except ReplyError as error:
            self._lines.clear()
            self._line.drain(patient=True)
            raise TransportError(f"{self._name}: {error}") from error

    def write(self, unit: int, request: object, timeout_s: float) -> None:  # noqa: ARG002
        """See `LineProtocol.write_request`."""
        raise TransportError(f"{self._name} unit {unit}: line protocols are only read")

    def close(self) -> None:
        """See Transport."""
        self._lines.clear()
        self._heard.clear()
        self._used.clear()
        self._line.close()

    def _ask(self, unit: int, question: Question, timeout_s: float) -> list[str]:
        """The fields of the answer to a question."""
        self._line.open()
        self._lines.clear()
        self._line.drain(patient=False)
        deadline = time.monotonic() + timeout_s
        for step in range(len(question.send)):
            self._line.write(question.text(step, unit).encode("ascii"))
            line = self._next_line(question, deadline)
            if step < len(question.send) - 1 and line != question.acknowledge:
                raise ReplyError(f"{line[:40]!r} instead of {question.acknowledge!r}")
        return question.form.fields(line)

    def _next_line(self, question: Question, deadline: float) -> str:
        while True:
            lines = self._lines.feed(self._more(deadline), question.end.encode("ascii"))
            if len(lines) > 1:
                raise ReplyError(f"{len(lines)} lines in answer to one question")
            if lines:
                return lines[0]

    def _more(self, deadline: float) -> bytes:
        data = self._line.read(deadline - time.monotonic())
        if not data:
            self._lines.clear()
            self._line.drain(patient=True)
            raise TransportError(f"{self._name}: no answer in time")
        return data

    def _listen(self, request: LineRequest, timeout_s: float) -> list[str]:
        """The fields of the newest line that this request has not had yet."""
        question = request.question
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and (waiting := self._line.read(0.0)):
            self._take(waiting, question)
        while True:
            number, fields = self._heard.get(question.form, (0, []))
            if number > self._used.get(request, 0):
                self._used[request] = number
                return fields
            self._take(self._more(deadline), question)

    def _take(self, data: bytes, question: Question) -> None:
        """Keep the newest line of the form; lines of other forms are somebody else's."""
        for line in self._lines.feed(data, question.end.encode("ascii"))[-_MOST_LINES:]:
            for form in {question.form, *self._heard}:
                if form.checksum is None and not line.startswith(form.begins):
                    continue
                try:
                    fields = form.fields(line)
                except ReplyError:
                    continue
                self._count += 1
                self._heard[form] = (self._count, fields)


class LineProtocol:
    """See DeviceProtocol; points with the same question share its answer."""

    name = "line"
    schemes = ("line+tcp", "line+serial")
    point_schema: Mapping[str, Any] = MappingProxyType(
        {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "send": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": 4,
                    "items": {"type": "string", "minLength": 1, "maxLength": 200},
                },
                "acknowledge": {"type": "string", "maxLength": 200},
                "end": {"type": "string", "minLength": 1, "maxLength": 20},
                "begins": {"type": "string", "maxLength": 200},
                "separator": {"type": "string", "maxLength": 20},
                "checksum": {"enum": ["nmea"]},
                "field": {"type": "integer", "minimum": 0, "maximum": 255},
                "suffix": {"type": "string", "maxLength": 20},
                "status": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["field", "ok"],
                    "properties": {
                        "field": {"type": "integer", "minimum": 0, "maximum": 255},
                        "ok": {"type": "array", "minItems": 1, "items": {"type": "string"}},
                    },
                },
                "absent_words": {"type": "array", "items": {"type": "string"}},
            },
            "dependentRequired": {"acknowledge": ["send"]},
        }
    )

    def parse_target(self, text: str) -> StreamTarget:
        """See DeviceProtocol."""
        return line_target(split_target(text, _FORM, LINE_OPTIONS), _FORM)

    def transport(self, target: StreamTarget, settings: TransportSettings) -> LineTransport:
        """See DeviceProtocol."""
        return LineTransport(byte_line(target, settings), target.bus)

    def plan(self, profile: Profile, codecs: Sequence[PointCodec]) -> NumberPlan:
        """See DeviceProtocol."""
        refuse_writes(profile, codecs, "a line protocol")
        rows: dict[Question, list[int]] = {}
        for row, codec in enumerate(codecs):
            rows.setdefault(question_of(codec.point.at), []).append(row)
        return NumberPlan(
            codecs,
            [
                (LineRequest(asked, tuple(field_of(codecs[row].point.at) for row in those)), those)
                for asked, those in rows.items()
            ],
        )

    def heartbeat(self, profile: Profile) -> LineRequest:
        """See DeviceProtocol: the first point's line, whatever is in it."""
        return LineRequest(question_of(next(iter(profile.points.values())).at), ())

    def write_request(self, codec: PointCodec, value: float) -> object:
        """Never: `plan` refuses profiles with writable points."""
        raise WriteRefusedError(
            f"{codec.point.name}: a line protocol is only read (asked for {value:g})"
        )


def question_of(at: Mapping[str, Any]) -> Question:
    """How a point's line is got."""
    return Question(
        tuple(map(plain, at.get("send", ()))),
        plain(at.get("acknowledge", "")),
        plain(at.get("end", "<CR><LF>")),
        form_of(at),
    )


LINE = LineProtocol()
