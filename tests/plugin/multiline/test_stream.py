import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.config.errors import Place, Problems
from tailrace.config.source import Section
from tailrace.plugin.multiline import Joined, Stream, built_in, make_rules
from tailrace.plugin.multiline.stream import MOST_GROUPS, cut
from tailrace.testing import entries_of, make_parser

NOW = 1_700_000_000_000_000_000
SECOND = 1_000_000_000
LIST = 'name list\ntype regex\nrule "start_state" "/^- /" "cont"\nrule "cont" "/^  /" "cont"'


def parser_of(text):
    problems = Problems()
    section = Section("multiline_parser", Place("test.conf"), entries_of(text))
    made = make_rules(section, problems, lambda name: make_parser("name js\nformat json"))
    assert made is not None, problems
    return made


def feed(stream, lines, now=NOW, first=0, flush=False):
    out = Joined()
    stream.feed_lines(lines, range(first, first + len(lines)), now, out)
    if flush:
        stream.flush(out)
    return out


def logs(text, lines, **options):
    return [
        body["log"] for body in feed(Stream([parser_of(text)], **options), lines, flush=True).bodies
    ]


def join_bodies(stream, bodies, origin="a", metadata=None, flush=True):
    out = Joined()
    times = [NOW + index * SECOND for index in range(len(bodies))]
    stream.feed_bodies([dict(body) for body in bodies], times, metadata, origin, NOW, out)
    if flush:
        stream.flush(out)
    return out


# Lines


def test_lines_that_go_on_are_joined_and_others_stay_alone():
    assert logs(LIST, ["x", "- one", "  a", "- two", "y"]) == [
        "x\n",
        "- one\n  a\n",
        "- two\n",
        "y\n",
    ]


def test_an_event_has_the_time_and_the_origin_of_its_first_line():
    stream = Stream([parser_of(LIST)])
    assert feed(stream, ["- one"], NOW, first=7).bodies == []
    out = feed(stream, ["  a", "end"], NOW + SECOND, first=8)
    assert out.times == [NOW, NOW + SECOND]
    assert out.origins == [7, 9]


def test_empty_lines_inside_a_message_stay():
    text = 'name x\ntype regex\nrule "start_state" "/^- /" "c"\nrule "c" "/^$|^  /" "c"'
    assert logs(text, ["- one", "", "", "  a"]) == ["- one\n\n\n  a\n"]


def test_an_empty_line_that_no_rule_takes_gives_no_event():
    assert logs(LIST, ["- one", "", "x"]) == ["- one\n", "x\n"]


def test_a_rule_that_leads_to_the_start_completes_the_message_at_once():
    text = LIST + '\nrule "cont" "/^end/" "start_state"'
    stream = Stream([parser_of(text)])
    assert [body["log"] for body in feed(stream, ["- one", "end"]).bodies] == ["- one\nend\n"]
    assert stream.held() == []


def test_lines_that_go_on_with_nothing_are_joined_with_each_other():
    assert logs(LIST, ["- one", "x", "  a", "  b"]) == ["- one\n", "x\n", "  a\n  b\n"]


@pytest.mark.parametrize(
    ("text", "lines", "expected"),
    [
        ("type endswith\nmatch_string \\\nnegate on", ["a \\", "b", "c"], ["a \\\nb\n", "c\n"]),
        ("type endswith\nmatch_string END", ["a", "b END", "c"], ["a\nb END\n", "c\n"]),
        ("type equal\nmatch_string --", ["a", " --", "--", "b"], ["a\n --\n--\n", "b\n"]),
    ],
)
def test_a_text_may_end_a_message(text, lines, expected):
    assert logs(f"name x\n{text}", lines) == expected


def test_lines_of_an_inner_parser_are_joined_by_key_and_group():
    text = "name x\ntype eq\nmatch_string no\nkey_content m\nkey_pattern more\nkey_group src\nparser js"
    out = feed(
        Stream([parser_of(text)]),
        [
            '{"m":"a1 ","more":"yes","src":"A","n":1}',
            '{"m":"b1 ","more":"yes","src":"B","n":2}',
            '{"m":"a2","more":"no","src":"A","n":3}',
            '{"m":"b2","more":"no","src":"B","n":4}',
        ],
    )
    assert out.bodies == [
        {"m": "a1 a2", "more": "yes", "src": "A", "n": 1},
        {"m": "b1 b2", "more": "yes", "src": "B", "n": 2},
    ]
    assert out.origins == [0, 1]


