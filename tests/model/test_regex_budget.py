"""No pattern hangs the agent."""

import asyncio
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tailrace.model.regex import RegexTimeout, budget, compile_regex

ENDLESS = "a" * 60 + "b"


def evil(engine):
    regex = compile_regex(r"^(a|aa)+$" if engine == "re" else r"^(a|aa)+\Xc$")
    assert regex.engine == engine
    return regex


def on_another_thread(function):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


@pytest.mark.parametrize(
    "pattern", [r"^(a+)+$", r"^(a|aa)+$", r"^(a|aa)+\Xc$", r"(?<!x+)(?:a|aa)+$"]
)
def test_a_match_ends_within_its_budget(pattern):
    search = compile_regex(pattern).search
    with pytest.raises(RegexTimeout, match=r"0\.02 s"), budget(0.02):
        search(ENDLESS)


@pytest.mark.parametrize("pattern", [r"^(a|aa)+$", r"^(a|aa)+\Xc$"])
def test_a_match_on_another_thread_ends_within_its_budget(pattern):
    def match():
        with budget(0.02):
            compile_regex(pattern).search(ENDLESS)

    with pytest.raises(RegexTimeout):
        on_another_thread(match)


def test_another_thread_has_a_limit_without_a_budget(monkeypatch):
    monkeypatch.setattr("tailrace.model.regex.deadline.DEFAULT_SECONDS", 0.02)
    with pytest.raises(RegexTimeout):
        on_another_thread(lambda: evil("re").matches(ENDLESS))


def test_a_budget_that_is_used_up_stops_the_next_match_on_another_thread():
    def match():
        search = compile_regex("a").search
        with budget(0):
            search("a")

    with pytest.raises(RegexTimeout):
        on_another_thread(match)


def test_an_inner_budget_on_another_thread_ends_no_later_than_the_outer():
    def match():
        with budget(0.02), budget(60):
            evil("re").search(ENDLESS)

    with pytest.raises(RegexTimeout):
        on_another_thread(match)


def test_usual_batches_do_not_notice():
    search = compile_regex(r"^(?<key>\w+)=(?<value>\d+)$").search_line
    with budget(30):
        found = [search(f"key={number}") for number in range(1000)]
    assert [match["value"] for match in found if match] == [str(number) for number in range(1000)]


def test_the_culprit_is_found_line_by_line():
    search = evil("re").search
    lines = ["aaa", ENDLESS, "aa", "b"]
    results = []
    for line in lines:
        try:
            with budget(0.02):
                results.append(search(line) is not None)
        except RegexTimeout:
            results.append(None)
    assert results == [True, None, True, False]


def test_an_outer_budget_outlives_an_inner_timeout():
    search = evil("re").search

    def match():
        with pytest.raises(RegexTimeout), budget(0.02):
            search(ENDLESS)
        assert search("aaa")
        search(ENDLESS)

    with pytest.raises(RegexTimeout, match=r"0\.1 s"), budget(0.1):
        match()


def test_an_inner_budget_cannot_exceed_the_outer():
    with pytest.raises(RegexTimeout, match=r"0\.02"), budget(0.02), budget(60):
        evil("re").search(ENDLESS)


@contextmanager
def someone_elses_timer(seconds):
    rang = []
    before = signal.signal(signal.SIGVTALRM, lambda number, _: rang.append(number))
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield rang
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def test_handler_and_timer_of_others_are_restored():
    with someone_elses_timer(100) as rang:
        handler = signal.getsignal(signal.SIGVTALRM)
        with pytest.raises(RegexTimeout), budget(0.02):
            evil("re").search(ENDLESS)
        assert signal.getsignal(signal.SIGVTALRM) is handler
        assert 99 < signal.getitimer(signal.ITIMER_VIRTUAL)[0] < 100
        assert rang == []


def test_nothing_is_left_behind():
    before = signal.getsignal(signal.SIGVTALRM)
    with budget(5):
        pass
    assert signal.getsignal(signal.SIGVTALRM) is before
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0, 0)


def test_a_timeout_that_a_destructor_swallows_comes_again():
    unraisable = []

    class Slow:
        def __del__(self):
            evil("re").search(ENDLESS)

    def match():
        Slow()
        evil("re").search(ENDLESS)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.unraisablehook", unraisable.append)
        with pytest.raises(RegexTimeout), budget(0.02):
            match()
    assert len(unraisable) == 1


async def match_between_other_work():
    ended = []

    def match():
        try:
            with budget(0.02):
                evil("re").search(ENDLESS)
        except RegexTimeout:
            ended.append(True)

    match()
    asyncio.get_running_loop().call_soon(match)
    for _ in range(3):
        await asyncio.sleep(0)
    return ended


def test_it_works_inside_asyncio():
    assert asyncio.run(match_between_other_work()) == [True, True]


def test_it_works_inside_uvloop():
    uvloop = pytest.importorskip("uvloop")
    assert uvloop.run(match_between_other_work()) == [True, True]
