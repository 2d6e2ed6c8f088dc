"""The tail input through its options: files in, events out."""

import asyncio
import gzip
import os
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tailrace.config import ConfigError
from tailrace.config.errors import InvalidConfiguration
from tailrace.testing import EPOCH_NS, FakeContext, make_plugin

HEAD = "read_from_head on\n"


def play(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scenario())


def append(path, text):
    with open(path, "a", newline="") as file:
        file.write(text)


def read_all(tailing, path, section="", context=None):
    """The tail input after it has read a file from its head and nothing more happened."""

    async def scenario():
        async with tailing(f"path {path}\n{HEAD}{section}", context=context) as tail:
            await tail.passes(0.5)
        return tail

    return asyncio.run(scenario())


# Lines


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a\nb\n", ["a", "b"]),
        ("a\r\nb\rc\n\r\n", ["a", "b\rc", "\r"]),
        ("\n\na\n", ["", "", "a"]),
        ("whole\nhalf", ["whole"]),
        ("", []),
        ("\0\0\0a\nb\0c\n", ["a", "b\0c"]),
    ],
)
def test_each_line_is_an_event(tailing, log, text, lines):
    log.write_bytes(text.encode())
    assert read_all(tailing, log).lines == lines


def test_a_chunk_of_raw_lines_stays_undecoded(tailing, log):
    log.write_text("a\nb\n")
    [chunk] = read_all(tailing, log).chunks
    assert chunk.lines == ["a", "b"]
    assert chunk.nbytes == 4


def test_bytes_that_are_not_utf8_come_through_as_they_are(tailing, log):
    log.write_bytes(b"a\xff\xfeb\n")
    [line] = read_all(tailing, log).lines
    assert line.encode("utf-8", "surrogateescape") == b"a\xff\xfeb"


def test_empty_lines_are_left_out_if_asked_for(tailing, log):
    log.write_bytes(b"\na\n\r\n\nb\n")
    tail = read_all(tailing, log, "skip_empty_lines on\noffset_key at")
    assert tail.bodies == [{"at": 1, "log": "a"}, {"at": 6, "log": "b"}]


def test_path_and_offset_come_before_the_line(tailing, log):
    log.write_text("äh\nb\n")
    tail = read_all(tailing, log, "path_key file\noffset_key at\nkey message")
    assert [list(body.items()) for body in tail.bodies] == [
        [("file", str(log)), ("at", 0), ("message", "äh")],
        [("file", str(log)), ("at", 4), ("message", "b")],
    ]


def test_a_line_written_in_pieces_comes_whole(tailing, log):
    async def scenario():
        log.write_text("one\nha")
        async with tailing(f"path {log}\n{HEAD}") as tail:
            append(log, "l")
            await tail.passes(0.5)
            append(log, "f\n")
            await tail.passes(0.5)
            assert tail.lines == ["one", "half"]

    play(scenario)


def test_many_small_blocks_give_all_lines_in_order(tailing, log):
    lines = [f"line {number} {'x' * (number % 60)}" for number in range(500)]
    log.write_text("\n".join(lines) + "\n")
    tail = read_all(tailing, log, "buffer_chunk_size 50\nbuffer_max_size 1k")
    assert tail.lines == lines


# Long lines


def long_lines(tailing, log, section):
    log.write_text("a\n" + "L" * 126 + "\nb\n" + "M" * 127 + "\nc\n" + "N" * 400 + "\nd\n")
    return read_all(
        tailing, log, f"buffer_chunk_size 64\nbuffer_max_size 128\noffset_key at\n{section}"
    )


@pytest.mark.parametrize(
    "section", ["", "truncate_long_lines on", "truncate_long_lines on\nskip_long_lines on"]
)
def test_a_line_too_long_is_cut_and_marked(tailing, log, section):
    tail = long_lines(tailing, log, section)
    assert tail.lines == ["a", "L" * 126, "b", "M" * 127, "c", "N" * 127, "d"]
    assert tail.metadata == [{}] * 5 + [{"line_truncated": True}, {}]
    assert [body["at"] for body in tail.bodies] == [0, 2, 129, 131, 259, 261, 662]
    assert tail.counted("long_line_truncated") == 1


def test_a_line_too_long_is_skipped_and_counted_if_asked_for(tailing, log):
    tail = long_lines(tailing, log, "skip_long_lines on")
    assert tail.lines == ["a", "L" * 126, "b", "c", "d"]
    assert tail.context.dropped == [(1, "line too long")] * 2
    assert tail.counted("long_line_skipped") == 2


