from tailrace.inputs.tail.joining import Keys
from tailrace.inputs.tail.streams import StreamJoiner, StreamRules
from tailrace.plugin.multiline import built_in

NOW = 1_700_000_000_000_000_000
SECOND = 1_000_000_000


def joiner(*names, keys=None, limit=0, cuts=None):
    rules = StreamRules(
        [built_in(name) for name in names],
        keys or Keys("log", "", ""),
        4 * SECOND,
        limit,
        lambda: cuts.append(1),
        lambda name: None,
    )
    return StreamJoiner(rules, "/x.log")


def test_what_may_go_on_is_held_from_its_first_line():
    join = joiner("java")
    events = join.feed(["a", "b.Error: x", "\tat y"], [0, 2, 13], NOW)
    assert events.bodies == [{"log": "a\n"}]
    assert join.held_from == 2
    assert join.due_ns == NOW + 4 * SECOND
    events = join.feed(["c"], [19], NOW + SECOND)
    assert events.bodies == [{"log": "b.Error: x\n\tat y\n"}, {"log": "c\n"}]
    assert join.held_from is None


def test_path_and_offset_stand_after_the_text_and_are_those_of_the_first_line():
    join = joiner("java", keys=Keys("log", "file", "at"))
    events = join.feed(["b.Error: x", "\tat y", "c"], [5, 16, 22], NOW)
    assert [list(body.items()) for body in events.bodies] == [
        [("log", "b.Error: x\n\tat y\n"), ("file", "/x.log"), ("at", 5)],
        [("log", "c\n"), ("file", "/x.log"), ("at", 22)],
    ]


def test_a_stream_that_waits_is_given_out_without_the_others():
    join = joiner("cri")
    join.feed(["2022-03-04T05:06:07Z stdout P old "], [0], NOW)
    join.feed(["2022-03-04T05:06:07Z stderr P new "], [40], NOW + 3 * SECOND)
    assert join.due_ns == NOW + 4 * SECOND
    events = join.flush_due(NOW + 4 * SECOND)
    assert [body["log"] for body in events.bodies] == ["old "]
    assert join.held_from == 40
    assert join.due_ns == NOW + 7 * SECOND
    assert [body["log"] for body in join.flush(NOW).bodies] == ["new "]
    assert join.held_from is None


def test_what_is_cut_is_counted():
    cuts = []
    events = joiner("java", limit=10, cuts=cuts).feed(["x" * 30], [0], NOW)
    assert events.metadata == [{"multiline_truncated": True}]
    assert cuts == [1]
