import resource

import pytest

from tailrace.wasm import engine


@pytest.mark.parametrize(
    ("soft", "wanted", "given"),
    [
        (8 << 20, 8192, 512 << 10),
        (8 << 20, 1 << 20, 1 << 20),
        (8 << 20, 1 << 30, 2 << 20),
        (2 << 20, 1 << 30, 1 << 20),
        (resource.RLIM_INFINITY, 1 << 30, 1 << 20),
    ],
)
def test_the_stack_is_usable_and_no_larger_than_the_threads(monkeypatch, soft, wanted, given):
    monkeypatch.setattr(resource, "getrlimit", lambda which: (soft, soft))
    assert engine.stack_size(wanted) == given
    assert bool(engine.stack_warning(wanted)) is (wanted > given)


def test_an_engine_of_the_largest_stack_can_be_made():
    pytest.importorskip("wasmtime")
    engine.make_engine(1 << 30)
