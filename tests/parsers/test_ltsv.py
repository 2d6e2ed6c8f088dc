import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.testing import make_parser


def parse(section, *lines):
    return make_parser(f"name p\nformat ltsv\n{section}").parse(lines)


@pytest.mark.parametrize(
    ("line", "body"),
    [
        ("host:10.0.0.1\tua:Mozilla (x86:64)", {"host": "10.0.0.1", "ua": "Mozilla (x86:64)"}),
        ("empty:\tlast:x", {"empty": "", "last": "x"}),
        ("ok:1\tbad label:2\tafter:3", {"ok": "1"}),
        (":novalue\tx:1", {"x": "1"}),
        ("dup:1\tdup:2", {"dup": "2"}),
        ("a.b_c-D9:1\tutf:naïve", {"a.b_c-D9": "1", "utf": "naïve"}),
    ],
)
def test_labels_and_values_become_fields(line, body):
    assert parse("", line).bodies == [body]


@pytest.mark.parametrize("line", ["", "no label", "x 1", ":only", "é:1"])
def test_a_line_without_a_label_does_not_parse(line):
    assert parse("", line).bodies == [None]


def test_types_and_times_are_read():
    found = parse("time_key t\ntime_format %s\ntypes n:integer", "t:7\tn:5", "t:soon\tn:5", "n:x")
    assert found.times == [7_000_000_000, None, None]
    assert found.bodies == [{"n": 5}, None, {"n": 0}]


@given(
    fields=st.dictionaries(
        st.text("abc._-9", min_size=1, max_size=3), st.text("xyz :=é", max_size=5), min_size=1
    )
)
def test_what_was_written_is_read(fields):
    line = "\t".join(f"{key}:{value}" for key, value in fields.items())
    assert parse("", line).bodies == [fields]


@given(lines=st.lists(st.binary(max_size=30), max_size=4))
def test_any_bytes_give_a_body_or_none_for_each_line(lines):
    texts = [line.decode("utf-8", "surrogateescape") for line in lines]
    found = parse("types a:integer\ntime_key t\ntime_format %s", *texts)
    assert len(found.bodies) == len(found.times) == len(texts)
