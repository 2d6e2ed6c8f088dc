"""`tailrace check`."""

import json

import pytest

from tailrace.cli.main import run

GOOD = "[INPUT]\n    name dummy\n    tag app\n[OUTPUT]\n    name null\n    match app\n"


@pytest.fixture
def check(tmp_path, capsys):
    """The exit code and the text that is printed for a configuration."""

    def checked(text, *arguments):
        path = tmp_path / "a.conf"
        path.write_text(text)
        code = run(["check", str(path), *arguments])
        return code, capsys.readouterr().out

    return checked


def document(check, text, *arguments):
    code, out = check(text, "--format", "json", *arguments)
    return code, json.loads(out)


def test_a_good_configuration_ends_with_nothing_wrong(check):
    code, out = check(GOOD)
    assert code == 0
    assert out.endswith("a.conf: 0 errors, 0 warnings\n")


def test_an_error_is_told_with_its_place_and_how_to_mend_it(check):
    code, found = document(check, GOOD.replace("name null", "name nul"))
    assert code == 1
    [problem] = found["problems"]
    assert (problem["severity"], problem["line"]) == ("error", 5)
    assert problem["file"].endswith("a.conf")
    assert "'nul'" in problem["message"]
    assert "null" in problem["mend"]


def test_all_errors_are_told_at_once(check):
    _, out = check(GOOD.replace("dummy", "nothing").replace("name null", "name nowhere"))
    assert "nothing" in out
    assert "nowhere" in out
    assert "2 errors" in out


@pytest.mark.parametrize(("arguments", "code"), [([], 0), (["--deny-warnings"], 2)])
def test_a_tag_that_no_output_takes_is_a_warning(check, arguments, code):
    found = check(GOOD.replace("match app", "match other"), *arguments)
    assert found[0] == code
    assert "no output takes events of tag 'app'" in found[1]
    assert "match 'other' fits no input's tag" in found[1]
    assert "0 errors, 2 warnings" in found[1]


def test_an_error_weighs_more_than_a_denied_warning(check):
    assert check(GOOD.replace("name null", "name nul"), "--deny-warnings")[0] == 1


def test_tags_that_a_filter_may_change_are_not_warned_of(check):
    rewriting = "[FILTER]\n    name rewrite_tag\n    match *\n    rule $a ^x$ new false\n"
    code, found = document(check, GOOD.replace("match app", "match new") + rewriting)
    assert (code, found["problems"]) == (0, [])


@pytest.mark.parametrize(
    ("source", "promise"),
    [
        ("name dummy", "best-effort"),
        ("name dummy\n    storage.type filesystem", "at-least-once"),
        ("name tail\n    path x", "best-effort"),
        ("name tail\n    path x\n    db x.db", "at-least-once"),
    ],
)
def test_each_route_states_its_guarantee(check, source, promise):
    _, found = document(check, GOOD.replace("name dummy", source))
    [route] = found["routes"]
    assert (route["tag"], route["output"], route["guarantee"]) == ("app", "null.0", promise)


@pytest.mark.parametrize(
    ("destination", "promise"),
    [
        ("name tcp", "best-effort"),
        ("name udp", "best-effort"),
        ("name forward", "best-effort"),
        ("name forward\n    require_ack_response on", "at-least-once"),
        ("name http", "at-least-once"),
    ],
)
def test_what_nobody_confirms_is_no_better_than_best_effort(check, destination, promise):
    text = GOOD.replace("name dummy", "name tail\n    path x\n    db x.db")
    _, found = document(check, text.replace("name null", destination))
    assert found["routes"][0]["guarantee"] == promise


@pytest.mark.parametrize("source", ["http", "forward", "forward\n    tag_prefix x.\n    tag app"])
def test_tags_that_clients_bring_are_not_warned_of(check, source):
    text = f"[INPUT]\n    name {source}\n[OUTPUT]\n    name null\n    match other.*\n"
    code, found = document(check, text)
    assert (code, found["problems"]) == (0, [])
    assert found["routes"][0]["tag"] == "*"


def test_forward_promises_something_to_clients_that_ask_for_it(check):
    _, found = document(check, GOOD.replace("name dummy", "name forward"))
    assert found["routes"][0]["guarantee"] == "best-effort"
    assert "clients that ask for acknowledgements" in found["routes"][0]["why"]


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ("retry_limit false", "retried until delivered"),
        ("retry_limit 3", "after 3 retries"),
        ("", "after 1 retries"),
        ("retry_limit false\n    queue_full drop_oldest", "a full queue drops (drop_oldest)"),
    ],
)
def test_the_reason_says_when_an_output_gives_up(check, option, why):
    _, found = document(check, f"{GOOD}    {option}\n")
    assert why in found["routes"][0]["why"]


