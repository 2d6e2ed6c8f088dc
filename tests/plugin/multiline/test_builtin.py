import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.plugin.multiline import Joined, Stream, built_in

NOW = 1_700_000_000_000_000_000


def join(names, text):
    stream, out = Stream([built_in(name) for name in names.split(",")]), Joined()
    lines = text.splitlines()
    stream.feed_lines(lines, range(len(lines)), NOW, out)
    stream.flush(out)
    return out


def logs(names, text):
    return [body["log"] for body in join(names, text).bodies]


def test_names_ignore_letter_case_and_unknown_ones_give_none():
    assert built_in("JAVA") is built_in("java") or built_in("JAVA").name == "java"
    assert built_in("cobol") is None


JAVA = """\
Exception in thread "main" a.b.BadException: went wrong
    at a.b.App.run(App.java:12)
\tat a.b.App.main(App.java:5)
Caused by: java.io.IOException: disk full
    at a.b.Disk.write(Disk.java:99)
    ... 2 more
    Suppressed: java.lang.IllegalStateException: closing
        at a.b.Disk.close(Disk.java:7)
"""
CSHARP = """\
System.Exception: outer ---> System.Exception: inner
  at A.B() in x.cs:line 1
  --- End of inner exception stack trace ---
--- End of stack trace from previous location where exception was thrown ---
  at A.C() in x.cs:line 2
"""
GO = """\
panic: runtime error: invalid memory address
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x1]

goroutine 1 [running]:
main.process(0xc000012345, 0x3)
\t/app/main.go:27 +0x1d
created by main.start
\t/app/main.go:11 +0x5a
"""
GO_HTTP = """\
2020/01/02 03:04:05 http: panic serving 127.0.0.1:1: oh
goroutine 20 [running]:
net/http.(*conn).serve.func1(0xc0)
\t/usr/net/http/server.go:1
"""
PYTHON = """\
Traceback (most recent call last):
  File "/app/main.py", line 10, in <module>
    run(1)
  File "/app/lib.py", line 3, in run
    raise ValueError("bad: value")
ValueError: bad: value
"""
RUBY = """\
/app/a.rb:12:in `call': undefined method `x' for nil (NoMethodError)
\tfrom /app/b.rb:3:in `block in run'
\tfrom /app/main.rb:1:in `<main>'
"""


@pytest.mark.parametrize(
    ("name", "stack"),
    [
        ("java", JAVA),
        ("java", CSHARP),
        ("go", GO),
        ("go", GO_HTTP),
        ("python", PYTHON),
        ("ruby", RUBY),
    ],
)
def test_a_stack_trace_is_one_event_and_other_lines_stay_alone(name, stack):
    assert logs(name, f"before\n{stack}after\nlast\n") == ["before\n", stack, "after\n", "last\n"]


@pytest.mark.parametrize(("name", "stack"), [("java", JAVA), ("python", PYTHON), ("ruby", RUBY)])
def test_one_stack_trace_ends_another(name, stack):
    assert logs(name, stack + stack) == [stack, stack]


def test_a_nested_exception_begins_an_event_of_its_own():
    text = "a.XException: x\nnested exception is:\njava.lang.Error: y\n\tat a.B(B.java:1)\n"
    assert logs("java", text) == [
        "a.XException: x\nnested exception is:\n",
        "java.lang.Error: y\n\tat a.B(B.java:1)\n",
    ]


def test_each_language_of_a_list_takes_its_own():
    text = f"x\n{JAVA}{PYTHON}{GO}y\n"
    assert sorted(logs("java,python,go", text)) == sorted(["x\n", JAVA, PYTHON, GO, "y\n"])


def test_docker_joins_the_parts_of_each_stream():
    out = join(
        "docker",
        '{"log":"one, ","stream":"stdout","time":"2022-03-04T05:06:07.5Z","attrs":{"a":"b"}}\n'
        '{"log":"error\\n","stream":"stderr","time":"2022-03-04T05:06:08Z"}\n'
        '{"log":"two\\n","stream":"stdout","time":"2022-03-04T05:06:09.1Z"}\n',
    )
    assert [body["log"] for body in out.bodies] == ["error\n", "one, two\n"]
    assert out.bodies[1]["time"] == "2022-03-04T05:06:07.5Z"
    assert out.bodies[1]["attrs"] == {"a": "b"}
    assert out.times[1] == 1646370367_500000000


def test_a_docker_line_whose_time_is_none_is_an_event_of_now():
    out = join("docker", '{"log":"odd\\n","stream":"stdout","time":"soon"}\n')
    assert (out.times, [body["log"] for body in out.bodies]) == ([NOW], ["odd\n"])


def test_cri_joins_parts_up_to_the_full_one():
    out = join(
        "cri",
        "2022-03-04T05:06:07.1Z stdout P one, \n"
        "2022-03-04T05:06:07.2+01:00 stderr F error\n"
        "2022-03-04T05:06:07.3Z stdout F two\n"
        "2022-03-04T05:06:07.4Z stdout F \n",
    )
    assert [body["log"] for body in out.bodies] == ["error", "one, two", ""]
    assert out.bodies[1] == {
        "time": "2022-03-04T05:06:07.1Z",
        "stream": "stdout",
        "_p": "P",
        "log": "one, two",
    }
    assert out.times == [1646366767_200000000, 1646370367_100000000, 1646370367_400000000]


def test_a_line_that_is_of_no_container_runtime_stays_whole():
    assert logs("docker,cri", "neither\n") == ["neither"]


CRI = built_in("cri").parser
PIECES = st.sampled_from(
    ["2022-03-04T05:06:07.1Z", "soon", "", "stdout", "stderr", "F", "P", "x", "a b", "\r", "é"]
)


@given(lines=st.lists(st.lists(PIECES, max_size=7).map(" ".join), max_size=5))
def test_lines_of_cri_are_taken_apart_as_the_expression_does(lines):
    assert CRI.parse(lines) == CRI.by_regex.parse(lines)
