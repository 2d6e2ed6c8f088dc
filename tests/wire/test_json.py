"""JSON: what is read comes back, what is printed can be read, and no bytes break it."""

import json as plain_json
import math
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tailrace.wire import json

leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
bodies = st.dictionaries(st.text(max_size=4), values, max_size=4)
texts = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('"\\,\x7f\n'))
any_bytes = st.binary(max_size=60) | st.text('{}[]",:\\1e-.tn\n ', max_size=40).map(str.encode)


@given(st.lists(bodies, max_size=4), st.booleans())
def test_what_is_printed_is_read_back(found, escape):
    lines = json.Encoder(escape).lines(found)
    assert json.decode_lines(lines) == found


@given(texts.filter(lambda text: not re.search("[\ue080-\ue0ff]", text)))
def test_printed_text_has_only_printable_ascii(text):
    assert all(0x20 <= byte < 0x7F for byte in json.encode({text: text}))


@given(st.lists(texts, max_size=4), st.booleans())
@example(['",', "x"], True)
def test_lines_of_text_are_printed_as_their_bodies_would_be(found, escape):
    encoder = json.Encoder(escape)
    assert encoder.text_lines("log", found) == encoder.lines([{"log": text} for text in found])


@given(st.lists(any_bytes, max_size=4))
@example([b'{"a":1}', b'1],[{"b":2}', b"{}"])
@example([b'{"a":[1', b'2]},3,{"b":4}', b"{}"])
def test_a_batch_reads_each_line_as_it_is_alone(lines):
    lines = [line.replace(b"\n", b"") for line in lines]
    assert json.decode_lines(lines) == [json.decode_line(line) for line in lines]


@given(st.lists(st.text(max_size=20) | bodies.map(plain_json.dumps), max_size=4))
@example(['{"a":[1', '2]},3,{"b":4}', "{}"])
def test_text_is_read_as_its_bytes_are(lines):
    raw = [line.encode("utf-8", "surrogatepass") for line in lines]
    assert json.decode_texts(lines) == [json.decode_line(line) for line in raw]


@given(any_bytes)
def test_any_bytes_give_an_object_or_nothing(data):
    found = json.decode_line(data)
    assert found is None or type(found) is dict


@given(any_bytes)
def test_any_stream_gives_values_and_a_place_within_it(data):
    found, consumed, error = json.decode_stream(data)
    assert 0 <= consumed <= len(data)
    assert type(found) is list
    assert error is None or isinstance(error, json.JSONError)


@given(
    st.lists(bodies, min_size=1, max_size=4), st.sampled_from(["", "\n", " ", "\n\n"]), st.data()
)
def test_a_stream_in_two_pieces_is_the_stream(found, between, data):
    whole = between.join(plain_json.dumps(body) for body in found).encode()
    cut = data.draw(st.integers(0, len(whole)))
    first, consumed, error = json.decode_stream(whole[:cut])
    assert error is None
    second, end, error = json.decode_stream(whole[consumed:])
    assert (first + second, consumed + end, error) == (found, len(whole), None)


def test_deep_nesting_is_refused_and_not_followed():
    deep = b'{"a":' * 200_000 + b"1" + b"}" * 200_000
    assert json.decode_line(deep) is None
    assert json.decode_lines([deep, b'{"n":1}']) == [None, {"n": 1}]
    _, consumed, error = json.decode_stream(deep)
    assert (consumed, "nested" in str(error)) == (0, True)


def test_what_is_nested_too_deeply_to_print_ends_in_null():
    body = {"raw": b"x"}
    for _ in range(5_000):
        body = {"a": body}
    printed = json.encode(body)
    assert printed.count(b'{"a":') == json.MOST_DEPTH + 1
    assert b":null}" in printed


@pytest.mark.parametrize(
    "cut",
    [
        '{"a":"\\ud83d\\ude00',
        '{"a":"\\',
        '{"a":"\\u',
        '{"a":"\\u00e',
        '{"a":"\\ud83d\\u',
        "[1.",
        "[1.5e",
        "[1E-",
        "[-",
        "[tru",
    ],
)
def test_a_value_cut_inside_an_escape_or_a_number_is_waited_for(cut):
    assert json.decode_stream(cut.encode()) == ([], 0, None)


