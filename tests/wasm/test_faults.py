import pytest

from tailrace.wasm.engine import make_engine
from tailrace.wasm.faults import fault_of, last_line

wasmtime = pytest.importorskip("wasmtime")
TEXT = """(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (table 1 funcref)
  (func (export "trap") unreachable)
  (func (export "divide") (drop (i32.div_s (i32.const 1) (i32.const 0))))
  (func (export "outside") (drop (i32.load (i32.const -4))))
  (func (export "nobody") (call_indirect (i32.const 0)))
  (func (export "exit") (call $exit (i32.const 4)))
)"""


@pytest.mark.parametrize(
    ("function", "why"),
    [
        ("trap", "it trapped (abort, panic or failed assertion)"),
        ("divide", "it divided by zero"),
        ("outside", "it reached outside of its memory"),
        ("nobody", "it called a function that is not there"),
        ("exit", "it called exit(4)"),
    ],
)
def test_a_fault_is_a_sentence_without_a_backtrace(function, why):
    engine = make_engine()
    store = wasmtime.Store(engine)
    store.set_wasi(wasmtime.WasiConfig())
    store.set_epoch_deadline(1)
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    exports = linker.instantiate(store, wasmtime.Module(engine, TEXT)).exports(store)
    with pytest.raises((wasmtime.Trap, wasmtime.WasmtimeError)) as caught:
        exports[function](store)
    fault = fault_of(caught.value)
    assert (fault.why, fault.ran_out) == (why, False)


def test_of_an_unknown_message_the_innermost_cause_is_told():
    text = "error while executing\n    0: 0x1 - f\n\nCaused by:\n    0: the deeper reason\n"
    assert last_line(text) == "the deeper reason"
    assert last_line("") == "it failed"