def test_a_file_that_is_not_there_is_an_error(tmp_path, capsys):
    assert run(["check", str(tmp_path / "none.conf")]) == 1
    assert "none.conf" in capsys.readouterr().out


def test_nothing_is_started(tmp_path, check):
    text = GOOD.replace("name null", f"name file\n    path {tmp_path}/made\n    mkdir on")
    assert check(text)[0] == 0
    assert not (tmp_path / "made").exists()


def test_a_wrong_service_option_does_not_hide_errors_of_plugins(check):
    _, out = check("[SERVICE]\n    flush soon\n" + GOOD.replace("name null", "name nowhere"))
    assert "soon" in out
    assert "nowhere" in out


def test_a_configuration_without_inputs_is_warned_of(check):
    code, out = check("[OUTPUT]\n    name null\n    match *\n", "--deny-warnings")
    assert code == 2
    assert "there is no input" in out
    assert out.endswith("0 errors, 1 warning\n")


def test_a_folder_of_a_tail_database_that_is_not_there_is_warned_of(check, tmp_path):
    text = "[INPUT]\n    name tail\n    path a.log\n    db no/tail.db\n    tag t\n[OUTPUT]\n    name null\n    match t\n"
    code, out = check(text)
    assert code == 0
    assert "a.conf:4" in out
    assert "warning: " in out
    assert "the folder 'no' is not there" in out


def test_an_odd_value_is_a_warning(check):
    code, out = check(GOOD.replace("tag app", "tag app\n    samples many"), "--deny-warnings")
    assert code == 2
    assert "'many' is no whole number; 0 is taken" in out


@pytest.mark.parametrize(("wait", "promised"), [("1s", "at-least-once"), ("2s", "best-effort")])
def test_what_is_held_after_clients_have_their_answers_is_best_effort(
    wait, promised, tmp_path, capsys
):
    path = tmp_path / "a.yaml"
    path.write_text(
        "pipeline:\n"
        "  inputs:\n"
        "    - name: opentelemetry\n"
        "      processors:\n"
        "        traces:\n"
        f"          - {{name: sampling, type: tail, sampling_settings: {{decision_wait: {wait}}}}}\n"
        "  outputs:\n"
        "    - {name: stdout, match: '*', retry_limit: no_limits}\n"
    )
    assert run(["check", str(path), "--format", "json"]) == 0
    [route] = json.loads(capsys.readouterr().out)["routes"]
    assert route["guarantee"] == promised
    assert ("sampling.0 holds in memory" in route["why"]) is (promised == "best-effort")


ROUTED = """
pipeline:
  inputs:
    - name: dummy
      tag: app
      routes:
        logs:
          - name: errors
            condition: {rules: [{field: $level, op: eq, value: error}]}
            to: {outputs: [alarm, nowhere]}
%s  outputs:
    - {name: 'null', alias: alarm}
    - {name: 'null', alias: archive}
    - {name: 'null', alias: tagged, match: app}
"""
REST = "          - {name: rest, condition: {default: true}, to: {outputs: [archive]}}\n"


@pytest.mark.parametrize(
    ("more", "reached", "idle"),
    [("", ["alarm", "tagged"], ["archive"]), (REST, ["alarm", "archive"], ["tagged"])],
)
def test_conditional_routes_are_followed(tmp_path, capsys, more, reached, idle):
    path = tmp_path / "a.yaml"
    path.write_text(ROUTED % more)
    assert run(["check", str(path), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [route["output"] for route in found["routes"]] == reached
    first, *others = found["problems"]
    assert "there is no output 'nowhere'" in first["message"]
    assert [each["where"] for each in others] == [f"output {name}" for name in idle]


def test_a_route_that_is_none_is_an_error(tmp_path, capsys):
    path = tmp_path / "a.yaml"
    path.write_text(
        ROUTED % "          - {name: odd, condition: {op: xor}, to: {outputs: [alarm]}}\n"
    )
    assert run(["check", str(path)]) == 1
    assert "route 'odd'" in capsys.readouterr().out


def test_a_stream_task_that_can_not_be_read_is_a_warning(check, tmp_path):
    (tmp_path / "s.conf").write_text("[STREAM_TASK]\n    name bad\n    exec SELEC a\n")
    code, out = check(f"[SERVICE]\n    streams_file {tmp_path}/s.conf\n" + GOOD)
    assert code == 0
    assert "warning: " in out
    assert "stream task bad: the task is left out: " in out
