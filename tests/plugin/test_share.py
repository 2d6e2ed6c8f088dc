import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.plugin.share import WHOLE, Share


@given(st.text(), st.integers(1, 9))
def test_every_key_is_taken_by_exactly_one_engine(key, count):
    assert sum(Share(index, count).takes(key) for index in range(count)) == 1


def test_the_only_engine_takes_everything():
    assert WHOLE.takes("x")
    assert WHOLE.takes_file("/a/b.log")


@pytest.mark.parametrize(
    "later",
    [
        "app.log.1",
        "app.log.2.gz",
        "app.log-20240101",
        "app.log.old",
        "app.log-20240101-1704067200.gz",
    ],
)
def test_all_generations_of_a_log_are_of_one_engine(later):
    for count in (2, 3, 7):
        owners = [
            [index for index in range(count) if Share(index, count).takes_file(path)]
            for path in ("/var/log/app.log", f"/var/log/{later}")
        ]
        assert owners[0] == owners[1]


def test_files_spread_over_the_engines():
    shares = [Share(index, 4) for index in range(4)]
    counts = [sum(share.takes_file(f"/l/pod-{n}-x.log") for n in range(400)) for share in shares]
    assert min(counts) > 50