def test_a_cut_halves_no_character(tailing, log):
    log.write_text("ä" * 100 + "\nb\n")
    tail = read_all(tailing, log, "buffer_chunk_size 64\nbuffer_max_size 128")
    assert tail.lines == ["ä" * 63, "b"]


def test_a_line_without_end_does_not_stop_the_agent(tailing, log):
    log.write_bytes(b"\x80\xff" * 300_000)
    tail = read_all(tailing, log)
    assert len(tail.chunks) == 1
    assert tail.metadata == [{"line_truncated": True}]


# Start and end


def test_reading_starts_at_the_end_of_files_that_are_there(tailing, tmp_path):
    async def scenario():
        old, new = tmp_path / "old.log", tmp_path / "new.log"
        old.write_text("before\n")
        async with tailing(f"path {tmp_path}/*.log") as tail:
            append(old, "after\n")
            new.write_text("in a new file\n")
            await tail.passes(1.5)
            assert tail.lines == ["after", "in a new file"]

    play(scenario)


def test_files_found_later_can_be_read_from_their_end_too(tailing, tmp_path):
    async def scenario():
        section = f"path {tmp_path}/*.log\nread_newly_discovered_files_from_head off"
        async with tailing(section) as tail:
            (tmp_path / "new.log").write_text("before\n")
            await tail.passes(1.5)
            append(tmp_path / "new.log", "after\n")
            await tail.passes(0.5)
            assert tail.lines == ["after"]

    play(scenario)


