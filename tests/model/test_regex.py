"""Compiled patterns as parsers and filters use them."""

import copy
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tailrace.model.regex import RegexError, compile_regex

# The shapes of the parsers that most configurations use, each with a line that it takes.
PARSERS = {
    "apache": (
        r'^(?<host>[^ ]*) [^ ]* (?<user>[^ ]*) \[(?<time>[^\]]*)\] "(?<method>\S+)(?: +(?<path>[^\"]*?)(?: +\S*)?)?"'
        r' (?<code>[^ ]*) (?<size>[^ ]*)(?: "(?<referer>[^\"]*)" "(?<agent>[^\"]*)")?$',
        '10.0.0.1 - bob [10/Oct/2023:13:55:36 -0700] "GET /a b HTTP/1.1" 200 2326 "-" "curl/8"',
        (
            "10.0.0.1",
            "bob",
            "10/Oct/2023:13:55:36 -0700",
            "GET",
            "/a b",
            "200",
            "2326",
            "-",
            "curl/8",
        ),
    ),
    "apache_error": (
        r"^\[[^ ]* (?<time>[^\]]*)\] \[(?<level>[^\]]*)\](?: \[pid (?<pid>[^\]]*)\])?( \[client (?<client>[^\]]*)\])? "
        r"(?<message>.*)$",
        "[Wed Oct 11 14:32:52 2023] [error] [client 127.0.0.1] denied",
        ("Oct 11 14:32:52 2023", "error", None, "127.0.0.1", "denied"),
    ),
    "syslog_3164": (
        r"/^\<(?<pri>[0-9]+)\>(?<time>[^ ]* {1,2}[^ ]* [^ ]*) (?<host>[^ ]*) (?<ident>[a-zA-Z0-9_\/\.\-]*)"
        r"(?:\[(?<pid>[0-9]+)\])?(?:[^\:]*\:)? *(?<message>.*)$/",
        "<34>Oct  1 22:14:15 box su[77]: failed",
        ("34", "Oct  1 22:14:15", "box", "su", "77", "failed"),
    ),
    "syslog_5424": (
        r"\A\<(?<pri>[0-9]{1,5})\>1 (?<time>[^ ]+) (?<host>[^ ]+) (?<ident>[^ ]+) (?<pid>[-0-9]+) (?<msgid>[^ ]+) "
        r"(?<extradata>(\[(.*?)\]|-)) (?<message>.+)$",
        '<13>1 2023-10-07T12:00:00Z box app 42 ID7 [x@1 a="b"] done',
        ("13", "2023-10-07T12:00:00Z", "box", "app", "42", "ID7", '[x@1 a="b"]', "done"),
    ),
    "cri": (
        r"^(?<time>[^ ]+) (?<stream>stdout|stderr) (?<_p>[^ ]*) (?<log>.*)$",
        "2023-10-07T12:00:00.1Z stderr F oops",
        ("2023-10-07T12:00:00.1Z", "stderr", "F", "oops"),
    ),
    "kubernetes_tag": (
        r"(?<pod_name>[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)_(?<namespace_name>[^_]+)_"
        r"(?<container_name>.+)-(?<docker_id>[a-z0-9]{8})\.log$",
        "web-1.x_prod_app-0a1b2c3d.log",
        ("web-1.x", "prod", "app", "0a1b2c3d"),
    ),
    "mongodb": (
        r"^(?<time>[^ ]*)\s+(?<severity>\w)\s+(?<component>[^ ]+)\s+\[(?<context>[^\]]+)]\s+(?<message>.*?) *(?<ms>(\d+))?(:?ms)?$",
        "2023-10-07T12:00:00.000+0000 I COMMAND  [conn1] command took 12ms",
        ("2023-10-07T12:00:00.000+0000", "I", "COMMAND", "conn1", "command took", "12"),
    ),
    "java_multiline": (
        r"/^(?<date>\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}[,.]\d{3})\s+\[(?<thread>[^\]]++)\] (?<rest>.*)/m",
        "2023-10-07T12:00:00,123 [main] x\n\tat y",
        ("2023-10-07T12:00:00,123", "main", "x\n\tat y"),
    ),
    "level": (
        r"/(?<level>trace|debug|info|warn(?:ing)?|error|fatal)\b/i",
        "12 WARNING: hot",
        ("WARNING",),
    ),
    "posix": (r"^(?<word>[[:upper:]][[:lower:]]{2})(?<rest>[^[:space:]]*)", "Octé x", ("Oct", "é")),
}


