"""The input dummy."""

import pytest

from tailrace.testing import EPOCH_NS, FakeContext, make_plugin, run_input

SECOND = 1_000_000_000


def first_bodies(section, count=1, context=None):
    chunks = run_input("dummy", section, until=count, context=context)
    return [body for chunk in chunks for body in chunk.bodies][:count]


def first_times(section, count):
    chunks = run_input("dummy", section, until=count)
    return [time for chunk in chunks for time in chunk.times][:count]


def test_the_default_body_has_a_message():
    assert first_bodies("") == [{"message": "dummy"}]


def test_a_list_gives_one_event_for_each_object():
    chunks = run_input("dummy", 'dummy [{"n":1},{"n":2}]')
    assert chunks[0].bodies == [{"n": 1}, {"n": 2}]


def test_objects_one_after_another_give_one_event_each():
    chunks = run_input("dummy", 'dummy {"n":1}{"n":2} {"n":3}')
    assert chunks[0].bodies == [{"n": 1}, {"n": 2}, {"n": 3}]


@pytest.mark.parametrize(
    "text", ["{oops", "[]", "3", '[{"n":1}, 2]', '{"n":1} x', '{"n":1}{"m":', "[{}][{}]"]
)
def test_text_that_is_no_object_gives_the_default_and_a_warning(text):
    context = FakeContext("dummy.0")
    assert first_bodies(f"dummy {text}", context=context) == [{"message": "dummy"}]
    [(level, message)] = context.sink.messages
    assert level == "warn"
    assert text in message


def test_metadata_stands_beside_each_body():
    chunks = run_input("dummy", 'metadata {"host":"a"}\ncopies 2')
    assert chunks[0].metadata == [{"host": "a"}, {"host": "a"}]


def test_copies_share_nothing():
    plugin = make_plugin("input", "dummy", 'dummy {"a":{"b":1}}\ncopies 2')
    first, second = plugin.collect().bodies
    first["a"]["b"] = 9
    assert second == {"a": {"b": 1}}
    assert plugin.collect().bodies[0] == {"a": {"b": 1}}


def test_rate_is_collections_a_second():
    microseconds = [round((time - EPOCH_NS) / 1000) for time in first_times("rate 4", 3)]
    assert microseconds == [250_000, 500_000, 750_000]


def test_an_interval_takes_the_place_of_the_rate():
    times = first_times("rate 4\ninterval_sec 2\ninterval_nsec 500000000", 2)
    assert times == [EPOCH_NS + 5 * SECOND // 2, EPOCH_NS + 5 * SECOND]


def test_flush_on_startup_does_not_wait_for_the_first_interval():
    assert first_times("flush_on_startup on", 2) == [EPOCH_NS, EPOCH_NS + SECOND]


def test_no_more_collections_than_samples():
    context = FakeContext("dummy.0")

    async def twenty_seconds(plugin):
        for _ in range(20):
            await context.clock.sleep(1)

    chunks = run_input("dummy", "samples 2", until=2, context=context, during=twenty_seconds)
    assert len(chunks) == 2


def test_a_start_time_begins_there_and_goes_on_as_time_does():
    times = first_times("start_time_sec 100\nstart_time_nsec 7", 2)
    assert times == [100 * SECOND + 7, 101 * SECOND + 7]


def test_a_fixed_time_stands_still():
    assert first_times("start_time_sec 100\nfixed_timestamp on", 2) == [100 * SECOND] * 2


def test_the_tag_is_the_instance_unless_given():
    context = FakeContext("dummy.3")
    assert run_input("dummy", "", context=context)[0].tag == "dummy.3"
    assert run_input("dummy", "tag app", context=context)[0].tag == "app"


def test_samples_below_0_are_without_limit_as_in_fluent_bit():
    assert len(first_bodies("samples -1\nrate 1000", 3)) == 3
