"""Scripts in Lua."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.config.errors import ConfigError
from tailrace.model import Group
from tailrace.testing import EPOCH_NS, FakeContext, chunk_of, make_plugin, run_filter

pytest.importorskip("lupa.luajit21")

SAME = "function f(tag, time, record) return 2, time, record end"
COPY = "function f(tag, time, record) local t = {} for k, v in pairs(record) do t[k] = v end return 2, time, t end"


def lua(code, *bodies, context=None, **options):
    return run_filter("lua", {"call": "f", "code": code, **options}, *bodies, context=context)


def f(text, parameters="tag, time, record"):
    return f"function f({parameters}) {text} end"


def run_chunk(code, bodies, metadata=None, **options):
    context = FakeContext()
    plugin = make_plugin("filter", "lua", {"call": "f", "code": code, **options}, context)
    return plugin.process(chunk_of(bodies, metadata=metadata)), context


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(max_size=300),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
many_bodies = st.lists(st.dictionaries(st.text(), values, max_size=5), min_size=1, max_size=4)


def reused(code):
    """A function from bodies to bodies whose script is loaded once; for scripts that keep no state."""
    plugin = make_plugin("filter", "lua", {"call": "f", "code": code}, FakeContext())
    return lambda bodies: plugin.process(chunk_of([dict(body) for body in bodies])).bodies


nested = reused(f("return 2, time, {it = record}"))
same, copied = reused(SAME), reused(COPY)
adding = reused(f("record.in_it.new = 1 return 2, time, record"))


def exactly(value):
    """Unequal for 1 and 1.0, 0.0 and -0.0, and for another order of keys."""
    if isinstance(value, dict):
        return [(key, exactly(item)) for key, item in value.items()]
    if isinstance(value, list):
        return ["list", *map(exactly, value)]
    return type(value), repr(value)


@settings(deadline=None, max_examples=60)
@given(many_bodies)
def test_what_a_script_returns_untouched_comes_out_untouched(bodies):
    assert exactly(same(bodies)) == exactly(bodies)


@settings(deadline=None, max_examples=60)
@given(many_bodies)
def test_untouched_parts_of_a_changed_map_keep_type_and_order(bodies):
    given = [{"in_it": {key: body[key] for key in body if key != "new"}} for body in bodies]
    out = adding(given)
    for body, made in zip(given, out, strict=True):
        assert exactly(made["in_it"]) == exactly({**body["in_it"], "new": 1})


@settings(deadline=None, max_examples=50)
@given(many_bodies)
def test_the_record_itself_can_be_part_of_another(bodies):
    assert exactly(nested(bodies)) == exactly([{"it": body} for body in bodies])


@settings(deadline=None, max_examples=60)
@given(many_bodies)
def test_fields_copied_to_a_new_table_keep_their_type(bodies):
    without_null = [{k: v for k, v in body.items() if v is not None} for body in bodies]
    assert exactly(copied(bodies)) == exactly(without_null)


@pytest.mark.parametrize(
    ("text", "given", "expected"),
    [
        ("record.b = record.a + 1 return 2, 0, record", {"a": 1}, {"a": 1, "b": 2}),
        ("record.a = nil return 2, 0, record", {"a": 1, "b": 2}, {"b": 2}),
        ("record.a = 2 return 0, 0, record", {"a": 1}, {"a": 1}),
        ("record.a = 2", {"a": 1}, {"a": 1}),
        ("record.n = 5 return 2, 0, record", {"n": None}, {"n": 5}),
        ("return '2.9', 0, {c = 1.0}", {}, {"c": 1}),
        ("record.l[2] = nil return 2, 0, record", {"l": [1.0, 2]}, {"l": [1.0]}),
        ("table.remove(record.l) return 2, 0, record", {"l": [1]}, {"l": []}),
        ("record.m = record.big record.big = nil return 2, 0, record", {"big": 2**60 + 1}, {"m": 2**60 + 1}),
        ("return 2, 0, {x = -3, y = 2^40, z = 0.5, e = 2^60, h = 2^70}", {}, {"x": -3, "y": 2**40, "z": 0.5, "e": 2**60, "h": 2.0**70}),
        ("return 2, 0, {x = -129, y = -2^31, z = -2^40, w = 65536, v = 2^31}", {}, {"x": -129, "y": -(2**31), "z": -(2**40), "w": 65536, "v": 2**31}),
        ("return 2, 0, {x = 9007199254740993LL, y = 18446744073709551615ULL}", {}, {"x": 2**53 + 1, "y": 2**64 - 1}),
        ("return 2, 0, {[1] = 'a', x = 'b'}", {}, [{"1": "a", "x": "b"}]),
        ("return 2, 0, {t = {'a', x = 'b'}}", {}, {"t": {"1": "a", "x": "b"}}),
        ("return 2, 0, {t = {[3] = 1}}", {}, {"t": [None, None, 1]}),
        ("return 2, 0, {t = {[2^30] = 1}}", {}, {"t": {"1073741824": 1}}),
        ("return 2, 0, {s = '\\255'}", {}, {"s": "\udcff"}),
        ("return 2, 0, {s = string.rep('x', 100000)}", {}, {"s": "x" * 100000}),
    ],
)  # fmt: skip
def test_a_record_is_what_the_script_makes_of_it(text, given, expected):
    out = lua(f(text), given)
    assert exactly(sorted(out[0].items())) == exactly(
        sorted((expected[0] if isinstance(expected, list) else expected).items())
    )


def test_text_that_is_no_utf8_goes_through():
    assert lua(f("record.n = #record.s return 2, 0, record"), {"s": "a\udcff"}) == [
        {"s": "a\udcff", "n": 2}
    ]


def test_minus_1_drops_the_record_alone():
    code = f("if record.n == 2 then return -1, 0, 0 end return 0, 0, 0")
    assert lua(code, {"n": 1}, {"n": 2}, {"n": 3}) == [{"n": 1}, {"n": 3}]


def test_a_list_makes_several_records_with_the_time_and_metadata_of_one():
    code = f("return 1, time + 1, {{p = 1}, {p = 2}}")
    chunk, _ = run_chunk(code, [{"n": 1}], [{"m": 1}])
    assert chunk.bodies == [{"p": 1}, {"p": 2}]
    assert chunk.metadata == [{"m": 1}, {"m": 1}]
    assert chunk.times == [EPOCH_NS + 1_000_000_000] * 2


def test_a_list_of_records_with_text_keys_beside_them_makes_several_records():
    assert lua(f("return 2, 0, {{a = 1}, {b = 2}, n = 2}"), {}) == [{"a": 1}, {"b": 2}]


def test_an_empty_list_from_the_record_makes_no_record():
    assert lua(f("return 2, 0, record.l"), {"l": []}, {"l": [{"a": 1.0}]}) == [{"a": 1.0}]


@pytest.mark.parametrize(
    ("returned", "metadata"),
    [
        ("{{m = 1}, 'x'}, {{p = 1}, {p = 2}}", [{"m": 1}, {}]),
        ("{m = 1}, {{p = 1}, {p = 2}}", [{"m": 1}, {"m": 1}]),
        ("metadata, {{p = 1}, {p = 2}}", [{"k": 1.0}, {"k": 1.0}]),
        ("nil, {{p = 1}, {p = 2}}", [{"k": 1.0}, {"k": 1.0}]),
        ("{}, {p = 1}", None),
        ("record, metadata", [{"a": 1.0}]),
        ("{{m = 1}}, {{p = 1}, {p = 2}}", [{"k": 1.0}]),
        ("{{m = 1}, {m = 2}}, {p = 1}", [{"k": 1.0}]),
    ],
)
def test_metadata_is_a_map_or_a_list_as_long_as_the_records(returned, metadata):
    parameters = "tag, time, group, metadata, record"
    chunk, _ = run_chunk(f(f"return 2, time, {returned}", parameters), [{"a": 1.0}], [{"k": 1.0}])
    assert exactly(chunk.metadata) == exactly(metadata)
    assert chunk.bodies[0] == ({"k": 1.0} if returned == "record, metadata" else {"p": 1} if len(chunk) == 2 or metadata is None else {"a": 1.0})  # fmt: skip


def test_a_time_given_back_keeps_its_nanoseconds():
    plugin = make_plugin(
        "filter", "lua", {"call": "f", "code": f("return 1, time, {}")}, FakeContext()
    )
    assert plugin.process(chunk_of([{}], time_ns=EPOCH_NS + 123_456_789)).times == [
        EPOCH_NS + 123_456_789
    ]


@pytest.mark.parametrize(("returned", "expected"), [("5.25", 5_250_000_000), ("0", 0), ("nil", EPOCH_NS), ("time", EPOCH_NS), ("true", EPOCH_NS)])  # fmt: skip
def test_a_returned_time_is_taken_if_it_is_one(returned, expected):
    chunk, _ = run_chunk(f(f"return 1, {returned}, {{}}"), [{}])
    assert chunk.times == [expected]


@pytest.mark.parametrize("returned", ["-5", "1e12", "0/0", "1/0", "{sec = -1}", "{sec = 2^40}", "{sec = 1, nsec = 0/0}"])  # fmt: skip
def test_a_time_that_no_event_can_have_is_an_error(returned):
    options = {"time_as_table": "on"} if "sec" in returned else {}
    chunk, context = run_chunk(f(f"return 1, {returned}, {{x = 1}}"), [{"a": 1}], **options)
    assert (chunk.times, chunk.bodies) == ([EPOCH_NS], [{"a": 1}])
    assert "1970" in str(context.sink.messages)


def test_time_as_table_is_exact():
    code = f("time.sec = time.sec + 1 time.nsec = 7 return 1, time, {s = time.sec}")
    chunk, _ = run_chunk(code, [{}], time_as_table="on")
    assert chunk.times == [EPOCH_NS + 1_000_000_007]


def test_times_beyond_64_bit_stay():
    plugin = make_plugin(
        "filter", "lua", {"call": "f", "code": f("return 1, time, {}")}, FakeContext()
    )
    assert plugin.process(chunk_of([{}], time_ns=10**20)).times == [10**20]


def test_a_function_of_five_parameters_changes_metadata():
    parameters = "tag, time, group, metadata, record"
    code = f("metadata.n = metadata.n + 1 return 2, time, metadata, record", parameters)
    chunk, _ = run_chunk(code, [{"a": 1}, {"a": 2}], [{"n": 1, "f": 1.0}, {"n": 2}])
    assert chunk.metadata == [{"n": 2, "f": 1.0}, {"n": 3}]
    assert chunk.bodies == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    ("returned", "count"),
    [
        ("2, time, {q = 1}, {record, record}", 2),
        ("2, time, record.n == 1 and {m = 1} or nil, record", 3),
    ],
)
def test_records_share_no_metadata(returned, count):
    """What a later step notes at one record must not stand at others."""
    code = f(f"return {returned}", "tag, time, group, metadata, record")
    chunk, _ = run_chunk(code, [{"n": n} for n in range(1, count + 1)])
    maps = chunk.metadata_list()
    assert len({id(each) for each in maps}) == len(maps)


def test_records_and_metadata_may_be_lists():
    parameters = "tag, time, group, metadata, record"
    code = f("return 1, time, {{m = 1}, {m = 2}}, {{p = 1}, {p = 2}}", parameters)
    chunk, _ = run_chunk(code, [{"a": 1}])
    assert (chunk.metadata, chunk.bodies) == ([{"m": 1}, {"m": 2}], [{"p": 1}, {"p": 2}])


@pytest.mark.parametrize(
    "text",
    [
        "if record.n == 2 then error('no') end",
        "if record.n == 2 then error({}) end",
        "if record.n == 2 then return record.x.y end",
        "if record.n == 2 then return 1 end",
        "if record.n == 2 then return 2, 0, {{}, 7} end",
        "if record.n == 2 then return 2, 0, {x = print} end",
        "if record.n == 2 then record.me = record return 2, 0, record end",
        "if record.n == 2 then return f(tag, time, record) + 1 end",
        "if record.n == 2 then return 7, 0, record end",
        "if record.n == 2 then os.exit(3) end",
    ],
)
def test_an_error_leaves_one_record_as_it_was_counted_and_logged(text):
    context = FakeContext()
    code = f(text + " return 2, 0, {ok = record.n}")
    out = lua(code, {"n": 1}, {"n": 2, "f": 1.0}, {"n": 3}, context=context)
    assert exactly([body for body in out if "me" not in body]) == exactly(
        [{"ok": 1}, {"n": 2, "f": 1.0}, {"ok": 3}]
    )
    assert len(out) == 3
    errors = [message for level, message in context.sink.messages if level == "error"]
    assert len(errors) == 1
    assert context.metrics.by_name["tailrace_filter_errors_total"].values == {(): 1}


def test_a_record_nested_beyond_reason_stays_as_it_was():
    deep = leaf = {}
    for _ in range(900):
        leaf["d"] = {}
        leaf = leaf["d"]
    deeper = leaf = {"s": "\udcff"}
    for _ in range(2000):
        leaf["d"] = {}
        leaf = leaf["d"]
    out = lua(f("local any = next(record) return 2, 0, {n = 1}"), {"a": 1}, deeper, {"b": 1})
    assert out[0] == out[2] == {"n": 1}
    assert "s" in out[1]
    assert len(lua(SAME, deep)) == 1


def test_without_protected_mode_an_error_ends_the_agent():
    context = FakeContext()
    assert lua(f("error('no')"), {"n": 1}, context=context, protected_mode="off") == [{"n": 1}]
    assert context.exit_code == 1


def test_time_limit_ends_a_call_that_does_not_return():
    context = FakeContext()
    code = f("while record.n == 2 do end return 2, 0, {ok = record.n}")
    out = lua(code, {"n": 1}, {"n": 2}, {"n": 3}, context=context, time_limit="0.05")
    assert out == [{"ok": 1}, {"n": 2}, {"ok": 3}]
    assert "time_limit" in str(context.sink.messages)


def test_types_can_be_asked_for():
    code = f("record.new = 7/2 record.deep.n = 7/2 record.l = {} return 2, 0, record")
    given = {"n": 2.0, "x": 2.0, "deep": {"x": 1.0}, "newer": 1.5}
    out = lua(code, given, type_int_key="n new", type_array_key="l")
    assert exactly(sorted(out[0].items())) == exactly(
        sorted({"n": 2, "x": 2.0, "deep": {"x": 1.0, "n": 3}, "newer": 1.5, "new": 3, "l": []}.items())
    )  # fmt: skip


def test_flb_null_can_be_seen_and_set():
    code = f("record.same = record.a == flb_null record.b = flb_null return 2, 0, record")
    out = lua(code, {"a": None, "b": 1, "l": [None, 1, None]}, enable_flb_null="on")
    assert out == [{"a": None, "b": None, "l": [None, 1, None], "same": True}]
    text = f("record.a = tostring(record.a) return 2, 0, record")
    assert lua(text, {"a": None}, enable_flb_null="on") == [{"a": "userdata: NULL"}]


def test_compat_converts_as_the_original_does():
    given = {"n": None, "f": 1.0, "big": 2**53 + 1, "m": {"x": None, "f": 2.0}, "l": [None, 1.0]}
    out = lua(SAME, given, compat="on")
    assert exactly(sorted(out[0].items())) == exactly(
        sorted({"f": 1, "big": 2**53, "m": {"f": 2}, "l": [None, 1]}.items())
    )
    mixed = lua(f("return 2, 0, {t = {'a', x = 'b'}, count = 1.5, cou = 1.5}"), {}, compat="on", type_int_key="count")  # fmt: skip
    assert mixed == [{"t": ["a"], "count": 1, "cou": 1}]
    chunk, _ = run_chunk(f("return 1, time, record"), [{}], compat="on")
    assert chunk.times == [EPOCH_NS]


def test_not_a_number_survives():
    out = lua(f("record.b = record.a return 2, 0, record"), {"a": math.nan})
    assert math.isnan(out[0]["a"])
    assert math.isnan(out[0]["b"])


def test_variables_of_the_configuration_are_in_flb_env():
    context = FakeContext(variables={"SHADE": "teal"})
    assert lua(f("return 2, 0, {c = FLB_ENV.SHADE}"), {}, context=context) == [{"c": "teal"}]


def test_a_script_can_not_reach_python():
    assert lua(f("return 2, 0, {p = tostring(python)}"), {}) == [{"p": "nil"}]


def test_a_script_file_is_found_beside_the_configuration_and_so_are_its_modules(tmp_path):
    (tmp_path / "helper.lua").write_text("return {twice = function(n) return n * 2 end}")
    (tmp_path / "s.lua").write_text(
        "local h = require('helper')\nlocal n = 0\n"
        + f("n = n + 1 return 2, 0, {n = n, twice = h.twice(record.n)}")
    )
    out = run_filter(
        "lua", "script s.lua\ncall f", {"n": 2}, {"n": 5}, context=FakeContext(config_dir=tmp_path)
    )
    assert out == [{"n": 1, "twice": 4}, {"n": 2, "twice": 10}]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"call": "f"}, "script"),
        ({"code": SAME}, "call is missing"),
        ({"call": "f", "script": "nowhere.lua"}, "nowhere.lua"),
        ({"call": "f", "code": "function f("}, "does not load"),
        ({"call": "f", "code": "error('at once')"}, "at once"),
        ({"call": "g", "code": SAME}, "no function 'g'"),
    ],
)
def test_a_script_that_will_not_do_is_refused_at_the_start(section, message):
    with pytest.raises(ConfigError, match=message):
        run_filter("lua", section, {})


@settings(deadline=None, max_examples=30)
@given(many_bodies)
def test_one_chunk_or_many_makes_no_difference(bodies):
    code = f("if record.a then return -1, 0, 0 end record.n = 1.5 return 2, 0, record")
    plugin = make_plugin("filter", "lua", {"call": "f", "code": code}, FakeContext())
    one_by_one = [body for each in bodies for body in plugin.process(chunk_of([dict(each)])).bodies]
    assert exactly(plugin.process(chunk_of(bodies)).bodies) == exactly(one_by_one)


def fields(code, **options):
    """The fields that cross into Lua; None: all do."""
    section = {"call": "f", "code": code, **options}
    return make_plugin("filter", "lua", section, FakeContext()).script.fields


NARROW = [
    ("record.new = record.a return 2, time, record", ["a"]),
    ("record.a = nil return 2, time, record", []),
    ("record.a = nil record.b = record.a return 2, time, record", ["a"]),
    ("if record.a == 'x' then return -1, 0, 0 end return 0, 0, 0", ["a"]),
    ("record.a = record.b and record.b.x return 1, time, record", ["b"]),
    ("record.new = {record.a, record.b} return 2, time, record", ["a", "b"]),
    ("local t = {} for i = 1, 3 do t[i] = record.a end record.b = t return 2, time, record", ["a"]),
    ("return 2, time, {x = record.a}", ["a"]),
    ("return 2, time, {{x = record.a}, {y = record.b}}", ["a", "b"]),
    ("if record.a then record.c = type(record.a) .. type(record.b) end return 2, time, record", ["a", "b"]),
    ("record.b = tostring(#tag) record.b = record.b .. 'x' return 2, time, record", ["b"]),
]  # fmt: skip
WIDE = [
    "for k in pairs(record) do end return 2, time, record",
    "local r = record r.x = 1 return 2, time, record",
    "record[record.a or 'x'] = 1 return 2, time, record",
    "keep = record return 2, time, record",
    "record.me = {record} return 0, 0, 0",
    "record[1] = 2 return 2, time, record",
    "local g = function() return record end return 2, time, g()",
    "if record then return 2, time, record end",
    "if record == nil then return 0, 0, 0 end return 2, time, record",
    "return tostring(record) and 2, time, record",
    "return 2, time, next(record) and record",
    "return 2, time, #record > 0 and record or record",
    "local a, b, c = 1, record, 3 return 2, time, b",
    "return select(2, 1, 2, time, record)",
    "local t = {record} return 2, time, t[1]",
    "-- debug\n return 2, time, record",
    "f = nil return 2, time, record",
    "return 2, record, record",
    "return record, time, record.a",
    "return 2, time, record, record",
]
short_values = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=3) | st.sampled_from(["\udcff", b"\xff"]) | st.dictionaries(st.sampled_from("xy"), st.integers(0, 3))  # fmt: skip
short_bodies = st.lists(st.dictionaries(st.sampled_from("abcd"), short_values), min_size=1, max_size=4)  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), NARROW)
def test_only_fields_that_the_function_reads_cross(text, expected):
    assert fields(f(text)) == expected


@pytest.mark.parametrize("text", WIDE)
def test_all_fields_cross_when_it_can_not_be_told_which_the_function_reads(text):
    assert fields(f(text)) is None


def test_all_fields_cross_when_options_change_fields_that_the_script_does_not_name():
    code = f("record.b = record.a return 2, time, record")
    assert fields(code, compat="on") is None
    assert fields(code, type_int_key="x") is None
    assert fields(code, type_array_key="x") is None


def loosely(value):
    """Equal for 1 and 1.0, text and its bytes: a field that is only written takes the type of what is written to it."""
    if isinstance(value, dict):
        return {key: loosely(item) for key, item in value.items()}
    if isinstance(value, list):
        return [loosely(item) for item in value]
    return value.decode(errors="surrogateescape") if isinstance(value, bytes) else value


pairs_of_plugins = [(reused(f(text)), reused("-- debug\n" + f(text))) for text, _ in NARROW]


@settings(deadline=None, max_examples=120)
@given(st.sampled_from(pairs_of_plugins), short_bodies)
def test_it_makes_no_difference_which_fields_cross(plugins, bodies):
    narrow, wide = plugins
    assert loosely(narrow(bodies)) == loosely(wide(bodies))


def test_a_function_of_five_parameters_gets_the_fields_it_reads():
    parameters = "tag, time, group, metadata, record"
    code = f("record.c = record.a metadata.m = 2 return 2, time, metadata, record", parameters)
    assert fields(code) == ["a"]
    chunk, _ = run_chunk(code, [{"a": 1.0, "b": 2}, {"b": 3}], [{"k": 1}, {}])
    assert exactly(chunk.bodies) == exactly([{"a": 1.0, "b": 2, "c": 1}, {"b": 3}])
    assert chunk.metadata == [{"k": 1, "m": 2}, {"m": 2}]


def test_a_null_is_removed_by_nil_only_where_the_script_can_see_it():
    code = f("record.a = nil return 2, time, record")
    assert lua(code, {"a": None, "b": 1}) == [{"a": None, "b": 1}]
    assert lua(code, {"a": None, "b": 1}, enable_flb_null="on") == [{"b": 1}]
    assert lua("-- debug\n" + code, {"a": None, "b": 1}, enable_flb_null="on") == [{"b": 1}]


@pytest.mark.parametrize("count", [2, 15, 16, 40])
def test_any_number_of_fields_crosses_as_rows_and_as_maps(count):
    names = [f"k{number}" for number in range(count)]
    code = f(f"record.all = {' .. '.join(f'(record.{name} or 0)' for name in names)} return 2, 0, record")  # fmt: skip
    whole = dict.fromkeys(names, 1)
    assert fields(code) == names
    assert lua(code, dict(whole)) == [{**whole, "all": "1" * count}]
    part = dict.fromkeys(names[1::2], 1)
    assert lua(code, dict(whole), dict(part)) == [
        {**whole, "all": "1" * count},
        {**part, "all": ("01" * count)[:count]},
    ]


def test_an_error_between_two_calls_leaves_the_batch_as_it_was():
    context = FakeContext()
    late = "debug.sethook(function() debug.sethook() error('late') end, '', 40)"
    out = lua("jit.off() " + f(f"{late} return 2, 0, {{}}"), {"n": 1}, {"n": 2}, context=context)
    assert out == [{"n": 1}, {"n": 2}]
    assert "late" in str(context.sink.messages)


def test_an_error_that_can_not_be_shown_is_an_error_of_its_record():
    code = f(
        "if record.n == 1 then error(setmetatable({}, {__tostring = error})) end return 2, 0, {}"
    )
    context = FakeContext()
    assert lua(code, {"n": 1}, {"n": 2}, context=context) == [{"n": 1}, {}]
    assert "an error of type table" in str(context.sink.messages)


def test_a_function_of_five_parameters_gets_the_group_of_each_record():
    code = f(
        "record.shop = group.resource and group.resource.name group.resource = nil return 2, time, metadata, record",
        "tag, time, group, metadata, record",
    )
    plugin = make_plugin("filter", "lua", {"code": code, "call": "f"})
    chunk = chunk_of(
        [{"n": 1}, {"n": 2}, {"n": 3}, {"n": 4}], metadata=[{"m": n} for n in range(4)]
    )
    one, two = (Group({"g": 1}, {"resource": {"name": name}}) for name in ("one", "two"))
    chunk.groups = [one, one, None, two]
    result = plugin.process(chunk)
    assert [body.get("shop") for body in result.bodies] == ["one", "one", None, "two"]
    assert result.groups == [one, one, None, two]
    assert result.metadata == [{"m": n} for n in range(4)]


def test_a_large_group_is_read_once_for_its_records():
    code = f(
        "group.seen = (group.seen or 0) + 1 record.seen = group.seen return 2, time, metadata, record",
        "tag, time, group, metadata, record",
    )
    plugin = make_plugin("filter", "lua", {"code": code, "call": "f"})
    for size, seen in [(10, [1] * 100), (1 << 20, list(range(1, 101)))]:
        chunk = chunk_of([{"n": number} for number in range(100)])
        chunk.groups = [Group({}, {"resource": "x" * size})] * 100
        assert [body["seen"] for body in plugin.process(chunk).bodies] == seen