@pytest.mark.parametrize(
    "wrong", ['{"a":"\\uzz', '{"a":"\\u00"', "[1.e", "[1.x", '["1"e', "[1 e", "[x"]
)
def test_what_no_more_text_can_mend_is_an_error(wrong):
    _, consumed, error = json.decode_stream(wrong.encode())
    assert consumed == 0
    assert isinstance(error, json.JSONError)


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        ({"a": b"\xff\x41"}, rb'{"a":"%sA"}' % "\ue0ff".encode()),
        ({"a": "\udcff"}, b'{"a":"%s"}' % "\ue0ff".encode()),
        ({"a": "\ud800"}, b'{"a":"\\ufffd"}'),
        ({"a": 1 << 70}, b'{"a":1.1805916207174113e+21}'),
        ({1: "x", b"k": None}, b'{"1":"x","k":null}'),
        ({"a": "é😀\x7f"}, b'{"a":"\\u00e9\\ud83d\\ude00\\u007f"}'),
    ],
)
def test_what_json_can_not_hold_is_printed_all_the_same(value, printed):
    assert json.encode(value) == printed


@pytest.mark.parametrize(
    ("line", "body"),
    [
        (b'{"a":"\xff"}', {"a": "\udcff"}),
        (b'{"a":1,"b":2,"a":3}', {"a": 3, "b": 2}),
        (b'{"a":123456789012345678901234567890}', {"a": 1.2345678901234568e29}),
        (b'{"a":1%s}' % (b"0" * 350), {"a": math.inf}),
        (rb'{"a":"\ud800x","\udcff":"\\ud800"}', {"a": "\ufffdx", "\ufffd": "\\ud800"}),
        (rb'{"a":"\ude00\ud83d\uDE00"}', {"a": "\ufffd😀"}),
        (b'{"a":NaN}', None),
        (b'{"a":1} x', None),
        (b'{"a":%s}' % (b"9" * 500), None),
        (b"[1]", None),
    ],
)
def test_odd_lines_are_read_or_refused(line, body):
    assert json.decode_line(line) == body


@pytest.mark.parametrize(
    ("stream", "values"),
    [
        (b'{"a":1,}', [{"a": 1}]),
        (b'[{"a":1} , ]{"b":[2,]}', [[{"a": 1}], {"b": [2]}]),
        (b'{"a":012,"b":-007.5,"c":00}', [{"a": 12, "b": -7.5, "c": 0}]),
        (b'{"a":1e05,"b":1e-05,"c":0.05,"d":100,}', [{"a": 1e5, "b": 1e-5, "c": 0.05, "d": 100}]),
        (rb'{"a":"01,}\" ,]",}', [{"a": '01,}" ,]'}]),
        (b'{"a":1}\0{"b":2}\0', [{"a": 1}, {"b": 2}]),
    ],
)
def test_slips_that_fluent_bit_reads_over_do_no_harm(stream, values):
    assert json.decode_stream(stream) == (values, len(stream), None)


@pytest.mark.parametrize("stream", [b'{"a":1,,}', b"{,}", b'{"a"}', b"[,]x", b'{"a":0x1}'])
def test_other_slips_are_errors(stream):
    _, _, error = json.decode_stream(stream)
    assert error is not None


def test_a_slip_that_is_cut_is_read_when_the_rest_is_there():
    stream = b'{"a":012,}'
    for cut in range(1, len(stream)):
        assert json.decode_stream(stream[:cut]) == ([], 0, None)


def test_odd_values_in_a_stream_are_read_too():
    stream = rb'{"a":"\ud800"}{"b":1%s}' % (b"0" * 350)
    assert json.decode_stream(stream) == ([{"a": "\ufffd"}, {"b": math.inf}], len(stream), None)


def test_a_body_that_has_the_date_key_keeps_its_own():
    lines = json.Encoder().dated_lines(
        [{"date": 1}, {}, {"a": 2}], [7, 8, 9], "date", b"%d".__mod__
    )
    assert lines == [b'{"date":1}', b'{"date":8}', b'{"date":9,"a":2}']


@pytest.mark.parametrize("between", [" ", "\n"])
def test_an_error_names_the_byte_where_json_ends(between):
    _, consumed, error = json.decode_stream(f'{{"é":1}}{between}{{"b" 2}}'.encode())
    assert (consumed, error.position) == (9, 14)


@given(st.lists(any_bytes.filter(lambda line: b"\n" not in line), min_size=1, max_size=5))
@example([b'{"a":1}', b"plain", b'{"b":2}'])
@example([b'{"a":[1', b"2]}", b"{},{}"])
def test_a_block_is_decoded_as_its_lines(lines):
    expected = [json.decode_line(line) for line in lines]
    assert json.decode_lines(lines) == expected
    assert json.decode_block(b"\n".join(lines)) == expected


@given(st.text() | st.text(st.sampled_from('\\xU"é\x7f\ue081中🙂')))
@example("C:\\Users\\xé\U00100000")
def test_only_characters_beyond_ascii_become_escapes(text):
    printed = json.encode(text)
    if re.search("[\ue080-\ue0ff]", text):
        printed = printed.decode().encode("ascii", "backslashreplace")
    else:
        assert printed == json.encode_basestring_ascii(text).encode().replace(b"\x7f", b"\\u007f")
    assert plain_json.loads(printed) == text