def test_exit_on_eof_ends_the_agent_once_all_files_were_read(tailing, tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.log").write_text(f"{name}1\n{name}2\nrest")
    tail = read_all(
        tailing, f"{tmp_path}/*.log", "exit_on_eof on\nbuffer_chunk_size 3\nbuffer_max_size 50"
    )
    assert sorted(tail.lines) == ["a1", "a2", "b1", "b2", "c1", "c2"]
    assert tail.context.exit_code == 0


def test_exit_on_eof_waits_for_a_file_to_appear(tailing, log):
    assert read_all(tailing, log, "exit_on_eof on").context.exit_code is None


def test_a_path_that_no_file_matches_yet_is_told(tailing, tmp_path):
    async def scenario():
        async with tailing(f"path {tmp_path}/nope/*.log") as tail:
            assert f"no file matches {tmp_path}/nope/*.log yet" in str(tail.context.sink.messages)
        (tmp_path / "a.log").touch()
        async with tailing(f"path {tmp_path}/*.log", context=FakeContext("tail.1")) as tail:
            assert "no file matches" not in str(tail.context.sink.messages)

    play(scenario)


# Rotation


def test_a_renamed_file_is_read_on_and_the_new_one_too(tailing, log, tmp_path):
    async def scenario():
        log.write_text("one\n")
        async with tailing(f"path {log}\n{HEAD}path_key p") as tail:
            log.rename(tmp_path / "in.log.1")
            append(tmp_path / "in.log.1", "two, late\n")
            log.write_text("three\n")
            await tail.passes(1.25)
            append(tmp_path / "in.log.1", "four, very late\n")
            await tail.passes(1.25)
            assert sorted(tail.lines) == ["four, very late", "one", "three", "two, late"]
            assert {body["p"] for body in tail.bodies} == {str(log)}
            assert tail.counted("files_rotated") == 1
            await tail.passes(3)
            assert len(tail.plugin._follower.files) == 1

    play(scenario)


def test_a_renamed_file_whose_new_name_matches_is_not_read_again(tailing, tmp_path):
    async def scenario():
        first, second = tmp_path / "in.log", tmp_path / "in.log.1"
        first.write_text("one\n")
        second.write_text("older\n")
        async with tailing(f"path {tmp_path}/in.log*\n{HEAD}") as tail:
            second.rename(tmp_path / "in.log.2")
            first.rename(second)
            first.write_text("two\n")
            await tail.passes(8)
            append(second, "still written to\n")
            await tail.passes(1)
            assert sorted(tail.lines) == ["older", "one", "still written to", "two"]

    play(scenario)


def test_a_renamed_file_gives_its_last_line_though_it_has_no_end(tailing, log, tmp_path):
    async def scenario():
        log.write_text("one\nno end")
        async with tailing(f"path {log}\n{HEAD}") as tail:
            log.rename(tmp_path / "gone")
            await tail.passes(5)
            assert tail.lines == ["one", "no end"]
            assert tail.plugin._follower.files == {}

    play(scenario)


def test_a_deleted_file_is_read_to_its_end_and_let_go_of(tailing, log):
    async def scenario():
        log.write_text("one\n")
        async with tailing(f"path {log}\n{HEAD}") as tail:
            append(log, "two\n")
            log.unlink()
            await tail.passes(5)
            assert tail.lines == ["one", "two"]
            assert tail.counted("files_closed") == 1
            log.write_text("three\n")
            await tail.passes(1.5)
            assert tail.lines == ["one", "two", "three"]

    play(scenario)


@pytest.mark.parametrize("new", ["x\n", "longer than all that was there before\n", "abc\ndef\n"])
def test_a_truncated_file_is_read_from_its_head(tailing, log, new):
    async def scenario():
        log.write_text("one\ntwo\n")
        async with tailing(f"path {log}\n{HEAD}") as tail:
            log.write_text(new)
            os.utime(log, ns=(1, 1))
            await tail.passes(1)
            assert tail.lines == ["one", "two", *new.splitlines()]

    play(scenario)


def test_a_symbolic_link_is_followed_to_its_new_target(tailing, tmp_path):
    async def scenario():
        a, b, link = tmp_path / "a.txt", tmp_path / "b.txt", tmp_path / "in.log"
        a.write_text("a one\n")
        b.write_text("b one\n")
        link.symlink_to(a)
        async with tailing(f"path {link}\n{HEAD}path_key p") as tail:
            link.unlink()
            link.symlink_to(b)
            append(a, "a two\n")
            await tail.passes(2.5)
            assert sorted(tail.lines) == ["a one", "a two", "b one"]
            assert {body["p"] for body in tail.bodies} == {str(link)}

    play(scenario)


def test_a_file_with_several_names_is_read_once(tailing, tmp_path):
    async def scenario():
        first = tmp_path / "a.log"
        first.write_text("one\n")
        os.link(first, tmp_path / "b.log")
        (tmp_path / "c.log").symlink_to(first)
        async with tailing(f"path {tmp_path}/*.log\n{HEAD}") as tail:
            first.unlink()
            await tail.passes(6)
            append(tmp_path / "b.log", "two\n")
            await tail.passes(1)
            assert tail.lines == ["one", "two"]

    play(scenario)


def test_a_file_that_may_not_be_read_is_told_once_and_tried_again(tailing, log, monkeypatch):
    async def scenario():
        log.write_text("one\n")
        real, denied = os.open, True

        def deny(path, *args, **kwargs):
            if denied and str(path) == str(log):
                raise PermissionError(13, "Permission denied")
            return real(path, *args, **kwargs)

        monkeypatch.setattr(os, "open", deny)
        async with tailing(f"path {log}\n{HEAD}") as tail:
            await tail.passes(3)
            errors = [text for level, text in tail.context.sink.messages if level == "error"]
            assert len(errors) == 1
            assert str(log) in errors[0]
            assert "Permission denied" in errors[0]
            denied = False
            await tail.passes(1)
            assert tail.lines == ["one"]

    play(scenario)


# Age


def test_a_file_that_is_too_old_is_read_on_once_it_is_written_to(tailing, log):
    async def scenario():
        context = FakeContext("tail.0")
        log.write_text("old\n")
        os.utime(log, (context.clock.now_ns / 1e9 - 100,) * 2)
        async with tailing(f"path {log}\n{HEAD}ignore_older 60", context=context) as tail:
            await tail.passes(1)
            append(log, "new\n")
            await tail.passes(1)
            assert tail.lines == ["new"]

    play(scenario)


def test_a_followed_file_that_becomes_too_old_is_let_go_of_and_comes_back(tailing, log):
    async def scenario():
        context = FakeContext("tail.0")
        log.write_text("one\n")
        os.utime(log, (context.clock.now_ns / 1e9,) * 2)
        section = f"path {log}\n{HEAD}ignore_older 10\nignore_active_older_files on"
        async with tailing(section, context=context) as tail:
            await tail.passes(13)
            assert tail.plugin._follower.files == {}
            append(log, "two\n")
            await tail.passes(2)
            assert tail.lines == ["one", "two"]

    play(scenario)


# Paths and tags


def test_patterns_leave_out_what_is_excluded_hidden_or_no_file(tailing, tmp_path):
    for name in [
        "a/one.log",
        "a/two.old.log",
        "a/.hid.log",
        "a/d.log/in.log",
        "b/x1.txt",
        "b/z.txt",
    ]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{name}\n")
    patterns = f"{tmp_path}/a/*.log, {tmp_path}/b/[xy]?.txt,{tmp_path}/a/one.log"
    tail = read_all(tailing, patterns, "exclude_path *.old.log")
    assert tail.lines == ["a/one.log", "b/x1.txt"]


def test_the_star_of_the_tag_is_the_path(tailing, tmp_path):
    path = tmp_path / "with:colon..log"
    path.write_text("1\n")
    [chunk] = read_all(tailing, path, "tag pre.*.post").chunks
    dotted = str(tmp_path).strip("/").replace("/", ".")
    assert chunk.tag == f"pre.{dotted}.with.colon.log.post"


# Parsers and joining


def test_a_line_that_does_not_parse_stays_raw(tailing, log, regex_parser):
    context = FakeContext("tail.0", parsers={"p": regex_parser(r"^(?P<time>\d+) (?P<msg>.*)")})
    log.write_bytes(b"5 a\r\nb\r\n6 c\n")
    tail = read_all(tailing, log, "parser p\npath_key f\noffset_key at", context)
    assert [list(body.items()) for body in tail.bodies] == [
        [("msg", "a"), ("f", str(log)), ("at", 0)],
        [("f", str(log)), ("at", 5), ("log", "b\r")],
        [("msg", "c"), ("f", str(log)), ("at", 8)],
    ]
    times = [time for chunk in tail.chunks for time in chunk.times]
    assert times[0] == 5_000_000_000
    assert times[1] == EPOCH_NS
    assert times[2] == 6_000_000_000


def test_a_parser_that_is_not_there_is_warned_of_and_lines_stay_raw(tailing, log):
    log.write_text('{"a":1}\n')
    tail = read_all(tailing, log, "parser nosuch")
    assert tail.lines == ['{"a":1}']
    assert any("nosuch" in text for level, text in tail.context.sink.messages if level == "warn")


def test_lines_go_on_with_the_one_that_the_first_parser_takes(tailing, log, regex_parser):
    parsers = {"first": regex_parser(r"^(?P<time>\d+) (?P<level>[A-Z]+) (?P<msg>.*)$")}
    context = FakeContext("tail.0", parsers=parsers)
    log.write_text("lead\n1 INFO one\n  more\n\n  last\n2 WARN two\n")
    section = "multiline on\nparser_firstline first\nmultiline_flush 1"

    async def scenario():
        async with tailing(f"path {log}\n{HEAD}{section}", context=context) as tail:
            assert [body["msg"] for body in tail.bodies if "msg" in body] == [
                "one\n  more\n\n  last"
            ]
            await tail.passes(1.5)
            assert tail.bodies == [
                {"level": "INFO", "msg": "one\n  more\n\n  last"},
                {"log": "lead"},
                {"level": "WARN", "msg": "two"},
            ]

    play(scenario)


def test_what_is_held_back_is_given_out_when_the_agent_stops(tailing, log, regex_parser):
    parsers = {"first": regex_parser(r"^START (?P<msg>.*)$")}
    context = FakeContext("tail.0", parsers=parsers)
    log.write_text("START a\n b\n")

    async def scenario():
        section = f"path {log}\n{HEAD}multiline on\nparser_firstline first"
        async with tailing(section, context=context) as tail:
            assert tail.chunks == []
        assert [body for chunk in context.emitted for body in chunk.bodies] == [{"msg": "a\n b"}]

    play(scenario)


# Compressed files


def test_a_compressed_file_of_several_members_is_read_once(tailing, tmp_path):
    path = tmp_path / "a.log.gz"
    path.write_bytes(gzip.compress(b"one\ntw") + gzip.compress(b"o\nthree\n") + b"\0" * 512)
    tail = read_all(tailing, path, "offset_key at\nbuffer_chunk_size 3\nbuffer_max_size 100")
    assert tail.bodies == [
        {"at": 0, "log": "one"},
        {"at": 4, "log": "two"},
        {"at": 8, "log": "three"},
    ]


def test_a_compressed_file_that_is_still_written_to_is_read_on(tailing, tmp_path):
    async def scenario():
        path = tmp_path / "a.GZ"
        data = gzip.compress(b"".join(b"line %d\n" % number for number in range(2000)))
        path.write_bytes(data[:1000])
        async with tailing(f"path {path}\n{HEAD}") as tail:
            with open(path, "ab") as file:
                file.write(data[1000:])
            await tail.passes(1)
            assert tail.lines == [f"line {number}" for number in range(2000)]

    play(scenario)


def test_a_damaged_compressed_file_is_an_error_told_once(tailing, tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(b"no gzip at all\n")
    tail = read_all(tailing, path)
    assert tail.lines == []
    assert sum(level == "error" for level, _ in tail.context.sink.messages) == 1


# Encodings


@pytest.mark.parametrize(
    ("option", "codec", "bom"),
    [
        ("unicode.encoding UTF-16LE", "utf-16-le", b""),
        ("unicode.encoding utf16-be", "utf-16-be", b""),
        ("unicode.encoding auto", "utf-16-le", b"\xff\xfe"),
        ("unicode.encoding auto", "utf-16-be", b"\xfe\xff"),
        ("unicode.encoding auto", "utf-16-le", b""),
        ("unicode.encoding auto", "utf-8", b""),
        ("unicode.encoding auto", "utf-8", b"\xef\xbb\xbf"),
        ("unicode.encoding UTF-16LE", "utf-16-le", b"\xff\xfe"),
    ],
)
def test_unicode_encodings_become_text(tailing, log, option, codec, bom):
    lines = ["one, plain ascii text", "zwei 日本 \u0a0a\u0a00", "", "drei 😀"]
    log.write_bytes(bom + ("\r\n".join(lines) + "\n").replace("\r\n\r\n", "\r\n\n").encode(codec))
    assert read_all(tailing, log, option).lines == lines


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ShiftJIS", "日本語 ｶﾅ"),
        ("GBK", "中文"),
        ("win1252", "café “x” €"),
        ("CP949", "한국"),
        ("Big5", "中文"),
        ("gb18030", "中"),
        ("Win866", "при"),
    ],
)
def test_legacy_encodings_become_text(tailing, log, name, text):
    codec = {"shiftjis": "cp932", "win1252": "cp1252", "win866": "cp866"}.get(name.lower(), name)
    log.write_bytes(f"{text}\nx\n".encode(codec))
    assert read_all(tailing, log, f"generic.encoding {name}").lines == [text, "x"]


