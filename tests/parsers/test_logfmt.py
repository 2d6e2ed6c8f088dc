import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.testing import make_parser


def parse(section, *lines):
    return make_parser(f"name p\nformat logfmt\n{section}").parse(lines)


@pytest.mark.parametrize(
    ("line", "body"),
    [
        ("a=1 b=two", {"a": "1", "b": "two"}),
        ('msg="hello world" x=1', {"msg": "hello world", "x": "1"}),
        (r'msg="say \"hi\"\n\u00e9"', {"msg": 'say "hi"\né'}),
        ("bare a=1", {"bare": True, "a": "1"}),
        ('a= b=""', {"a": True, "b": ""}),
        ("a=1 a=2", {"a": "2"}),
        ("  =x a=1", {"x": True, "a": "1"}),
        ('open="no end', {"open": "no end"}),
    ],
)
def test_pairs_become_fields(line, body):
    assert parse("", line).bodies == [body]


@pytest.mark.parametrize("line", ["", "   ", "=", '"'])
def test_a_line_without_a_key_does_not_parse(line):
    assert parse("", line).bodies == [None]


def test_bare_keys_may_be_refused():
    assert parse("logfmt_no_bare_keys on", "a=1 bare", "a= b=2").bodies == [
        None,
        {"a": True, "b": "2"},
    ]


def test_types_change_the_fields_they_name_alone():
    found = parse("types n:integer f:float", 'n=42 f=0.25 s=7 bare msg="a\\"b"')
    assert found.bodies == [{"n": 42, "f": 0.25, "s": "7", "bare": True, "msg": 'a"b'}]


def test_a_line_whose_time_is_none_does_not_parse():
    found = parse("time_key ts\ntime_format %s", "ts=7 a=1", "ts=soon a=1", "a=1")
    assert found.times == [7_000_000_000, None, None]
    assert found.bodies == [{"a": "1"}, None, {"a": "1"}]


@given(
    pairs=st.dictionaries(
        st.text("abc_", min_size=1, max_size=3), st.text("xyz ", min_size=1, max_size=5)
    )
)
def test_what_was_written_is_read(pairs):
    line = " ".join(f'{key}="{value}"' for key, value in pairs.items())
    assert parse("", line).bodies == [pairs or None]


@given(lines=st.lists(st.binary(max_size=30), max_size=4))
def test_any_bytes_give_a_body_or_none_for_each_line(lines):
    texts = [line.decode("utf-8", "surrogateescape") for line in lines]
    found = parse("types a:integer\ntime_key t\ntime_format %s", *texts)
    assert len(found.bodies) == len(found.times) == len(texts)
    assert all(body is None or body for body in found.bodies)
