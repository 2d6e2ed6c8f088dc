"""`tailrace graph`."""

from xml.etree import ElementTree

import pytest

from tailrace.cli.graph import HEIGHT, WIDTH
from tailrace.cli.main import run

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def graph(tmp_path, capsys):
    """The picture of a configuration, read as XML."""

    def drawn(text):
        path = tmp_path / "a.conf"
        path.write_text(text)
        assert run(["graph", str(path)]) == 0
        return ElementTree.fromstring(capsys.readouterr().out)

    return drawn


def config(inputs=1, filters=0, outputs=1):
    return (
        "[INPUT]\n    name dummy\n" * inputs
        + "[FILTER]\n    name grep\n    match *\n    regex a b\n" * filters
        + "[OUTPUT]\n    name null\n    match *\n" * outputs
    )


def texts(picture):
    return [each.text for each in picture.iter(f"{SVG}text")]


def boxes(picture):
    """Places of the boxes; the first rectangle is the background."""
    return [
        (int(each.get("x")), int(each.get("y"))) for each in list(picture.iter(f"{SVG}rect"))[1:]
    ]


def arrows(picture):
    return [each for each in picture.iter(f"{SVG}path") if each.get("stroke")]


def test_every_instance_has_a_box_with_its_name_and_tag(graph):
    found = texts(graph(config(2, 1, 1)))
    assert {"dummy.0", "dummy.1", "grep.0", "null.0"} <= set(found)
    assert {"tag dummy.0", "tag dummy.1", "match *"} <= set(found)
    assert {"inputs", "filters", "outputs"} <= set(found)


@pytest.mark.parametrize("shape", [(1, 0, 1), (3, 0, 2), (1, 3, 4), (5, 1, 1)])
def test_boxes_do_not_overlap_and_lie_within_the_picture(graph, shape):
    picture = graph(config(*shape))
    places = boxes(picture)
    assert len(places) == sum(shape)
    for number, (x, y) in enumerate(places):
        assert 0 <= x <= int(picture.get("width")) - WIDTH
        assert 0 <= y <= int(picture.get("height")) - HEIGHT
        for other_x, other_y in places[:number]:
            assert abs(x - other_x) >= WIDTH or abs(y - other_y) >= HEIGHT


@pytest.mark.parametrize(
    ("shape", "count"), [((1, 0, 1), 1), ((2, 0, 3), 6), ((2, 1, 3), 5), ((1, 2, 1), 3)]
)
def test_each_column_is_joined_with_the_next(graph, shape, count):
    assert len(arrows(graph(config(*shape)))) == count


def test_a_head_stands_over_its_kind_once(graph):
    assert texts(graph(config(2, 2, 2))).count("filters") == 1


def test_a_configuration_without_a_pipeline_is_an_empty_picture(graph):
    assert texts(graph("[SERVICE]\n    flush 1\n")) == []


def test_signs_of_xml_in_a_name_are_escaped(graph):
    found = texts(
        graph('[INPUT]\n    name dummy\n    tag <a>&"b\n[OUTPUT]\n    name null\n    match *\n')
    )
    assert 'tag <a>&"b' in found


def test_a_long_text_is_cut_to_its_box(graph):
    found = texts(graph(config().replace("name dummy", f"name dummy\n    tag {'x' * 60}")))
    assert "tag " + "x" * 19 + "…" in found


def test_a_file_takes_the_picture_if_named(tmp_path, capsys):
    path, target = tmp_path / "a.conf", tmp_path / "a.svg"
    path.write_text(config())
    assert run(["graph", str(path), "-o", str(target)]) == 0
    assert capsys.readouterr().out == ""
    assert ElementTree.parse(target).getroot().tag == f"{SVG}svg"


def test_a_target_that_can_not_be_written_is_told(tmp_path, capsys):
    path, target = tmp_path / "a.conf", tmp_path / "none" / "a.svg"
    path.write_text(config())
    assert run(["graph", str(path), "-o", str(target)]) == 1
    assert "can't be written: No such file or directory" in capsys.readouterr().err


def test_a_wrong_configuration_is_told_and_not_drawn(tmp_path, capsys):
    path = tmp_path / "a.conf"
    path.write_text("[INPUT]\n    name nothing\n")
    assert run(["graph", str(path)]) == 1
    out, error = capsys.readouterr()
    assert (out, "'nothing'" in error) == ("", True)
