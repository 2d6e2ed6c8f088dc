import pytest

from tailrace.cli import top
from tailrace.cli.asking import NoAnswer
from tailrace.cli.top import run, screen, size

NOW = {
    "version": "1",
    "uptime_sec": 5,
    "reloads": 0,
    "cpu_sec": 1.5,
    "memory_bytes": 40_000_000,
    "processes": 1,
    "inputs": [
        {
            "name": "tail.0",
            "plugin": "tail",
            "records": 300,
            "bytes": 9000,
            "lag_bytes": 0,
            "paused": True,
        }
    ],
    "filters": [{"name": "grep.0", "plugin": "grep", "records": 300, "drop_records": 7}],
    "outputs": [
        {
            "name": "http.0",
            "plugin": "http",
            "proc_records": 1200,
            "proc_bytes": 5000,
            "queue_records": 9,
            "queue_bytes": 1500,
            "queue_age_seconds": 3,
            "queue_full": 0,
            "failing": 2,
            "errors": 1,
        }
    ],
    "books": {
        "received": 300,
        "passed": 293,
        "unrouted": 0,
        "remainder": 0,
        "outputs": {
            "http.0": {
                "routed": 1209,
                "delivered": 1200,
                "dropped": {},
                "rejected": {},
                "kept": 0,
                "in_flight": 9,
                "remainder": 0,
            }
        },
    },
}


def test_a_filter_that_failed_says_so():
    now = {**NOW, "filters": [{**NOW["filters"][0], "failed_chunks": 3}]}
    [line] = [line for line in screen(now, None, 1.0).splitlines() if line.startswith("grep.0")]
    assert line.endswith("failed on 3 chunks")


def test_what_a_filter_puts_in_anew_counts_as_added():
    tagger = {"name": "rewrite_tag.0", "plugin": "rewrite_tag", "records": 9}
    now = {**NOW, "filters": [{**tagger, "add_records": 2, "emit_records": 5}]}
    [row] = [
        line for line in screen(now, now, 1.0).splitlines() if line.startswith("rewrite_tag.0")
    ]
    assert row.split()[-2:] == ["7", "0"]


def test_the_screen_shows_rates_queues_and_books():
    before = {**NOW, "cpu_sec": 1.0, "inputs": [{**NOW["inputs"][0], "records": 100}]}
    text = screen(NOW, before, 2.0)
    lines = {line.split()[0]: line for line in text.splitlines() if line}
    assert "CPU 25%" in text
    assert lines["tail.0"].split() == ["tail.0", "tail", "300", "100", "0", "B", "-", "paused"]
    assert "9 (1.5 kB)" in text
    assert "failing" in text
    assert text.endswith("the books balance")


def test_books_that_do_not_balance_are_shouted():
    books = {**NOW["books"], "remainder": 3}
    assert screen({**NOW, "books": books}, None, 1.0).endswith("THE BOOKS DO NOT BALANCE")


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2e8, "200 MB"), (3e15, "3000.0 TB")],
)
def test_sizes(amount, text):
    assert size(amount) == text


def test_once_prints_one_screen(monkeypatch, capsys):
    monkeypatch.setattr(top, "ask", lambda url, path, token: NOW)
    assert run(["--once"]) == 0
    assert "the books balance" in capsys.readouterr().out


def test_an_agent_that_does_not_answer_is_told(monkeypatch, capsys):
    def fail(url, path, token):
        raise NoAnswer("nobody there")

    monkeypatch.setattr(top, "ask", fail)
    assert run(["--once"]) == 1
    assert "nobody there" in capsys.readouterr().err
