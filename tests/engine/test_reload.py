"""Hot reload: only what has changed is swapped, and nothing is lost or repeated."""

import asyncio
import contextlib
import socket

import pytest

from tailrace.config.errors import ConfigError
from tailrace.config.load import load
from tailrace.engine.agent import Agent
from tailrace.engine.storage import Storage
from tailrace.model import Chunk
from tailrace.plugin import (
    Input,
    InputOptions,
    Output,
    OutputOptions,
    Retry,
    input_plugin,
    output_plugin,
)
from tailrace.plugin.log import Log
from tailrace.testing import ListSink

HEAD = "[SERVICE]\n flush 0.05\n grace 2\n hot_reload on\n"


@input_plugin("test_reload_ticker")
class Ticker(Input[InputOptions]):
    """Numbers, one after another, through reloads too if it is left alone."""

    async def run(self, emit):
        number = 0
        while True:
            bodies = [{"n": number + index} for index in range(5)]
            number += 5
            await emit(Chunk(self.tag, [0] * 5, bodies))
            await asyncio.sleep(0.001)


class KeeperOptions(OutputOptions):
    label: str = ""
    """Something to change."""

    mode: str = "keep"
    """keep, retry, or fail at the start."""


@output_plugin("test_reload_keeper")
class Keeper(Output[KeeperOptions]):
    """Keeps what it gets in a list that outlives it."""

    got: list = []  # noqa: RUF012
    stopped: list = []  # noqa: RUF012

    async def start(self):
        if self.options.mode == "fail":
            raise ConfigError("it can't be had.")

    async def flush(self, chunk):
        if self.options.mode == "retry":
            raise Retry("not now")
        await asyncio.sleep(0.002)
        self.got.extend((self.options.label, body) for body in chunk.bodies)

    async def stop(self):
        self.stopped.append(self.options.label)


@pytest.fixture(autouse=True)
def clean():
    Keeper.got.clear()
    Keeper.stopped.clear()


class Running:
    def __init__(self, agent, path, sink):
        self.agent, self.path, self.sink = agent, path, sink

    async def reload(self, text):
        self.path.write_text(HEAD + text)
        async with asyncio.timeout(10):
            return await self.agent.reload_and_wait()

    async def until(self, holds):
        async with asyncio.timeout(10):
            while not holds():
                await asyncio.sleep(0.005)

    def plugin(self, kind, number=0):
        return getattr(self.agent.pipeline.plan, kind)[number].plugin


@contextlib.asynccontextmanager
async def running(tmp_path, text):
    path = tmp_path / "a.conf"
    path.write_text(HEAD + text)
    sink = ListSink()
    agent = Agent(lambda: load(str(path), None, {}), sink)
    agent._install_signals = lambda: None
    life = asyncio.ensure_future(agent.run())
    async with asyncio.timeout(10):
        while agent.pipeline is None:
            await asyncio.sleep(0.005)
    try:
        yield Running(agent, path, sink)
    finally:
        agent.stop()
        async with asyncio.timeout(10):
            await life
        assert agent.pipeline.books.check() == []


def section(kind, **entries):
    return f"[{kind}]\n" + "".join(f" {key} {value}\n" for key, value in entries.items())


def keeper(**more):
    return section("OUTPUT", **{"name": "test_reload_keeper", "match": "*", **more})


TICKER = section("INPUT", name="test_reload_ticker", tag="t")


def test_what_is_the_same_is_left_alone(tmp_path):
    async def scenario():
        async with running(tmp_path, TICKER + keeper(label="a")) as run:
            ticker, output = run.plugin("inputs"), run.plugin("outputs")
            change = section("FILTER", name="modify", match="*", add="k v")
            assert (await run.reload(TICKER + change + keeper(label="a"))).status == 0
            assert run.plugin("inputs") is ticker
            assert run.plugin("outputs") is output
            await run.until(lambda: any("k" in body for _, body in Keeper.got))
            assert Keeper.stopped == []
        numbers = [body["n"] for _, body in Keeper.got]
        assert numbers == list(range(len(numbers)))

    asyncio.run(scenario())


