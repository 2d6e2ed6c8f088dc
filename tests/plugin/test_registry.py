"""Finding plugins by kind and name."""

import subprocess
import sys
import textwrap

import pytest

from tailrace import filters
from tailrace.plugin import Filter, FilterOptions, Input, InputOptions, filter_plugin, registry
from tailrace.plugin.registry import UnknownPlugin, find, make, names, options_class


class WidgetOptions(FilterOptions):
    size: int = 3
    """Of the widget."""


@filter_plugin("test_widget", "test_gadget")
class Widget(Filter[WidgetOptions]):
    def __init__(self, options):
        super().__init__(options)
        self.seen = self.context

    def process(self, chunk):
        return chunk


@pytest.mark.parametrize(
    ("kind", "name"),
    [("input", "dummy"), ("output", "null"), ("filter", "grep"), ("parser", "json")],
)
def test_a_built_in_plugin_is_found_by_kind_and_name(kind, name):
    found = find(kind, name)
    assert (found.kind, found.name) == (kind, name)


@pytest.mark.parametrize("name", ["NULL", "Null"])
def test_names_ignore_letter_case(name):
    assert find("output", name) is find("output", "null")


def test_a_name_with_a_hyphen_lives_in_a_module_with_an_underscore(tmp_path, monkeypatch):
    source = """
        from tailrace.plugin import Filter, FilterOptions, filter_plugin

        @filter_plugin("test-hyphen")
        class Hyphen(Filter[FilterOptions]):
            pass
    """
    (tmp_path / "test_hyphen.py").write_text(textwrap.dedent(source))
    monkeypatch.setattr(filters, "__path__", [*filters.__path__, str(tmp_path)])
    assert find("filter", "test-hyphen").__name__ == "Hyphen"


def test_an_alias_finds_the_same_class():
    assert find("filter", "test_gadget") is find("filter", "test_widget") is Widget
    assert Widget.name == "test_widget"


def test_a_name_belongs_to_its_kind():
    with pytest.raises(UnknownPlugin):
        find("output", "test_widget")


def test_an_unknown_name_gets_a_hint():
    with pytest.raises(UnknownPlugin, match=r"no filter plugin 'gerp'.*grep"):
        find("filter", "gerp")
    with pytest.raises(UnknownPlugin, match=r"no input plugin 'Winlog'\. Fluent Bit has it"):
        find("input", "Winlog")
    with pytest.raises(UnknownPlugin, match="comment needs a line of its own"):
        find("filter", "grep  # keeps some")
    with pytest.raises(UnknownPlugin, match="tailrace plugins"):
        find("filter", "qqqqqqqqqq")


@pytest.mark.parametrize(
    "name", ["", "..", "os.path", "a b", "__init__", "grep.x", "../cli/main", "\0"]
)
def test_no_name_imports_what_is_no_plugin(name):
    with pytest.raises(UnknownPlugin):
        find("filter", name)


def test_names_are_those_of_modules_and_of_what_was_registered():
    found = names("filter")
    assert found == sorted(found)
    assert {"grep", "test_widget"} <= set(found)
    assert "dummy" not in found


def test_a_kind_without_a_package_has_no_plugins():
    assert names("custom") == []


def test_listing_names_imports_no_plugin():
    code = (
        "import sys; from tailrace.plugin import registry; assert registry.names('filter');"
        "assert 'tailrace.filters.grep' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=30).returncode == 0


def test_the_context_is_there_before_init():
    context = object()
    made = make(Widget, WidgetOptions(), context)
    assert made.seen is made.context is context


def test_the_options_class_is_the_one_in_the_bases():
    class Special(Widget):
        pass

    assert options_class(Widget) is WidgetOptions
    assert options_class(Special) is WidgetOptions
    assert options_class(find("output", "null")).__name__ == "NullOptions"


def test_a_class_that_names_no_options_is_a_mistake():
    class Bare:
        pass

    with pytest.raises(TypeError, match="Bare names no options class"):
        options_class(Bare)


def test_a_plugin_of_an_entry_point_is_loaded_when_it_is_named(monkeypatch):
    class Entry:
        name = "test_external"

        def load(self):
            @registry.input_plugin("test_external")
            class External(Input[InputOptions]):
                pass

    def entry_points(group):
        return [Entry()] if group == "tailrace.inputs" else []

    monkeypatch.setattr("importlib.metadata.entry_points", entry_points)
    with pytest.raises(UnknownPlugin):
        find("output", "test_external")
    assert find("input", "test_external").__name__ == "External"
