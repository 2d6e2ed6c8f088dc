"""The input dlq."""

import asyncio

import pytest

from tailrace.config.errors import ConfigError
from tailrace.model import Group
from tailrace.plugin.dead_letters import DeadLetters, letter_files, letters_of, take
from tailrace.plugin.log import Log
from tailrace.testing import FakeContext, ListSink, chunk_of, make_plugin, run_input


def bury(folder, *bodies, tag="app", output="es.0"):
    bury_chunk(folder, chunk_of(list(bodies), tag), output)


def bury_chunk(folder, chunk, output="es.0"):
    letters = letters_of(
        chunk,
        output=output,
        plugin="es",
        reason="mapping",
        status=400,
        attempts=2,
        now_ns=7,
    )
    DeadLetters(folder, 0, Log(ListSink())).add(letters)


def bodies_of(chunks):
    return [body for chunk in chunks for body in chunk.bodies]


async def a_while(plugin):
    await asyncio.sleep(0.02)


def test_letters_come_with_their_tag_and_the_reason(tmp_path):
    bury(tmp_path, {"n": 1}, {"n": 2})
    [chunk] = run_input("dlq", {"path": str(tmp_path)}, until=2, during=a_while)
    assert (chunk.tag, chunk.bodies) == ("app", [{"n": 1}, {"n": 2}])
    assert chunk.times == chunk_of([{}, {}], "app").times
    assert chunk.metadata[0] == {
        "dead_letter": {"output": "es.0", "reason": "mapping", "status": 400, "attempts": 2}
    }


def test_letters_come_in_their_groups(tmp_path):
    chunk = chunk_of([{"n": 1}, {"n": 2}, {"n": 3}], "app")
    shop = Group({"schema": "otlp"}, {"resource": {"name": "shop"}})
    chunk.groups = [shop, shop, None]
    bury_chunk(tmp_path, chunk)
    [found] = run_input("dlq", {"path": str(tmp_path)}, until=3, during=a_while)
    assert found.groups == [shop, shop, None]
    assert found.groups[0] is found.groups[1]


def test_a_tag_may_be_given(tmp_path):
    bury(tmp_path, {"n": 1})
    [chunk] = run_input("dlq", {"path": str(tmp_path), "tag": "dead"})
    assert chunk.tag == "dead"


def test_a_file_is_deleted_when_all_its_letters_are_settled(tmp_path):
    async def scenario():
        plugin = make_plugin("input", "dlq", {"path": str(tmp_path)})
        held = []

        async def emit(chunk):
            chunk.receipt.hold()
            held.append(chunk)

        task = asyncio.ensure_future(plugin.run(emit))
        await asyncio.sleep(0.02)
        assert len(list(tmp_path.iterdir())) == 1
        held[0].receipt.release()
        await asyncio.sleep(0.02)
        assert list(tmp_path.iterdir()) == []
        task.cancel()

    bury(tmp_path, {"n": 1})
    asyncio.run(scenario())


def test_what_an_earlier_run_took_and_did_not_finish_comes_again(tmp_path):
    bury(tmp_path, {"n": 1})
    take(letter_files(tmp_path)[0])
    assert bodies_of(run_input("dlq", {"path": str(tmp_path)})) == [{"n": 1}]


def test_lines_that_are_no_letters_stay_beside(tmp_path):
    bury(tmp_path, {"n": 1})
    [path] = letter_files(tmp_path)
    path.write_bytes(b"oops\n" + path.read_bytes())
    context = FakeContext("dlq.0")
    chunks = run_input("dlq", {"path": str(tmp_path)}, context=context, during=a_while)
    assert bodies_of(chunks) == [{"n": 1}]
    [bad] = tmp_path.iterdir()
    assert (bad.name, bad.read_bytes()) == (f"{path.name}.bad", b"oops\n")
    assert any("line 1: it is no JSON" in text for _, text in context.sink.messages)


def test_letters_of_other_outputs_stay(tmp_path):
    bury(tmp_path, {"n": 1})
    bury(tmp_path, {"n": 2}, output="http.0")
    section = {"path": str(tmp_path), "output": "http.0"}
    assert bodies_of(run_input("dlq", section, during=a_while)) == [{"n": 2}]
    assert len(letter_files(tmp_path)) == 1


def test_the_folder_is_that_of_the_service(tmp_path):
    bury(tmp_path / "dead", {"n": 1})
    service = {"storage.path": str(tmp_path), "storage.rejected.path": "dead"}
    assert bodies_of(run_input("dlq", "", context=FakeContext(service=service))) == [{"n": 1}]


def test_without_any_folder_there_is_an_error():
    with pytest.raises(ConfigError, match="no folder of dead letters"):
        make_plugin("input", "dlq", "", FakeContext(service={"storage.path": ""}))