def test_connections_of_an_unchanged_input_stay_open(tmp_path):
    async def scenario():
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        tcp = section("INPUT", name="tcp", listen="127.0.0.1", port=port, tag="t")
        async with running(tmp_path, tcp + keeper(label="a")) as run:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b'{"n":0}\n')
            await run.until(lambda: len(Keeper.got) == 1)
            await run.reload(tcp + keeper(label="b"))
            writer.write(b'{"n":1}\n')
            await run.until(lambda: len(Keeper.got) == 2)
            writer.close()
        assert Keeper.got == [("a", {"n": 0}), ("b", {"n": 1})]

    asyncio.run(scenario())


def test_a_changed_output_gets_what_waited_for_the_old_one(tmp_path):
    async def scenario():
        retrying = keeper(label="old", mode="retry", retry_limit="no_limits")
        async with running(tmp_path, TICKER + retrying) as run:
            await run.until(lambda: run.agent.pipeline.outputs[0].queue.waiting_retries)
            assert (await run.reload(TICKER + keeper(label="new"))).status == 0
            await run.until(lambda: len(Keeper.got) > 50)
            await run.until(lambda: Keeper.stopped == ["old"])
        numbers = sorted(body["n"] for _, body in Keeper.got)
        assert numbers == list(range(len(numbers)))

    asyncio.run(scenario())


def test_a_removed_output_delivers_what_it_has(tmp_path):
    async def scenario():
        both = keeper(label="stays", alias="stays") + keeper(label="goes", alias="goes")
        async with running(tmp_path, TICKER + both) as run:
            await run.until(lambda: len(Keeper.got) > 10)
            assert (await run.reload(TICKER + keeper(label="stays", alias="stays"))).status == 0
            await run.until(lambda: Keeper.stopped == ["goes"])
            book = run.agent.pipeline.books.outputs["goes"]
            assert book.routed == book.delivered

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("heir", "storage", "got"),
    [
        ({"alias": "new", "label": "new"}, "memory", True),
        ({"alias": "new", "label": "new"}, "filesystem", True),
        ({"alias": "new", "match": "other"}, "memory", False),
        ({"alias": "new", "match": "other"}, "filesystem", False),
    ],
)
def test_what_a_removed_output_can_not_deliver_goes_to_new_ones_or_stays_on_disk(
    tmp_path, heir, storage, got
):
    head = "[SERVICE]\n storage.path {}\n hot_reload.ensure_thread_safety off\n grace 0\n"
    service = head.format(tmp_path / "chunks")
    ticker = section("INPUT", name="test_reload_ticker", tag="t", **{"storage.type": storage})
    silent = section("INPUT", name="dummy", tag="quiet", samples="1", interval_sec="1000")
    dead = keeper(alias="dead", mode="retry", retry_limit="no_limits")

    async def scenario():
        async with running(tmp_path, service + ticker + dead) as run:
            book = run.agent.pipeline.books.outputs["dead"]
            await run.until(lambda: book.routed > 10 and book.retries)
            assert (await run.reload(service + silent + keeper(**heir))).status == 0
            await run.until(lambda: not book.in_flight)
            lost = book.dropped.get("output removed by a reload", 0)
            assert (book.kept, lost) == (
                (book.routed, 0) if got or storage != "memory" else (0, book.routed)
            )
            if got:
                await run.until(lambda: len(Keeper.got) == book.routed)
        left = list((tmp_path / "chunks").glob("*/*.flb"))
        assert bool(left) is (storage == "filesystem" and not got)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "broken",
    [
        keeper(label="a", mode="fail"),
        keeper(label="a")
        + section("OUTPUT", name="test_reload_keeper", match="*", mode="fail", alias="x"),
        section("INPUT", name="tcp", listen="127.0.0.1", port="{taken}") + keeper(label="b"),
        keeper(label="a", no_such_option=1),
        section("OUTPUT", name="no_such_plugin"),
    ],
)
def test_what_cannot_be_started_changes_nothing(tmp_path, broken):
    async def scenario():
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            text = broken.replace("{taken}", str(taken.getsockname()[1]))
            async with running(tmp_path, TICKER + keeper(label="a")) as run:
                result = await run.reload(TICKER + text)
                assert result.status == -3
                assert result.error
                assert run.agent.reloads == 0
                before = len(Keeper.got)
                await run.until(lambda: len(Keeper.got) > before + 20)
                assert (await run.reload(TICKER + keeper(label="later"))).status == 0
                await run.until(lambda: Keeper.got[-1][0] == "later")
        numbers = [body["n"] for _, body in Keeper.got]
        assert sorted(numbers) == list(range(len(numbers)))
        assert {label for label, _ in Keeper.got} == {"a", "later"}

    asyncio.run(scenario())


