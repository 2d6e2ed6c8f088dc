import pytest

from tailrace.config.errors import ConfigError
from tailrace.testing import EPOCH_NS, FakeContext, chunk_of, make_plugin, run_filter


def test_events_are_added_at_the_end_with_the_present_time():
    context = FakeContext()
    plugin = make_plugin("filter", "alter_size", "add 2", context)
    chunk = plugin.process(chunk_of([{"n": 1}], time_ns=5, metadata=[{"m": 1}]))
    assert chunk.bodies == [{"n": 1}, {"key": "alter_size 0"}, {"key": "alter_size 1"}]
    assert chunk.times == [5, EPOCH_NS, EPOCH_NS]
    assert chunk.metadata == [{"m": 1}, {}, {}]


@pytest.mark.parametrize(("remove", "left"), [(0, 3), (1, 2), (3, 0), (9, 0)])
def test_events_are_taken_from_the_end(remove, left):
    out = run_filter("alter_size", f"remove {remove}", {"n": 0}, {"n": 1}, {"n": 2})
    assert out == [{"n": number} for number in range(left)]


def test_nothing_is_added_to_nothing():
    assert run_filter("alter_size", "add 3") == []


def test_adding_and_removing_exclude_each_other():
    with pytest.raises(ConfigError, match="exclude each other"):
        make_plugin("filter", "alter_size", "add 1\nremove 1")
