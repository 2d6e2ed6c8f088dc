import pytest

from tailrace.wasm.engine import make_engine
from tailrace.wasm.watchdog import Watchdog

wasmtime = pytest.importorskip("wasmtime")
TEXT = '(module (func (export "loop") (loop (br 0))) (func (export "fine")))'


@pytest.fixture
def call():
    """Calls a function of a module under a watchdog."""
    engine = make_engine()
    store = wasmtime.Store(engine)
    exports = wasmtime.Instance(store, wasmtime.Module(engine, TEXT), []).exports(store)

    def call(name, dog):
        store.set_epoch_deadline(1)
        dog.begin()
        try:
            exports[name](store)
        finally:
            dog.end()

    call.engine = engine
    return call


@pytest.mark.parametrize("by_cpu", [True, False])
def test_an_endless_call_is_ended_and_the_next_one_runs(call, by_cpu):
    dog = Watchdog(call.engine, 0.02, by_cpu)
    for _ in range(2):
        with pytest.raises(wasmtime.Trap, match="interrupt"):
            call("loop", dog)
        call("fine", dog)
    dog.close()


def test_its_thread_ends_with_close_and_begins_again_with_a_call(call):
    dog = Watchdog(call.engine, 0.02)
    call("fine", dog)
    assert dog._thread is not None
    thread = dog._thread
    dog.close()
    assert not thread.is_alive()
    with pytest.raises(wasmtime.Trap):
        call("loop", dog)
    dog.close()
    dog.close()


def test_without_a_limit_there_is_no_thread(call):
    dog = Watchdog(call.engine, 0)
    call("fine", dog)
    assert dog._thread is None
    dog.close()
