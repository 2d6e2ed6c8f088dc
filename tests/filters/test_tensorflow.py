"""Models on fields, with tiny models made here."""

import pytest

from tailrace.config.errors import ConfigError
from tailrace.testing import FakeContext, run_filter

numpy = pytest.importorskip("numpy")
schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
flatbuffers = pytest.importorskip("flatbuffers")


def model(shape, factor, dtype="f4", inputs=1):
    """A model that multiplies its input by a factor, as a flatbuffer (schema.fbs of TensorFlow Lite, version 3)."""
    kind = {"f4": schema.TensorType.FLOAT32, "i4": schema.TensorType.INT32, "?": schema.TensorType.BOOL}[dtype]  # fmt: skip
    constant = schema.BufferT()
    constant.data = numpy.frombuffer(numpy.array([factor], dtype).tobytes(), "u1")

    def tensor(name, shape, buffer=0):
        made = schema.TensorT()
        made.name, made.type, made.buffer = name, kind, buffer
        made.shape = numpy.array(shape, "i4")
        return made

    multiply = schema.OperatorCodeT()
    multiply.builtinCode = multiply.deprecatedBuiltinCode = schema.BuiltinOperator.MUL
    operator = schema.OperatorT()
    operator.inputs, operator.outputs = numpy.array([0, 1], "i4"), numpy.array([2], "i4")
    operator.builtinOptionsType = schema.BuiltinOptions.MulOptions
    operator.builtinOptions = schema.MulOptionsT()
    graph = schema.SubGraphT()
    graph.tensors = [tensor(b"in", shape), tensor(b"factor", [1], 1), tensor(b"out", shape)]
    graph.inputs, graph.outputs = numpy.arange(inputs, dtype="i4"), numpy.array([2], "i4")
    graph.operators = [operator]
    made = schema.ModelT()
    made.version, made.operatorCodes, made.subgraphs = 3, [multiply], [graph]
    made.buffers = [schema.BufferT(), constant]
    builder = flatbuffers.Builder(0)
    builder.Finish(made.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.fixture
def context(tmp_path):
    (tmp_path / "double.tflite").write_bytes(model([1, 3], 2.0))
    return FakeContext(config_dir=tmp_path)


def run(context, section, *bodies, file="double.tflite"):
    out = run_filter(
        "tensorflow", f"input_field x\nmodel_file {file}\n{section}", *bodies, context=context
    )
    for body in out:
        assert body.pop("inference_time", 0.0) >= 0
    return out


def test_the_output_stands_beside_the_fields(context):
    assert run(context, "", {"x": [1, 2.5, -3], "a": 1}) == [
        {"x": [1, 2.5, -3], "a": 1, "output": [2.0, 5.0, -6.0]}
    ]


def test_the_fields_can_be_left_out(context):
    assert run(context, "include_input_fields off", {"x": [1, 2, 3], "a": 1}) == [
        {"output": [2.0, 4.0, 6.0]}
    ]


def test_bytes_are_numbers_from_0_to_255_and_can_be_normalized(context):
    out = run(context, "normalization_value 255", {"x": bytes([0, 51, 255])})
    assert out[0]["output"] == pytest.approx([0.0, 0.4, 2.0])


def test_integers_of_a_model_stay_integers(context, tmp_path):
    (tmp_path / "int.tflite").write_bytes(model([3], 3, "i4"))
    assert run(context, "", {"x": [1, 2, 3]}, file="int.tflite")[0]["output"] == [3, 6, 9]


def test_an_event_without_the_field_passes(context):
    assert run(context, "", {"a": 1}) == [{"a": 1}]
    assert not [level for level, _ in context.sink.messages if level == "error"]


@pytest.mark.parametrize("value", [[1, 2], [], "text", None, ["a", 1, 2], [True, 1, 2], [2**2000, 1, 2], {"a": 1}])  # fmt: skip
def test_a_field_that_does_not_fit_leaves_its_event_alone_and_is_counted(context, value):
    out = run(context, "", {"x": value}, {"x": [1, 1, 1]})
    assert out[0] == {"x": value}
    assert out[1]["output"] == [2.0, 2.0, 2.0]
    assert context.metrics.by_name["tailrace_filter_errors_total"].values == {(): 1}
    assert len([level for level, _ in context.sink.messages if level == "error"]) == 1


def test_the_log_tells_the_ends_of_the_model(context):
    run(context, "")
    assert ("info", "[test.0] input in: float32 (1, 3)") in context.sink.messages


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("model_file double.tflite", "input_field is missing"),
        ("input_field x", "model_file is missing"),
        ("input_field x\nmodel_file nowhere.tflite", "nowhere.tflite"),
        ("input_field x\nmodel_file broken.tflite", "no usable model"),
        ("input_field x\nmodel_file two.tflite", "2 inputs"),
        ("input_field x\nmodel_file double.tflite\nnormalization_value 0", "divide by 0"),
    ],
)
def test_what_will_not_do_is_refused_at_the_start(context, tmp_path, section, said):
    (tmp_path / "broken.tflite").write_bytes(b"no model at all")
    (tmp_path / "two.tflite").write_bytes(model([1, 3], 2.0, inputs=2))
    with pytest.raises(ConfigError, match=said):
        run_filter("tensorflow", section, {}, context=context)