def test_a_line_that_is_not_valid_in_its_encoding_is_passed_on_and_told_once(tailing, log):
    log.write_bytes("中\n".encode("gbk") + b"\xff\xff\n\xff\xff\n")
    tail = read_all(tailing, log, "generic.encoding GBK")
    assert tail.lines == ["中", "\udcff\udcff", "\udcff\udcff"]
    assert sum(level == "error" for level, _ in tail.context.sink.messages) == 1


# Mistakes


@pytest.mark.parametrize(
    ("section", "word"),
    [
        ("path x\nrefresh_interval 0", "refresh_interval"),
        ("path x\nrotate_wait 0", "rotate_wait"),
        ("path x\nbuffer_max_size 1k\nbuffer_chunk_size 2k", "buffer_max_size"),
        ("path x\ngeneric.encoding klingon", "klingon"),
        ("path x\ngeneric.encoding GBK\nunicode.encoding auto", "unicode.encoding"),
        ("path x\nmultiline on", "parser_firstline"),
        ("path x\nmultiline on\ndocker_mode on\nparser_firstline p", "docker_mode"),
        ("path x\nmultiline.parser nosuch", "nosuch"),
        ("path ,", "path"),
        ("path x\ntag a.<b\ntag_regex (?<b>.)", "bracket"),
    ],
)
def test_what_does_not_go_together_is_an_error(section, word):
    with pytest.raises(ConfigError, match=word):
        make_plugin("input", "tail", section)