@pytest.mark.parametrize("name", PARSERS)
def test_the_usual_parsers_run_on_re(name):
    pattern, line, fields = PARSERS[name]
    regex = compile_regex(pattern)
    assert regex.engine == "re"
    assert regex.groups_of(line) == fields


def test_search_finds_the_leftmost_match_anywhere():
    match = compile_regex(r"id=(?<id>\d+)").search("x id=1 id=2")
    assert match is not None
    assert (match.group(), match["id"], match.span("id")) == ("id=1", "1", (5, 6))


def test_search_line_differs_from_search_only_beyond_the_first_line():
    regex = compile_regex("^b")
    assert regex.search("a\nb") is not None
    assert regex.search_line("b") is not None
    assert regex.search_line("ab") is None


@pytest.mark.parametrize(
    "pattern", ["^b|^a", "(?<x>^a)|b", r"(?:)^a", r"(?=a)^a", r"\A?a", "^?a", "(?:^a)?b"]
)
@pytest.mark.parametrize("text", ["a", "b", "xa", "xb", ""])
def test_search_line_agrees_with_search_within_a_line(pattern, text):
    regex = compile_regex(pattern)
    one, other = regex.search_line(text), regex.search(text)
    assert (one and one.span()) == (other and other.span())


def test_names_stand_in_order_of_first_appearance():
    regex = compile_regex(r"(?<b>x)(y)(?<a>z)|(?<b>w)")
    assert regex.names == ("b", "a")
    assert regex.indexes == {"b": (0, 2), "a": (1,)}


def test_unnamed_groups_capture_only_without_named_ones():
    assert compile_regex(r"(a)(b)").groups_of("ab") == ("a", "b")
    assert compile_regex(r"(a)(?<x>b)").groups_of("ab") == ("b",)


def test_without_named_groups_there_are_no_names():
    assert compile_regex(r"(a)").names == ()


@pytest.mark.parametrize(
    ("text", "groups", "id_"),
    [
        ("id=12 on", ("12", None, None, "on"), "12"),
        ("[ab] on", (None, "ab", None, "on"), "ab"),
        ("id=12 to 13 on", ("12", None, "13", "on"), "13"),
    ],
)
def test_a_repeated_name_gives_the_last_group_that_took_part(text, groups, id_):
    regex = compile_regex(r"^(?:id=(?<id>\d+)|\[(?<id>\w+)\])(?: to (?<id>\d+))? (?<rest>.*)$")
    match = regex.search(text)
    assert match is not None
    assert match.groups() == groups
    assert match.group("id", "rest") == (id_, "on")
    assert match.groupdict() == {"id": id_, "rest": "on"}
    assert text[match.start("id") : match.end("id")] == id_
    with pytest.raises(IndexError):
        match.group("nobody")


def test_a_called_group_holds_what_it_matched_last():
    regex = compile_regex(r"(?<ip>\d+(?:\.\d+){3}) to \g<ip> (?<rest>.*)")
    assert regex.engine == "regex"
    assert regex.groups_of("1.2.3.4 to 5.6.7.8 x") == ("5.6.7.8", "x")


def test_a_call_ahead_of_its_group_keeps_the_order_of_groups():
    assert compile_regex(r"\g<b>(?<a>x)(?<b>y)").groups_of("yxy") == ("x", "y")


def test_matches_says_whether_there_is_a_match():
    regex = compile_regex("/error/i")
    assert regex.matches("an ERROR")
    assert not regex.matches("fine")


def test_a_pattern_is_compiled_once():
    assert compile_regex("a+") is compile_regex("a+")


def test_a_pattern_survives_copy_and_pickle():
    regex = compile_regex("(?<x>a+)")
    assert copy.deepcopy(regex) is regex
    assert pickle.loads(pickle.dumps(regex)) is regex


@pytest.mark.parametrize(
    "pattern", [r"^(?<a>\d+)x", r"(?<a>\d+)x|(?<a>y)", r"\A(?<a>\d+)x", r"(?<a>\d+)\Kx"]
)
def test_other_threads_find_the_same(pattern):
    def find():
        assert threading.current_thread() is not threading.main_thread()
        regex = compile_regex(pattern)
        match = regex.search("12x")
        return (
            match and match.span("a"),
            regex.matches("12x"),
            regex.groups_of("12x"),
            regex.search_line("-"),
        )

    regex = compile_regex(pattern)
    here = regex.search("12x")
    assert here is not None
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(find).result() == (here.span("a"), True, here.groups(), None)


def test_an_error_is_a_value_error():
    with pytest.raises(ValueError, match="nothing that"):
        compile_regex("*")
    assert issubclass(RegexError, ValueError)