def test_what_the_inner_parser_does_not_take_stands_alone_under_its_key():
    text = LIST + "\nparser js\nkey_content msg"
    out = feed(
        Stream([parser_of(text)]), ['{"msg":"- a","n":1}', "text", '{"other":1}'], flush=True
    )
    assert out.bodies == [{"msg": "- a", "n": 1}, {"msg": "text"}, {"msg": '{"other":1}'}]


def test_the_parser_that_took_the_last_line_is_asked_first():
    one = parser_of("name a\ntype regex\nrule start_state /^x/ c\nrule c /^y/ c")
    two = parser_of("name b\ntype regex\nrule start_state /^[xz]/ c\nrule c /^y/ c")
    out = feed(Stream([one, two]), ["z", "y", "x"], flush=True)
    assert [body["log"] for body in out.bodies] == ["z\ny\n", "x\n"]


def test_more_groups_than_the_limit_give_out_the_oldest():
    text = "name x\ntype eq\nmatch_string no\nkey_content m\nkey_pattern more\nkey_group src\nparser js"
    stream = Stream([parser_of(text)])
    lines = [f'{{"m":"{n}","more":"yes","src":"{n}"}}' for n in range(MOST_GROUPS + 10)]
    out = feed(stream, lines)
    assert len(stream.held()) <= MOST_GROUPS
    assert out.bodies[0]["m"] == "0"
    stream.flush(out)
    assert len(out.bodies) == len(lines)


# Limits


def test_a_message_beyond_the_limit_is_cut_marked_and_counted():
    cuts = []
    stream = Stream([parser_of(LIST)], limit=20, on_truncated=lambda: cuts.append(1))
    out = feed(stream, ["- 12345678", "  abcdefghij", "  next", "end"], flush=True)
    assert [body["log"] for body in out.bodies] == ["- 12345678\n  abcdefg\n", "  next\n", "end\n"]
    assert out.metadata == [{"multiline_truncated": True}, {}, {}]
    assert cuts == [1]


@pytest.mark.parametrize("line", ["- " + "x" * 40, "y" * 40])
def test_a_line_beyond_the_limit_is_cut_and_marked(line):
    out = feed(Stream([parser_of(LIST)], limit=20), [line, "end"], flush=True)
    assert [body["log"] for body in out.bodies] == [line[:20] + "\n", "end\n"]
    assert out.metadata == [{"multiline_truncated": True}, {}]


def test_parts_beyond_the_limit_come_as_several_events():
    cuts = []
    stream = Stream([built_in("docker")], limit=20, on_truncated=lambda: cuts.append(1))
    lines = [f'{{"log":"{n * 8}"}}' for n in "abc"] + ['{"log":"end\\n"}']
    out = feed(stream, lines, flush=True)
    assert "".join(body["log"] for body in out.bodies) == "aaaaaaaabbbbbbbbcccccccc" + "end\n"
    assert out.metadata == [{"multiline_truncated": True}, {}]
    assert cuts == [1]


def test_the_limit_counts_bytes_and_cuts_between_characters():
    assert cut("aäöü", 4) == "aä"
    assert cut("aäöü", 5) == "aäö"
    out = feed(Stream([parser_of(LIST)], limit=5), ["äöü"], flush=True)
    assert out.bodies == [{"log": "äö\n"}]


def test_a_line_that_a_rule_takes_too_long_for_stands_alone(monkeypatch):
    monkeypatch.setattr("tailrace.plugin.multiline.stream.BATCH_SECONDS", 0.05)
    monkeypatch.setattr("tailrace.plugin.multiline.stream.LINE_SECONDS", 0.05)
    slow = []
    text = 'name x\ntype regex\nrule start_state "/^(a|aa)+$/" c\nrule c /^y/ c'
    stream = Stream([parser_of(text)], on_slow=slow.append)
    out = feed(stream, ["aa", "y", "a" * 60 + "!", "aa", "a" * 60 + "!", "y"], flush=True)
    assert slow == ["x"]
    assert "".join(body["log"] for body in out.bodies).split("\n")[:-1] == [
        "aa",
        "y",
        "a" * 60 + "!",
        "aa",
        "a" * 60 + "!",
        "y",
    ]


# Waiting