lines = st.text(st.characters(exclude_categories=["Cs"]).filter(lambda c: c != "\n"))


@given(st.lists(lines, min_size=1, max_size=4), st.booleans())
@example(["`~^|@#$&", "é"], True)
@example(["`~^ é"], True)
@example(["\x7f é 🙂 \\n", 'a"b'], True)
@example(["\x7f"], True)
def test_a_block_is_printed_as_its_lines(texts, escape):
    encoder = json.Encoder(escape)
    printed = encoder.block("log", "\n".join(texts).encode(), b"<{", b">\n")
    if printed is None:
        text = "".join(texts)
        assert re.search("[\x7f\ue080-\ue0ff]", text) or set("`~^|@#$&") <= set(text)
    else:
        expected = [b"<" + line for line in encoder.text_lines("log", texts)]
        assert printed == b">\n".join(expected)


def test_a_block_that_is_no_utf_8_is_not_printed_in_one_go():
    assert json.ENCODER.block("log", b"a\n\xff", b"{", b"\n") is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e-7, b"1e-07"),
        (-2.5e-9, b"-2.5e-09"),
        (1e-10, b"1e-10"),
        ("e-7,1e-7}", b'"e-7,1e-7}"'),
        ([1e-7, "1e-7", 'q"1e-7,', 3e-8], b'[1e-07,"1e-7","q\\"1e-7,",3e-08]'),
    ],
)
def test_small_exponents_have_two_digits(value, text):
    assert json.Encoder().one({"a": value}) == b'{"a":' + text + b"}"
    assert json.Encoder().dated_text([{"a": value}], "d", [0]) == b'{"d":0,"a":' + text + b"}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e15, b"1000000000000000.0"),
        (1e16, b"10000000000000000.0"),
        (-1.5e17, b"-150000000000000000.0"),
        (123456789012345678.0, b"123456789012345680.0"),
        (-(2.0**63), b"-9223372036854775808.0"),
        (2.0**64, b"1.8446744073709552e+19"),
        (1e22, b"1e+22"),
        (0.0001, b"0.0001"),
        (0.00001, b"1e-05"),
        (-0.0000123, b"-1.23e-05"),
        (10.00001, b"10.00001"),
        (1700000000.000001, b"1700000000.000001"),
        ([-20.00001, 0.00001, 1230.00004], b"[-20.00001,1e-05,1230.00004]"),
        ("0.00001,1e+16,", b'"0.00001,1e+16,"'),
        ([1e16, "1e+16", 'q"1e+16,', 0.00002], b'[10000000000000000.0,"1e+16","q\\"1e+16,",2e-05]'),
    ],
)
def test_floats_are_printed_as_c_does(value, text):
    assert json.Encoder().one({"a": value}) == b'{"a":' + text + b"}"
    assert json.Encoder().dated_text([{"a": value}], "d", [0]) == b'{"d":0,"a":' + text + b"}"


@pytest.mark.parametrize("pluses", [0, 1, json.FEW - 1, json.FEW, json.FEW + 1])
@pytest.mark.parametrize(("value", "text"), [(1e16, b"10000000000000000.0"), (1.0, b"1.0")])
def test_large_floats_are_found_behind_any_number_of_pluses(pluses, value, text):
    found = json.Encoder().one([("+" * pluses), value])
    assert found == b'["%b",%b]' % (b"+" * pluses, text)


def near(digits, exponent):
    return digits * 10.0**exponent


FLOATS = (
    st.floats(allow_nan=False, allow_infinity=False)
    | st.builds(near, st.integers(-(10**6), 10**6), st.integers(-10, 20))
    | st.builds(
        lambda whole, part: whole + part / 10**6, st.integers(-3000, 3000), st.integers(0, 200)
    )
)


@given(st.lists(FLOATS, min_size=1, max_size=6))
@example([1e-5, 10.00001])
def test_a_float_is_the_same_number_whatever_stands_beside_it(values):
    bodies = [{"a": value, "l": values} for value in values]
    text = json.Encoder().text(bodies)
    assert [plain_json.loads(line) for line in text.split(b"\n")] == bodies
    assert [json.Encoder().one(body) for body in bodies] == text.split(b"\n")


@pytest.mark.parametrize("guess", [b"7", b"7,9", b"9,8"])
def test_lines_that_guess_half_of_the_mark_are_no_objects(monkeypatch, guess):
    monkeypatch.setattr("tailrace.wire.json.urandom", lambda size: bytes([7, 8]))
    lines = [b'{"a":[1', b'2]},%s,{"b":1}' % guess, b'{"c":1}']
    assert json.decode_lines(lines) == [None, None, {"c": 1}]
