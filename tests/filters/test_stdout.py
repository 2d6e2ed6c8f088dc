from tailrace.testing import chunk_of, make_plugin


def test_each_event_is_printed_and_passes(capfdbinary):
    plugin = make_plugin("filter", "stdout")
    chunk = chunk_of(
        [{"a": 1, "n": None}, {"b": "\udcff"}], time_ns=1_500_000_000, metadata=[{"m": 1}, {}]
    )
    assert plugin.process(chunk) is chunk
    assert capfdbinary.readouterr().out == (
        b'[0] test: [1.500000000, {"m"=>1}, {"a"=>1, "n"=>nil}]\n'
        b'[1] test: [2.500000000, {}, {"b"=>"\xff"}]\n'
    )