def test_a_message_is_due_when_no_line_came_for_a_while():
    stream = Stream([parser_of(LIST)])
    feed(stream, ["- one"], NOW)
    feed(stream, ["  a"], NOW + SECOND)
    out = Joined()
    stream.flush_due(NOW, out)
    assert out.bodies == []
    stream.flush_due(NOW + SECOND, out)
    assert out.bodies == [{"log": "- one\n  a\n"}]


def test_one_group_is_due_without_the_others():
    stream, out = Stream([built_in("cri")]), Joined()
    feed(stream, ["2022-03-04T05:06:07.1Z stdout P old "], NOW)
    feed(stream, ["2022-03-04T05:06:07.2Z stderr P new "], NOW + SECOND)
    stream.flush_due(NOW, out)
    assert [body["log"] for body in out.bodies] == ["old "]
    assert [group.origin for group in stream.held()] == [0]


# Bodies


def test_bodies_are_joined_by_their_key_and_keep_the_first_ones_fields():
    out = join_bodies(
        Stream([parser_of(LIST)], key_content="msg"),
        [{"msg": "- one", "n": 1}, {"msg": "  a", "n": 2}, {"n": 3}, {"msg": 4}, {"msg": "x"}],
    )
    assert out.bodies == [{"msg": "- one\n  a", "n": 1}, {"n": 3}, {"msg": 4}, {"msg": "x"}]
    assert out.times == [NOW, NOW + 2 * SECOND, NOW + 3 * SECOND, NOW + 4 * SECOND]


def test_a_text_that_ends_in_a_line_feed_gets_no_second_one():
    stream = Stream([built_in("java")], key_content="log")
    out = join_bodies(stream, [{"log": "a.Error: x\n"}, {"log": "\tat b\n"}, {"log": "\tat c\n"}])
    assert out.bodies == [{"log": "a.Error: x\n\tat b\n\tat c\n"}]


def test_the_last_line_of_a_message_comes_once():
    bodies = [
        {"t": "Traceback (most recent call last):", "id": 1},
        {"t": '  File "x.py", line 1, in f', "id": 2},
        {"t": "    g()", "id": 3},
        {"t": "NameError: g", "id": 4},
        {"t": "plain", "id": 5},
    ]
    out = join_bodies(Stream([built_in("python")], key_content="t"), bodies)
    assert [body["id"] for body in out.bodies] == [1, 5]


def test_an_inner_parser_takes_the_bodys_text_apart():
    text = LIST + "\nparser js\nkey_content m"
    out = join_bodies(
        Stream([parser_of(text)]),
        [{"m": '{"m":"- a","n":1}'}, {"m": '{"m":"  b","n":2}'}, {"m": "no json"}],
    )
    assert out.bodies == [{"m": "- a\n  b", "n": 1}, {"m": "no json"}]


def test_metadata_of_all_bodies_come_together():
    out = join_bodies(
        Stream([parser_of(LIST)], key_content="m"),
        [{"m": "- a"}, {"m": "  b"}, {"m": "x"}],
        metadata=[{"p": 1}, {"q": 2}, {"r": 3}],
    )
    assert out.metadata == [{"p": 1, "q": 2}, {"r": 3}]


def test_an_event_names_the_origin_of_each_of_its_bodies_once():
    stream = Stream([parser_of(LIST)], key_content="m")
    first = join_bodies(stream, [{"m": "- a"}, {"m": "  b"}], "one", flush=False)
    assert first.bodies == []
    second = join_bodies(stream, [{"m": "  c"}, {"m": "- d"}], "two", flush=False)
    assert second.origins == [["one", "two"]]
    assert [group.origin for group in stream.held()] == [["two"]]


# All together

LINES = st.lists(
    st.sampled_from(
        ["- x", "  y", "z", "a.Error: b", "\tat c", "Caused by: d", "...", "panic: e", ""]
    ),
    max_size=30,
)
PARSERS = st.sampled_from(["java", "go", "python", "ruby", "java,go", "python,java,ruby"])


@given(lines=LINES, names=PARSERS, at=st.integers(0, 30))
def test_one_batch_or_several_make_no_difference(lines, names, at):
    parsers = [built_in(name) for name in names.split(",")]
    whole = feed(Stream(parsers), lines, flush=True)
    stream = Stream(parsers)
    first, second = feed(stream, lines[:at]), feed(stream, lines[at:], first=at, flush=True)
    assert first.bodies + second.bodies == whole.bodies
    assert first.origins + second.origins == whole.origins


