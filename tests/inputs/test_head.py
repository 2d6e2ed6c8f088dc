"""The input head."""

import pytest

from tailrace.testing import FakeContext, make_plugin, run_input

TEXT = "first line\nsecond, äö\n\nfourth\nfifth without end"


@pytest.fixture
def head(tmp_path):
    """The one body that the input collects from a file with this text."""
    path = tmp_path / "in.txt"

    def read(section, text=TEXT):
        path.write_text(text)
        [body] = make_plugin("input", "head", f"file {path}\n{section}").collect()
        return {key: value.replace(str(path), "PATH") for key, value in body.items()}

    return read


def test_the_first_bytes_are_one_value(head):
    assert head("buf_size 15\nkey k\nadd_path on") == {"k": "first line\nseco", "path": "PATH"}


def test_lines_keep_their_ends_in_one_value(head):
    assert head("lines 3") == {"head": "first line\nsecond, äö\n\n"}


def test_each_line_may_have_a_key(head):
    assert head("lines 2\nsplit_line on\nadd_path on") == {
        "path": "PATH",
        "line0": "first line",
        "line1": "second, äö",
    }


def test_the_last_line_needs_no_end_and_lines_that_are_not_there_are_empty(head):
    body = head("split_line on")
    assert list(body) == [f"line{number}" for number in range(10)]
    assert (body["line4"], body["line5"]) == ("fifth without end", "")


def test_bytes_that_are_no_text_are_kept(tmp_path):
    path = tmp_path / "in.bin"
    path.write_bytes(b"\xffabc")
    [body] = make_plugin("input", "head", f"file {path}").collect()
    assert body["head"].encode("utf-8", "surrogateescape") == b"\xffabc"


def test_a_file_that_is_not_there_is_told_once_and_read_when_it_comes(tmp_path):
    path, context = tmp_path / "in.txt", FakeContext()
    plugin = make_plugin("input", "head", f"file {path}", context)
    assert plugin.collect() == plugin.collect() == []
    assert [level for level, _ in context.sink.messages] == ["error"]
    path.write_text("x")
    assert plugin.collect() == [{"head": "x"}]


def test_it_is_read_again_each_interval(tmp_path):
    path = tmp_path / "in.txt"
    path.write_text("x")
    chunks = run_input("head", f"file {path}\ninterval_sec 2", until=3)
    assert [chunk.bodies for chunk in chunks[:3]] == [[{"head": "x"}]] * 3
    assert chunks[1].times[0] - chunks[0].times[0] == 2_000_000_000
