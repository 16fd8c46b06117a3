"""Instruments that send lines of text, played byte by byte by the test on a real pty."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.engine import DeviceSpec, Engine
from drivers.errors import ProfileError, TargetError, TransportError
from drivers.profile import load_profile
from drivers.profile_types import Transport as TransportSettings
from drivers.protocols.line import LINE, LineRequest, Question
from drivers.protocols.line_reply import Field, Form, ReplyError, plain
from drivers.reading import Quality
from drivers.simulation import PseudoTerminal
from drivers.simulation.byte_server import ByteTcpServer, PtyServer
from drivers.simulation.line_instrument import LineInstrument
from drivers.simulation.point_values import PointValues

Wait = Callable[[Callable[[], bool], float], float]


class Played:
    """A Conversation: an instrument that says what a script of (heard, said) makes of its input."""

    def __init__(self, script: dict[bytes, bytes]) -> None:
        self.script = script
        self.heard = b""
        self.unasked = b""

    def hear(self, data: bytes) -> bytes:
        """See Conversation."""
        self.heard += data
        said = b""
        for question, answer in self.script.items():
            while question in self.heard:
                self.heard = self.heard.replace(question, b"", 1)
                said += answer
        return said

    def speak(self) -> bytes:
        """See Conversation."""
        said, self.unasked = self.unasked, b""
        return said


@pytest.fixture
def play(stack: ExitStack) -> Callable[[Any], str]:
    """Puts an instrument on a pty; gives the target of its line."""

    def begin(instrument: Any) -> str:
        terminal = PseudoTerminal()
        stack.callback(terminal.close)
        server = PtyServer(instrument, terminal.master_fd)
        server.start()
        stack.callback(server.stop)
        return f"line+serial://{terminal.path}?baud=9600&framing=7O1"

    return begin


def ask(target: str, request: LineRequest, timeout_s: float = 0.4) -> list[float]:
    """One question on a line of its own."""
    transport = LINE.transport(LINE.parse_target(target), TransportSettings())
    try:
        return transport.read(1, request, timeout_s)
    finally:
        transport.close()


def question(*send: str, **form: Any) -> Question:
    """A question whose lines end in CR LF."""
    return Question(send, form.pop("acknowledge", ""), form.pop("end", "\r\n"), Form(**form))


def test_a_temperature_monitor_answers(
    play: Callable[[Any], str], run_engine: Callable[..., Engine], wait_until: Wait
) -> None:
    """A Lake Shore 218's answer, in the form of its manual, gives eight readings in one request."""
    instrument = Played({b"CRDG? 0\r\n": b"+22.500,+480.00,-10.125,+0.0000,+1,+1,+1,+1\r\n"})
    engine = run_engine(DeviceSpec("t", "lakeshore.218", play(instrument)))
    wait_until(lambda: engine.reading("t", "temperature.1").quality is Quality.OK, 5.0)
    values = [engine.reading("t", f"temperature.{k}").value for k in range(1, 5)]
    assert values == [22.5, 480.0, -10.125, 0.0]
    instrument.script = {}
    wait_until(lambda: engine.reading("t", "temperature.1").quality is Quality.COMM_ERROR, 3.0)
    instrument.script = {b"CRDG? 0\r\n": b"+23.000,+0,+0,+0,+1,+1,+1,+1\r\n"}
    wait_until(lambda: engine.reading("t", "temperature.1").value == 23.0, 10.0)


def test_a_gauge_controller_acknowledges_and_is_enquired(
    play: Callable[[Any], str], run_engine: Callable[..., Engine], wait_until: Wait
) -> None:
    """A TPG 262: mnemonic, ACK, ENQ, status and value; a gauge that is missing has no value."""
    instrument = Played({b"PRX\r\n": b"\x06\r\n", b"\x05": b"0,+1.0132E+03,5,+2.0000E-02\r\n"})
    engine = run_engine(DeviceSpec("p", "pfeiffer.tpg262", play(instrument)))
    wait_until(lambda: engine.reading("p", "pressure.1").quality is Quality.OK, 5.0)
    reading = engine.reading("p", "pressure.1")
    assert (reading.value, reading.unit) == (pytest.approx(1.0132), "bar")
    assert engine.reading("p", "pressure.2").quality is Quality.ABSENT
    # NAK: the controller refuses the question.
    instrument.script = {b"PRX\r\n": b"\x15\r\n"}
    wait_until(lambda: engine.reading("p", "pressure.1").quality is Quality.COMM_ERROR, 3.0)