def test_a_file_that_was_emptied_changes_nothing(tmp_path):
    async def scenario():
        async with running(tmp_path, section("input", name="test_reload_ticker") + keeper()) as run:
            ticker = run.plugin("inputs")
            assert (await run.reload("")).status == -3
            assert run.plugin("inputs") is ticker

    asyncio.run(scenario())


def test_an_input_that_had_to_end_comes_back(tmp_path):
    async def scenario():
        with socket.socket() as probe, socket.socket() as taken:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            probe.close()
            old = section("INPUT", name="tcp", listen="127.0.0.1", port=port, tag="old")
            new = section(
                "INPUT", name="tcp", listen="127.0.0.1", port=taken.getsockname()[1], tag="new"
            )
            async with running(tmp_path, old + keeper(label="a")) as run:
                assert (await run.reload(new + keeper(label="a"))).status == -3
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b'{"n":0}\n')
                await run.until(lambda: len(Keeper.got) == 1)
                writer.close()

    asyncio.run(scenario())


def test_a_service_option_of_the_pipeline_restarts_it(tmp_path):
    async def scenario():
        async with running(tmp_path, TICKER + keeper(label="a")) as run:
            before = run.agent.pipeline
            run.path.write_text(HEAD + " json.escape_unicode off\n" + TICKER + keeper(label="a"))
            assert (await run.agent.reload_and_wait()).status == 0
            assert run.agent.pipeline is not before

    asyncio.run(scenario())


def test_one_reload_at_a_time(tmp_path):
    async def scenario():
        async with running(tmp_path, TICKER + keeper(label="a")) as run:
            results = await asyncio.gather(*(run.agent.reload_and_wait() for _ in range(2)))
            assert sorted(result.status for result in results) == [-2, 0]

    asyncio.run(scenario())


def test_a_change_during_a_reload_is_taken_up_after_it(tmp_path):
    async def scenario():
        async with running(tmp_path, TICKER + keeper(label="a")) as run:
            reload_once = run.agent._take_up_anew

            async def reload_and_change():
                result = await reload_once()
                if not run.agent.reloads > 1:
                    run.path.write_text(HEAD + TICKER + keeper(label="c"))
                    run.agent.reload()
                return result

            run.agent._take_up_anew = reload_and_change
            assert (await run.reload(TICKER + keeper(label="b"))).status == 0
            await run.until(lambda: run.agent.reloads == 2)
            assert run.plugin("outputs").options.label == "c"

    asyncio.run(scenario())


def test_the_agent_ends_when_neither_configuration_can_be_started(tmp_path, monkeypatch):
    async def fail(self):
        raise ConfigError("it can't be had.")

    async def scenario():
        async with running(tmp_path, TICKER + keeper(label="a")) as run:
            run.path.write_text(HEAD + " json.escape_unicode off\n" + TICKER + keeper(label="b"))
            monkeypatch.setattr(Keeper, "start", fail)
            async with asyncio.timeout(10):
                assert (await run.agent.reload_and_wait()).status == -3
            agent = run.agent
        assert agent.exit_code == 255

    asyncio.run(scenario())


