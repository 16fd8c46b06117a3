"""A simulated instrument that sends lines of text, asked or unasked, as its profile says."""

from __future__ import annotations

import functools
import math
import operator
import time
from typing import Any

from drivers.profile_types import Point
from drivers.protocols.line import Question, question_of
from drivers.simulation.byte_server import Pace
from drivers.simulation.point_values import PointValues


class LineInstrument:
    """One instrument, as a Conversation; unasked it sends every `every_s`."""

    def __init__(self, values: PointValues, *, unit: int = 1, every_s: float = 0.1) -> None:
        self._values = values
        self._unit = unit
        self._pace = Pace(every_s)
        self._pending = ""
        self._points: dict[Question, list[Point]] = {}
        for point in values.profile.points.values():
            self._points.setdefault(question_of(point.at), []).append(point)
        # What is expected next to go on with a question that has several steps.
        self._step: tuple[Question, int] | None = None

    def hear(self, data: bytes) -> bytes:
        """See Conversation."""
        self._pending += data.decode("ascii", "replace")
        said = ""
        while (answer := self._take()) is not None:
            said += answer
        if said and not self._values.hears():
            return b""
        if said and self._values.delay_s:
            time.sleep(self._values.delay_s)
        return said.encode("ascii")

    def speak(self) -> bytes:
        """See Conversation."""
        unasked = [asked for asked in self._points if not asked.send]
        if not unasked or not self._pace.is_due() or not self._values.hears():
            return b""
        return "".join(self._line(asked) for asked in unasked).encode("ascii")

    def _take(self) -> str | None:
        """The answer to the text that stands in front, None when no text is whole."""
        for question, step, text in self._expected():
            if self._pending.startswith(text):
                self._pending = self._pending[len(text) :]
                if step + 1 < len(question.send):
                    self._step = (question, step + 1)
                    return question.acknowledge + question.end
                self._step = None
                return self._line(question)
        if len(self._pending) > 200:
            self._pending = ""
        return None

    def _expected(self) -> list[tuple[Question, int, str]]:
        steps = [(asked, 0) for asked in self._points if asked.send]
        if self._step is not None:
            steps.insert(0, self._step)
        return [(asked, step, asked.text(step, self._unit)) for asked, step in steps]

    def _line(self, question: Question) -> str:
        fields: dict[int, str] = {}
        for point in self._points[question]:
            _put(fields, point.at, self._values.raw(point.name))
        separator = question.form.separator or " "
        texts = [fields.get(number, "0") for number in range(max(fields) + 1)]
        line = question.form.begins + separator.join(texts)
        if question.form.checksum is not None:
            checksum = functools.reduce(operator.xor, line[1:].encode("ascii"), 0)
            line += f"*{checksum:02X}"
        return line + question.end


def _put(fields: dict[int, str], at: Any, number: float) -> None:
    """Write one point's field, and the field that says whether it is there."""
    words = at.get("absent_words", [])
    status = at.get("status")
    absent = math.isnan(number)
    fields[at.get("field", 0)] = (
        words[0] if absent and words else f"{0.0 if absent else number:+.6g}{at.get('suffix', '')}"
    )
    if status is not None:
        fields[status["field"]] = "?" if absent else status["ok"][0]