def test_the_newest_line_of_a_device_that_talks_unasked(play: Callable[[Any], str]) -> None:
    """Sentences with checksums: the newest whole one of the form counts, once."""
    instrument = Played({})
    transport = LINE.transport(LINE.parse_target(play(instrument)), TransportSettings())
    form = Form("$WIXDR,C,", ",", "nmea")
    request = LineRequest(Question((), "", "\r\n", form), (Field(0),))
    transport.open()
    instrument.unasked = (
        b"3.5,C,TEMP*00\r\n"  # the end of a sentence that began before
        b"$WIXDR,C,21.0,C,TEMP*41\r\n$WIMWV,045,R,3.1,M,A*25\r\n$WIXDR,C,22.5,C,TEMP*47\r\n"
        b"$WIXDR,C,99.9,C,TEMP*00\r\n$WIXDR,C,2"
    )
    time.sleep(0.2)
    assert transport.read(1, request, 0.5) == [22.5]
    with pytest.raises(TransportError, match="no answer in time"):
        transport.read(1, request, 0.2)
    instrument.unasked = b"$WIXDR,C,23.0,C,TEMP*43\r\n"
    assert transport.read(1, request, 2.0) == [23.0]
    transport.close()


def test_the_newest_of_many_lines_counts(stack: ExitStack) -> None:
    """A device that talked for long before it is asked: what it said last, not first."""
    instrument = Played({})
    instrument.unasked = b"".join(b"%d\r\n" % number for number in range(3000))
    server = ByteTcpServer(lambda: instrument)
    server.start()
    stack.callback(server.stop)
    target = LINE.parse_target(f"line+tcp://127.0.0.1:{server.port}")
    transport = LINE.transport(target, TransportSettings())
    transport.open()
    stack.callback(transport.close)
    while instrument.unasked:
        time.sleep(0.01)
    time.sleep(0.3)
    assert transport.read(1, LineRequest(question(), (Field(0),)), 1.0) == [2999.0]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"abc\r\n", "field 0 is 'abc', not a number"),
        (b"1.0\r\n2.0\r\n", "2 lines in answer to one question"),
        (b"\xff\xfe\r\n", "not ASCII text"),
        (b"1" * 5000, "no end of line in 4096 bytes"),
        (b"1.0", "no answer in time"),
        (b"", "no answer in time"),
        (b"1e999999\r\n", "not a number"),
        (b"0x10\r\n", "not a number"),
        (b"nan\r\n", "not a number"),
        (b"1_0\r\n", "not a number"),
    ],
)
def test_an_answer_that_is_none_is_an_error(
    play: Callable[[Any], str], answer: bytes, reason: str
) -> None:
    """What is no number in the agreed form is an error that quotes it, never a value."""
    target = play(Played({b"?\r\n": answer}))
    with pytest.raises(TransportError) as caught:
        ask(target, LineRequest(question("?\r\n"), (Field(0),)))
    assert reason in str(caught.value)


def test_a_late_answer_is_not_taken_for_the_next(play: Callable[[Any], str]) -> None:
    """What comes after the time-out is read away before the next question is sent."""
    instrument = Played({})
    target = play(instrument)
    transport = LINE.transport(LINE.parse_target(target), TransportSettings())
    request = LineRequest(question("?\r\n"), (Field(0),))
    with pytest.raises(TransportError, match="no answer in time"):
        transport.read(1, request, 0.1)
    instrument.unasked = b"11.0\r\n"
    time.sleep(0.2)
    instrument.script = {b"?\r\n": b"22.0\r\n"}
    instrument.heard = b""
    assert transport.read(1, request, 1.0) == [22.0]
    transport.close()


def test_a_question_that_is_refused_has_no_answer(play: Callable[[Any], str]) -> None:
    """NAK in place of ACK: what the instrument says to the enquiry after it is not taken."""
    target = play(Played({b"PR1\r\n": b"\x15\r\n", b"\x05": b"0001\r\n"}))
    asked = question("PR1\r\n", "\x05", acknowledge="\x06")
    with pytest.raises(TransportError, match=r"'\\x15' instead of '\\x06'"):
        ask(target, LineRequest(asked, (Field(0),)))


