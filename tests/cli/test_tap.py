from tailrace.cli import tap
from tailrace.cli.tap import lines_of, run

INPUT = {
    "type": 1,
    "trace_id": "tap.0",
    "plugin_instance": "tail.0",
    "plugin_alias": "web",
    "records": [{"timestamp": 1, "record": {"log": "é"}}, {"timestamp": 1, "record": {"n": 1}}],
}
GONE = {"type": 2, "plugin_instance": "grep.0", "records": []}
SENT = {"type": 4, "plugin_instance": "http.0", "return": 2}


def test_a_line_for_each_event():
    assert [line.split(maxsplit=2) for line in lines_of(INPUT)] == [
        ["input", "web", '{"log":"é"}'],
        ["input", "web", '{"n":1}'],
    ]


def test_the_group_of_an_event_stands_behind_it():
    record = {"type": 1, "plugin_instance": "otel.0"}
    events = [{"record": {"n": 1}, "group": {"resource": {}}}, {"record": {"n": 2}}]
    assert lines_of({**record, "records": events}) == [
        'input   otel.0           {"n":1} in {"resource":{}}',
        'input   otel.0           {"n":2}',
    ]


def test_what_a_filter_left_and_what_an_output_said():
    assert lines_of(GONE)[0].split(maxsplit=2) == ["filter", "grep.0", "(nothing left)"]
    assert lines_of(SENT)[0].split(maxsplit=2) == ["output", "http.0", "to be tried again"]


def test_it_ends_after_so_many_lines(monkeypatch, capsys):
    asked = []

    def answer(url, path, token):
        asked.append(path)
        return {"records": [INPUT, GONE, SENT]}

    monkeypatch.setattr(tap, "ask", answer)
    assert run(["a/b", "-n", "5", "--interval", "0"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 5
    assert asked == ["/api/v2/tap/a%2Fb"] * 2


def test_stages_can_be_chosen(monkeypatch, capsys):
    monkeypatch.setattr(tap, "ask", lambda *_: {"records": [INPUT, GONE, SENT]})
    assert run(["web", "-n", "1", "-s", "output"]) == 0
    assert capsys.readouterr().out.startswith("output")


def test_the_address_may_stand_behind_the_flags(monkeypatch):
    asked = []
    monkeypatch.setattr(tap, "ask", lambda url, *_: asked.append(url) or {"records": [SENT]})
    assert run(["web", "-n", "1", "http://127.0.0.1:3999"]) == 0
    assert asked == ["http://127.0.0.1:3999"]
