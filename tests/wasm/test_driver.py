"""The driver finds where texts and MessagePack values end, whatever they are, and tells unchanged records from others."""

from array import array
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.wasm.driver import BAD_POINTER, NOT_A_MAP, UNCHANGED
from tailrace.wasm.engine import Limits, make_engine
from tailrace.wasm.guest import Guest
from tailrace.wasm.program import open_program
from tailrace.wire.msgpack import encode_bodies

wasmtime = pytest.importorskip("wasmtime")
MODULE = """(module (memory (export "memory") 2)
  (func (export "echo") (param i32 i32 i32 i32) (param $rec i32) (param $len i32) (result i32) (local.get $rec))
  ;; all but the first byte
  (func (export "rest") (param i32 i32 i32 i32) (param $rec i32) (param $len i32) (result i32)
    (i32.add (local.get $rec) (i32.const 1)))
)"""
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=40)
    | st.binary(max_size=300),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("driver") / "a.wasm"
    path.write_bytes(wasmtime.wat2wasm(MODULE))
    return str(path)


def guest(path, function, is_msgpack=False):
    return Guest(
        open_program(path, Path(), make_engine()), function, ["."], Limits(), is_msgpack=is_msgpack
    )


@pytest.fixture(scope="module")
def msgpack_echo(path):
    return guest(path, "echo", is_msgpack=True)


@pytest.fixture(scope="module")
def text_echo(path):
    return guest(path, "echo")


@pytest.fixture(scope="module")
def text_rest(path):
    return guest(path, "rest")


@settings(deadline=None, max_examples=60)
@given(bodies=st.lists(st.dictionaries(st.text(max_size=5), VALUES, max_size=20), max_size=5))
def test_a_msgpack_map_is_measured_to_its_last_byte(msgpack_echo, bodies):
    records = encode_bodies(bodies)
    outcome = msgpack_echo.run(b"t", [1] * len(records), records)
    assert list(outcome.lengths) == [UNCHANGED] * len(records)


@settings(deadline=None, max_examples=100)
@given(data=st.binary(min_size=1, max_size=60))
def test_any_bytes_are_a_map_or_none_and_never_a_fault(msgpack_echo, data):
    outcome = msgpack_echo.run(b"t", [1], [data])
    assert not outcome.failed
    (length,) = outcome.lengths
    assert length in (BAD_POINTER, NOT_A_MAP, UNCHANGED) or length >= 0


TEXTS = st.lists(
    st.binary(min_size=1, max_size=70).map(lambda data: data.replace(b"\0", b"0"))
    | st.just(b"x" * 5000),
    max_size=30,
)


@settings(deadline=None, max_examples=100)
@given(texts=TEXTS)
def test_a_text_that_comes_back_is_known_as_unchanged(text_echo, texts):
    outcome = text_echo.run(b"tag", [1] * len(texts), texts, b",1,")
    assert list(outcome.lengths) == [UNCHANGED] * len(texts)
    assert outcome.texts == []


@settings(deadline=None, max_examples=100)
@given(texts=TEXTS, tag=st.binary(max_size=20).map(lambda tag: tag.replace(b"\0", b"")))
def test_other_texts_come_whole_with_the_separator_behind_each(text_rest, texts, tag):
    texts = [b"-" + text for text in texts]
    outcome = text_rest.run(tag, [1] * len(texts), texts, b",77,")
    assert outcome.lengths == array("i", [len(text) - 1 for text in texts])
    assert outcome.text() == b"".join(text[1:] + b",77," for text in texts if len(text) > 1)