def reload_under_load(tmp_path, times, db=True):
    """Reload again and again, each time with something else changed, while a file grows; the lines that were delivered."""

    async def scenario():
        log, lines = tmp_path / "in.log", 0
        log.write_text("")

        def text(number):
            tail = section(
                "INPUT",
                name="tail",
                path=log,
                tag="t",
                refresh_interval=1 + number % 2,
                **({"db": tmp_path / "pos.db", "read_from_head": "on"} if db else {}),
            )
            change = section("FILTER", name="modify", match="*", add=f"round {number}")
            extra = keeper(label="x", alias=f"extra{number % 2}", match="none")
            return tail + change + keeper(label=number // 3, alias="main") + extra

        async with running(tmp_path, text(0)) as run:

            async def write():
                nonlocal lines
                while True:
                    with log.open("a") as file:
                        file.writelines(f"{lines + index}\n" for index in range(20))
                    lines += 20
                    await asyncio.sleep(0.003)

            writer = asyncio.ensure_future(write())
            for number in range(1, times + 1):
                await asyncio.sleep(0.02)
                assert (await run.reload(text(number))).status == 0
            writer.cancel()
            await run.until(lambda: len(Keeper.got) >= lines)
        return sorted(int(body["log"]) for _, body in Keeper.got), lines

    return asyncio.run(scenario())


def test_reloads_under_load_lose_and_repeat_nothing(tmp_path):
    delivered, lines = reload_under_load(tmp_path, 8)
    assert delivered == list(range(lines))


def test_a_tail_without_a_database_goes_on_where_it_was(tmp_path):
    delivered, lines = reload_under_load(tmp_path, 5, db=False)
    assert delivered == list(range(lines))


@pytest.mark.slow
def test_a_hundred_reloads_under_load_lose_and_repeat_nothing(tmp_path):
    delivered, lines = reload_under_load(tmp_path, 100)
    assert delivered == list(range(lines))


def test_an_output_that_holds_a_port_is_changed_in_place(tmp_path):
    async def scenario():
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]

        def exporter(site, more=""):
            own = section(
                "OUTPUT",
                name="prometheus_exporter",
                match="m",
                host="127.0.0.1",
                port=port,
                add_label=f"site {site}",
            )
            metrics = section("INPUT", name="fluentbit_metrics", tag="m", scrape_interval="0.1")
            return TICKER + metrics + keeper(label="a") + own + more

        async def page():
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            text = (await reader.read()).decode()
            writer.close()
            return text

        async def shows(site):
            async with asyncio.timeout(10):
                while f'site="{site}"' not in await page():
                    await asyncio.sleep(0.02)

        async with running(tmp_path, exporter("one")) as run:
            await shows("one")
            assert (await run.reload(exporter("two"))).status == 0
            await shows("two")
            broken = keeper(alias="x", mode="fail")
            assert (await run.reload(exporter("three", broken))).status == -3
            await shows("two")

    asyncio.run(scenario())


def test_outputs_of_one_name_are_not_mixed_up(tmp_path):
    async def scenario():
        twins = keeper(label="a", alias="x") + keeper(label="b", alias="x")
        async with running(tmp_path, TICKER + twins) as run:
            await run.until(lambda: {label for label, _ in Keeper.got} == {"a", "b"})
            first = run.plugin("outputs")
            later = keeper(label="a", alias="x") + keeper(label="c", alias="x")
            assert (await run.reload(TICKER + later)).status == 0
            assert run.plugin("outputs") is first
            await run.until(lambda: Keeper.stopped == ["b"])
            await run.until(lambda: any(label == "c" for label, _ in Keeper.got))

    asyncio.run(scenario())


def test_a_restart_takes_up_the_options_of_the_storage_and_the_end_gives_it_back(tmp_path):
    head = f"[SERVICE]\n storage.path {tmp_path / 'chunks'}\n"

    async def scenario():
        async with running(tmp_path, head + TICKER + keeper(label="a")) as run:
            first = run.agent.pipeline.storage
            text = head + " storage.sync full\n storage.checksum on\n"
            assert (await run.reload(text + TICKER + keeper(label="a"))).status == 0
            second = run.agent.pipeline.storage
            assert second is not first
            assert second.syncs is not None
        Storage(tmp_path / "chunks", Log(ListSink())).open()  # nobody holds it any more

    asyncio.run(scenario())
