"""The one reading of a JSON body, and what is refused."""

from __future__ import annotations

import json
import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmc_ext.errors import MessageError
from bmc_ext.messages.strict_json import MAX_DEPTH, loads

INT64 = 2**63

documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-INT64, INT64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(max_examples=300, deadline=None)
@given(documents, st.sampled_from([None, 1]), st.booleans())
def test_what_python_writes_is_read_alike(
    document: object, indent: int | None, ensure_ascii: bool
) -> None:
    """Any document that the standard library writes as JSON is read back equal, types and all."""
    text = json.dumps(document, indent=indent, ensure_ascii=ensure_ascii, allow_nan=False)
    read = loads(text.encode())
    assert read == document
    assert repr(read) == repr(json.loads(text))


@settings(max_examples=500, deadline=None)
@given(
    st.binary(max_size=40)
    | st.text('{}[]",:0123456789.eE+-\\u d8nul tru fa NaI', max_size=40).map(str.encode)
)
def test_any_bytes_are_read_as_python_reads_them_or_refused(data: bytes) -> None:
    """Any input is read as the standard library reads it, or refused with MessageError."""
    try:
        document = loads(data)
    except MessageError:
        return
    assert document == json.loads(data, parse_int=nearest)


def nearest(text: str) -> int | float:
    """An integer beyond 64 bits is read as the nearest double."""
    exact = int(text)
    return exact if -INT64 <= exact < 2 * INT64 else float(text)


@pytest.mark.parametrize(
    ("body", "text", "place"),
    [
        (b"", "the body is empty", ""),
        (b" \r\n\t", "the body is empty", ""),
        (b"{", "not JSON", ""),
        (b'{"a": tru}', "not JSON", ""),
        (b"{'a': 1}", "not JSON", ""),
        (b'{"a": 1,}', "not JSON", ""),
        (b'{"a": 01}', "not JSON", ""),
        (b'{"a": "\x00"}', "not JSON", ""),
        (b'{"a": 1} {"b": 2}', "not JSON", ""),
        (b'{"a": 1}x', "not JSON", ""),
        (b'\xef\xbb\xbf{"a": 1}', "byte order mark", ""),
        ('{"a": 1}'.encode("utf-16"), "UTF-8", ""),
        (b'{"a": "\xff"}', "UTF-8", ""),
        (b'{"a": "\xed\xa0\x80"}', "UTF-8", ""),
        (b'{"a": NaN}', "NaN", "/a"),
        (b'{"a": [0, -Infinity]}', "-Infinity", "/a/1"),
        (b'{"a": {"b/c~d": 1e400}}', "1e400", "/a/b~1c~0d"),
        (b"[" + b"9" * 5000 + b"]", "5000 characters", "/0"),
        (b"[-" + b"9" * 310 + b"]", "beyond", "/0"),
        (b'{"a": "\\ud800"}', "surrogate", "/a"),
        (b'{"a": "\\udc00\\ud800"}', "surrogate", "/a"),
        (b'{"a": {"\\ud800": 1}}', "surrogate", "/a"),
        (b'{"a": 1, "a": 1}', "'a' twice", "/a"),
        (b'{"a": 1, "\\u0061": 2}', "'a' twice", "/a"),
        (b'[{"b": {"": 1, "": 2}}]', "'' twice", "/0/b/"),
        (b'{"a": {"x": 1, "x": 2}, "a": 3}', "'a' twice", "/a"),
        (b'{"' + b"k" * 500 + b'": 1, "' + b"k" * 500 + b'": 2}', "…' twice", "/" + "k" * 500),
    ],
)
def test_what_is_not_strict_json_is_refused_clearly(body: bytes, text: str, place: str) -> None:
    """Each refusal is one short line that says what is wrong, and names the member where it can."""
    with pytest.raises(MessageError) as caught:
        loads(body)
    assert text in str(caught.value)
    assert caught.value.property_path == place
    assert len(str(caught.value)) < 200
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_nesting_is_bounded(opening: bytes) -> None:
    """The deepest nesting allowed is read; one level more, or a million, is refused."""
    levels = opening.count(b"[") + opening.count(b"{")
    closing = b"".join({91: b"]", 123: b"}"}.get(byte, b"") for byte in reversed(opening))
    times = MAX_DEPTH // levels
    assert loads(opening * times + b"1" + closing * times)
    for count in (times + 1, 1_000_000):
        with pytest.raises(MessageError, match="deeper than 64"):
            loads(opening * count + b"1" + closing * count)


def test_brackets_in_strings_are_no_nesting() -> None:
    """Only structure counts: brackets within a string, behind escapes too, are text."""
    text = '[{"' * 100 + '\\"]'
    assert loads(json.dumps([text, {text: text}]).encode()) == [text, {text: text}]


def test_the_depth_can_be_set() -> None:
    """A caller may ask for a lower bound than the default."""
    assert loads(b"[[1]]", max_depth=2) == [[1]]
    with pytest.raises(MessageError, match="deeper than 1"):
        loads(b"[[1]]", max_depth=1)


@pytest.mark.parametrize(
    "body",
    [
        b'"' + b'\\"' * 500_000,
        b'"' + b"\\" * 1_000_001,
        b'"a' * 300_000,
        b"[1," * 20 + b" " * 1_000_000,
        b'{"a":' + b"1" * 1_000_000 + b"}",
        b"[" + b'"",' * 300_000,
    ],
    ids=["escaped quotes", "backslashes", "quotes", "blanks", "digits", "strings"],
)
def test_no_body_of_a_megabyte_takes_long(body: bytes) -> None:
    """Refusing a hostile megabyte takes linear time: well under two seconds."""
    begin = time.perf_counter()
    with pytest.raises(MessageError):
        loads(body)
    assert time.perf_counter() - begin < 2.0


def test_long_integers_become_doubles_and_never_overflow() -> None:
    """An integer within 64 bits is exact, a longer one the nearest double; both are finite."""
    assert loads(b"[9223372036854775807, -9223372036854775808]") == [INT64 - 1, -INT64]
    longer = loads(b"123456789012345678901234567890")
    assert isinstance(longer, float)
    assert math.isclose(longer, 1.2345678901234568e29)
