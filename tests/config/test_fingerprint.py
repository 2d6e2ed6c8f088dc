import os

import pytest

from tailrace.config.errors import Place
from tailrace.config.fingerprint import fingerprint, outline
from tailrace.config.source import Entry, Section


def section(line=1, **entries):
    place = Place("a.conf", line)
    return Section("filter", place, [Entry(key, value, place) for key, value in entries.items()])


def test_where_it_stands_does_not_matter():
    assert outline(section(1, name="grep")) == outline(section(9, name="grep"))


def test_every_value_and_child_counts():
    one, other = section(name="grep"), section(name="grep")
    assert outline(one) != outline(section(name="modify"))
    other.children.append(section(name="x"))
    assert outline(one) != outline(other)


@pytest.mark.parametrize("option", ["script", "tls.crt_file", "upstream"])
def test_a_changed_file_of_the_configuration_is_a_change(tmp_path, option):
    (tmp_path / "a").write_text("one")
    before = fingerprint(section(**{option: "a"}), tmp_path)
    assert fingerprint(section(**{option: "a"}), tmp_path) == before
    os.utime(tmp_path / "a", ns=(1, 1))
    assert fingerprint(section(**{option: "a"}), tmp_path) != before


def test_data_files_are_no_configuration(tmp_path):
    (tmp_path / "in.log").write_text("one")
    before = fingerprint(section(path="in.log"), tmp_path)
    (tmp_path / "in.log").write_text("one and more")
    assert fingerprint(section(path="in.log"), tmp_path) == before
