import socket

from tailrace.config.variables import Variables


def test_the_host_name_is_known_unless_it_is_set():
    assert Variables({}).expand("a-${HOSTNAME}") == f"a-{socket.gethostname()}"
    assert Variables({"HOSTNAME": "web"}).expand("${HOSTNAME}") == "web"


def test_braces_with_nothing_between_stay():
    assert Variables({}).expand("a${}b") == "a${}b"
