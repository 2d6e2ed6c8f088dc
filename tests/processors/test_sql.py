import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.config.errors import ConfigError
from tailrace.testing import chunk_of, make_plugin, run_filter

BODIES = (
    {"id": 1, "l": "yes", "x": {"y": 5}},
    {"id": 2, "l": "no", "f": 1.5},
    {"id": 3, "n": None},
)


def ids(where):
    query = {"query": f"SELECT id FROM STREAM WHERE {where};"}
    return [body["id"] for body in run_filter("sql", query, *BODIES, kind="processor")]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("id = 2", [2]),
        ("id > 1", [2, 3]),
        ("id >= 2 AND l = 'no'", [2]),
        ("l = 'yes' OR id = 3", [1, 3]),
        ("NOT id = 1", [2, 3]),
        ("f > 1.0", [2]),
    ],
)
def test_events_are_kept_where_the_condition_holds(where, expected):
    assert ids(where) == expected


def test_keys_are_chosen_and_renamed_in_the_order_of_the_record():
    query = {"query": "SELECT l AS level, id FROM STREAM;"}
    out = run_filter("sql", query, *BODIES, kind="processor")
    assert [list(body.items()) for body in out] == [
        [("id", 1), ("level", "yes")],
        [("id", 2), ("level", "no")],
        [("id", 3)],
    ]


def test_a_star_keeps_all_keys_and_events_keep_their_times():
    plugin = make_plugin("processor", "sql", {"query": "SELECT * FROM STREAM WHERE id > 1;"})
    chunk = chunk_of([dict(body) for body in BODIES])
    times = chunk.times
    out = plugin.process(chunk)
    assert (out.bodies, out.times) == (list(BODIES[1:]), times[1:])


@pytest.mark.parametrize(
    "query", ["", "SELECT", "SELECT a", "SELECT a FROM STREAM WHERE;", "DELETE * FROM STREAM;"]
)
def test_what_is_no_query_is_refused(query):
    with pytest.raises(ConfigError, match="query"):
        make_plugin("processor", "sql", {"query": query})


@given(
    bodies=st.lists(
        st.dictionaries(st.sampled_from("ab"), st.integers(-3, 3) | st.text("xy", max_size=2))
    ),
    limit=st.integers(-3, 3),
)
def test_a_comparison_of_numbers_is_the_plain_one(bodies, limit):
    query = {"query": f"SELECT * FROM STREAM WHERE a > {limit};"}
    expected = [body for body in bodies if type(body.get("a")) is int and body["a"] > limit]
    assert run_filter("sql", query, *map(dict, bodies), kind="processor") == expected