@given(lines=st.lists(st.text("aE:-. \t\r\u00e4\u20ac\udcff"), max_size=20), names=PARSERS)
def test_no_line_is_lost_or_comes_twice(lines, names):
    out = feed(Stream([built_in(name) for name in names.split(",")]), lines, flush=True)
    came = sorted(line for body in out.bodies for line in body["log"].split("\n"))
    assert [line for line in came if line] == sorted(line for line in lines if line)


ODD_RULES = [
    'rule "start_state" "/^(- |$)/" "cont"\nrule "cont" "/^(  |$)/" "cont"',
    'rule "start_state" "/^- /" "a"\nrule "a" "/^$|y/" "b"\nrule "b, a" "/z/" "start_state"',
    'rule "start_state, more" "/x/" "more"\nrule "more" "/^  /" "end"\nrule "end" "/y|z/" "more"',
    'rule "start_state" "/Error|^-/" "a"\nrule "start_state" "/^$/" "a"\nrule "a" "/^(?i:Y)/" "a"',
]


@given(
    batches=st.lists(
        st.lists(st.sampled_from(["- x", "  y", "z", "y", "", "an Error"]), max_size=8), max_size=4
    ),
    rules=st.sampled_from(ODD_RULES),
    key=st.sampled_from(["", "\nkey_content k"]),
)
def test_the_fast_way_gives_what_the_plain_one_gives(batches, rules, key):
    parser = parser_of(f"name x\ntype regex{key}\n{rules}")
    fast, plain = Stream([parser]), Stream([parser])
    plain._plain = None
    for number, batch in enumerate([*batches, None]):
        found, expected = Joined(), Joined()
        for stream, out in ((fast, found), (plain, expected)):
            if batch is None:
                stream.flush(out)
            else:
                stream.feed_lines(
                    batch, [(number, at) for at in range(len(batch))], NOW + number, out
                )
        assert found.bodies == expected.bodies
        assert found.times == expected.times
        assert found.origins == expected.origins
        held, due = fast.held(), plain.held()
        assert [(g.origin, g.touched_ns, g.size) for g in held] == [
            (g.origin, g.touched_ns, g.size) for g in due
        ]


CONTAINER_LINES = st.lists(
    st.sampled_from(
        [
            '{"log":"a","stream":"x"}',
            '{"log":"b\\n","stream":"x"}',
            '{"log":"c\\n","stream":"y"}',
            '{"log":"d\\n"}',
            '{"log":""}',
            '{"log":5}',
            '{"log":"e\\n","stream":["x"]}',
            "text",
            "2022-03-04T05:06:07Z x stdout P a",
            "2022-03-04T05:06:07Z stdout P b",
            "2022-03-04T05:06:07Z stdout F c",
            "2022-03-04T05:06:07Z stderr F ",
        ]
    ),
    max_size=10,
)


@given(lines=CONTAINER_LINES, names=st.sampled_from(["docker", "cri", "docker,cri", "cri,docker"]))
def test_whole_lines_of_containers_come_as_if_they_were_joined(lines, names):
    parsers = [built_in(name) for name in names.split(",")]
    fast, plain = Stream(parsers), Stream(parsers)
    plain._pass_whole = lambda lines, at, origins, out: at
    found, expected = feed(fast, lines, flush=True), feed(plain, lines, flush=True)
    assert found.bodies == expected.bodies
    assert (found.times, found.origins) == (expected.times, expected.origins)


BODIES = st.lists(
    st.dictionaries(
        st.sampled_from(["log", "stream", "_p", "time"]),
        st.none()
        | st.integers()
        | st.text("ab\n", max_size=5)
        | st.sampled_from(["P", "F", "x\n"]),
    ),
    max_size=20,
)


@given(bodies=BODIES, names=st.sampled_from(["docker", "cri", "java", "docker,cri"]))
def test_any_bodies_give_events_for_each_origin(bodies, names):
    stream = Stream([built_in(name) for name in names.split(",")], key_content="log")
    out = join_bodies(stream, bodies)
    assert len(out.bodies) <= len(bodies)
    texts = sum(len(body["log"]) for body in bodies if type(body.get("log")) is str)
    given_out = "".join(body["log"] for body in out.bodies if type(body.get("log")) is str)
    assert len(re.sub("\n", "", given_out)) <= texts
    assert stream.held() == []
