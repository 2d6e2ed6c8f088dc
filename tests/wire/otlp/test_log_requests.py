"""Log records under resources and scopes, in requests of limited size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model import Group
from tailrace.wire.otlp.log_requests import Limits
from tests.wire.otlp.test_encode_logs import chunk_with, requests_of
from tests.wire.otlp.test_protobuf import plain


def otlp_group(resource_id, scope_id, **body):
    return Group({"schema": "otlp", "resource_id": resource_id, "scope_id": scope_id}, body)


def shape(request):
    """Of each resource: its attributes, and of each scope its name and bodies."""
    return [
        (
            {each.key: plain(each.value) for each in resource.resource.attributes},
            [
                (scope.scope.name, [plain(record.body) for record in scope.log_records])
                for scope in resource.scope_logs
            ],
        )
        for resource in request.resource_logs
    ]


def lines(count):
    return chunk_with(*[({"log": str(number)}, {}) for number in range(count)])


def test_groups_become_resources_and_scopes_in_their_order():
    shop = {"attributes": {"service.name": "shop"}}
    one = otlp_group(0, 0, resource=shop, scope={"name": "a"})
    two = otlp_group(0, 1, resource=shop, scope={"name": "b"})
    other = otlp_group(1, 0, resource={"attributes": {"service.name": "till"}}, scope={"name": "a"})
    [request] = requests_of(lines(6), groups=[one, one, two, other, None, one])
    assert shape(request) == [
        ({"service.name": "shop"}, [("a", ["0", "1"]), ("b", ["2"])]),
        ({"service.name": "till"}, [("a", ["3"])]),
        ({}, [("", ["4"])]),
        ({"service.name": "shop"}, [("a", ["5"])]),
    ]


def test_a_group_that_came_again_is_the_same_place():
    groups = [otlp_group(0, 0, resource={"attributes": {"a": 1}}, scope={}) for _ in range(3)]
    [request] = requests_of(lines(3), groups=groups)
    assert shape(request) == [({"a": 1}, [("", ["0", "1", "2"])])]


def test_all_of_a_resource_and_a_scope_is_passed_on():
    group = otlp_group(
        0,
        0,
        resource={"attributes": {"a": 1}, "dropped_attributes_count": 2},
        schema_url="https://r",
        scope={
            "name": "lib",
            "version": "1",
            "attributes": {"b": [True]},
            "dropped_attributes_count": 3,
            "schema_url": "https://s",
        },
    )
    [request] = requests_of(lines(1), groups=[group])
    [resource] = request.resource_logs
    [scope] = resource.scope_logs
    assert (resource.schema_url, resource.resource.dropped_attributes_count) == ("https://r", 2)
    assert (scope.schema_url, scope.scope.version) == ("https://s", "1")
    assert scope.scope.dropped_attributes_count == 3
    assert plain(scope.scope.attributes[0].value) == [True]


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"schema": "mine"},
        {"schema": "otlp"},
        {"schema": "otlp", "resource_id": "0", "scope_id": 0},
    ],
)
def test_a_group_of_something_else_is_no_resource(metadata):
    [request] = requests_of(
        lines(1), groups=[Group(metadata, {"resource": {"attributes": {"a": 1}}})]
    )
    assert shape(request) == [({}, [("", ["0"])])]


def test_bad_parts_of_a_group_are_left_out():
    group = otlp_group(0, 0, resource={"attributes": 1, "schema_url": 2}, scope=[])
    [request] = requests_of(lines(1), groups=[group])
    assert shape(request) == [({}, [("", ["0"])])]


def test_what_is_beyond_the_limits_goes_into_further_resources_and_requests():
    groups = [
        otlp_group(0, number, resource={}, scope={"name": str(number)}) for number in range(5)
    ]
    made = requests_of(lines(5), groups=groups, limits=Limits(1000, 2, 2))
    assert [[len(resource.scope_logs) for resource in each.resource_logs] for each in made] == [
        [2, 2],
        [1],
    ]


@given(
    count=st.integers(0, 30),
    places=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=30, max_size=30),
    limits=st.tuples(st.integers(1, 7), st.integers(0, 3), st.integers(0, 3)),
)
def test_every_event_is_in_one_request_once_and_in_order(count, places, limits):
    groups = [
        otlp_group(r, s, resource={"attributes": {"r": r}}, scope={"name": str(s)})
        for r, s in places[:count]
    ]
    made = requests_of(lines(count), groups=groups, limits=Limits(*limits))
    seen = []
    for request in made:
        for resource in request.resource_logs:
            r = plain(resource.resource.attributes[0].value)
            assert not limits[2] or len(resource.scope_logs) <= limits[2]
            for scope in resource.scope_logs:
                seen += [
                    ((r, int(scope.scope.name)), plain(each.body)) for each in scope.log_records
                ]
        assert not limits[1] or len(request.resource_logs) <= limits[1]
        assert (
            sum(len(s.log_records) for r in request.resource_logs for s in r.scope_logs)
            <= limits[0]
        )
    assert seen == [(places[number], str(number)) for number in range(count)]