@pytest.mark.parametrize(
    ("section", "word"),
    [
        ("tag x", "path"),
        ("path x\ndb.journal_mode paper", "db.journal_mode"),
        ("path x\nunicode.encoding utf-7", "unicode.encoding"),
        ("path x\nread_from_heat on", "read_from_heat"),
    ],
)
def test_a_value_that_will_not_do_is_an_error(section, word):
    with pytest.raises(InvalidConfiguration, match=word):
        make_plugin("input", "tail", section)


def test_an_engine_without_files_of_its_own_ends_at_their_end(tailing, tmp_path):
    from tailrace.plugin.share import Share

    context = FakeContext()
    context.share = Share(0, 2)

    async def scenario():
        async with tailing(f"path {tmp_path}/*.none\nexit_on_eof on", context=context) as tail:
            await asyncio.wait_for(tail.task, 5)

    asyncio.run(scenario())
    assert context.exit_code == 0


def test_engines_divide_the_files(tailing, tmp_path):
    from tailrace.plugin.share import Share

    for number in range(12):
        (tmp_path / f"a{number}x.log").write_text(f"{number}\n")

    async def read(index):
        context = FakeContext()
        context.share = Share(index, 3)
        async with tailing(f"path {tmp_path}/*.log\n{HEAD}", context=context) as tail:
            await tail.passes(0.5)
        return tail.lines

    async def scenario():
        parts = [await read(index) for index in range(3)]
        lines = [line for part in parts for line in part]
        assert sorted(lines, key=int) == [str(number) for number in range(12)]
        assert sum(bool(part) for part in parts) > 1

    asyncio.run(scenario())
