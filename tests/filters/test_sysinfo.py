import platform
import socket

import pytest

from tailrace import __version__
from tailrace.testing import run_filter

SYSTEM = platform.uname()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("fluentbit_version_key", __version__),
        ("os_name_key", "linux"),
        ("hostname_key", socket.gethostname()),
        ("os_version_key", SYSTEM.version),
        ("kernel_version_key", SYSTEM.release),
    ],
)
def test_each_fact_is_appended_under_the_key_that_is_asked_for(option, value):
    [body] = run_filter("sysinfo", f"{option} k", {"k": "old", "a": 1})
    assert list(body.items()) == [("a", 1), ("k", value)]


def test_nothing_is_appended_unless_asked_for():
    assert run_filter("sysinfo", "", {"a": 1}) == [{"a": 1}]
