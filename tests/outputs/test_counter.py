"""The output counter."""

import json

from tailrace.testing import EPOCH_NS, run_output


def test_a_flush_is_one_line_with_its_events(capsys):
    run_output("counter", "", {"a": 1}, {"a": 2})
    line = capsys.readouterr().out
    assert line.endswith(',"serialized_events":2,"log_records":2,"total":2}\n')
    assert json.loads(line)["ts"] == EPOCH_NS // 1_000_000_000