@pytest.mark.parametrize(
    ("line", "form", "field", "number"),
    [
        ("+1.5E-3 mbar", Form(separator=""), Field(0), 1.5e-3),
        (":SENS:PRES 1.013", Form(":SENS:PRES ", ","), Field(0), 1.013),
        ("A +014.70 +025.00 +02.004", Form("A ", ""), Field(1), 25.0),
        ("OL;3.25V", Form(separator=";"), Field(1, suffix="V"), 3.25),
        ("OL;3.25V", Form(separator=";"), Field(0, absent_words=("OL",)), None),
        # The example sentence that descriptions of NMEA 0183 share: 545.4 m above the sea.
        (
            "$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47",
            Form("$GPGGA,", ",", "nmea"),
            Field(8),
            545.4,
        ),
        ("3,9.9", Form(), Field(1, status_field=0, status_ok=("0", "1")), None),
        ("1,9.9", Form(), Field(1, status_field=0, status_ok=("0", "1")), 9.9),
    ],
)
def test_fields_of_instruments(line: str, form: Form, field: Field, number: float | None) -> None:
    """Prefixes, separators, units, words for no value and status fields."""
    found = field.number(form.fields(line))
    assert found == number if number is not None else found != found


@given(st.text(st.characters(codec="ascii"), max_size=300))
@settings(max_examples=500, deadline=None)
def test_no_line_breaks_the_grammar(line: str) -> None:
    """Any text is a finite number, no value, or a ReplyError."""
    for form in (Form(), Form("$", ",", "nmea"), Form(separator="")):
        try:
            number = Field(0).number(form.fields(line))
        except ReplyError:
            continue
        assert abs(number) < float("inf") or number == float("inf")


def test_a_long_line_is_judged_in_a_moment() -> None:
    """Text that makes backtracking patterns explode costs no more than its length."""
    began = time.process_time()
    for text in ("1" * 4000 + "x", "+" * 4000, "1." * 2000, "1e" * 2000):
        with pytest.raises(ReplyError):
            Field(0).number([text])
    assert time.process_time() - began < 1.0


def test_control_characters_are_named() -> None:
    """A profile holds no control character; their names stand for them."""
    assert plain("PRX<CR><LF><ENQ>") == "PRX\r\n\x05"


@pytest.mark.parametrize(
    ("was", "becomes", "reason"),
    [
        ("send: [", "regex: [", "points/temperature.1/at"),
        ("field: 0}", "field: -1}", "points/temperature.1/at/field"),
        ("unit: Cel,", "unit: Cel, write: {range: [0, 1]},", "a line protocol is only read"),
    ],
)
def test_a_profile_that_is_wrong_is_refused(
    tmp_path: Path, was: str, becomes: str, reason: str
) -> None:
    """An unknown member, an impossible field and a write are told with the point."""
    text = load_profile("lakeshore.218").path.read_text()
    assert was in text
    path = tmp_path / "monitor.yaml"
    path.write_text(text.replace(was, becomes, 1))
    with pytest.raises(ProfileError, match=reason):
        Engine([DeviceSpec("d", str(path), "line+tcp://127.0.0.1:1")])


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("line+tcp://:5", "is not line"),
        ("line+serial:///dev/x?address=1", "unknown option 'address'"),
        ("line+serial:///dev/x?baud=10", "baud '10' is not a number from 300"),
        ("serial:///dev/x", "is not line"),
    ],
)
def test_a_target_that_is_wrong_is_named(target: str, reason: str) -> None:
    """Each fault of a target is told."""
    with pytest.raises(TargetError, match=reason):
        LINE.parse_target(target)


def test_our_simulated_instrument_speaks_the_manuals_words(stack: ExitStack) -> None:
    """Without any driver: the bytes of the pty are those that the manuals show."""
    values = PointValues(load_profile("pfeiffer.tpg262"))
    values.update({"pressure.1": 1.0132, "pressure.2": None})
    terminal = PseudoTerminal()
    stack.callback(terminal.close)
    server = PtyServer(LineInstrument(values), terminal.master_fd)
    server.start()
    stack.callback(server.stop)
    line = os.open(terminal.path, os.O_RDWR | os.O_NOCTTY)
    stack.callback(os.close, line)
    hung = threading.Timer(10.0, server.stop)
    hung.start()
    stack.callback(hung.cancel)

    def said(text: bytes) -> bytes:
        os.write(line, text)
        answer = b""
        while not answer.endswith(b"\r\n"):
            answer += os.read(line, 100)
        return answer

    assert said(b"PRX\r\n") == b"\x06\r\n"
    assert said(b"\x05") == b"0,+1013.2,?,+0\r\n"
