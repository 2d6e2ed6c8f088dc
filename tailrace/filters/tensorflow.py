"""Run a TensorFlow Lite (LiteRT) model on a field and add what it gives.

Example:
    Name                 tensorflow
    Match                sensors
    Input_Field          values
    Model_File           /etc/tailrace/model.tflite
    Normalization_Value  255

The field holds a list of as many numbers as the model's only input takes, or bytes, each a number from 0 to 255. The numbers of
the model's first output come as the list `output`, beside `inference_time` in seconds. Needs `pip install 'tailrace[tensorflow]'`.

An event without the field passes unchanged; so does one whose field doesn't fit the model, which is an error, logged once a batch
and counted.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

from tailrace.config import ConfigError, option
from tailrace.model import Body, Chunk
from tailrace.plugin import Filter, FilterOptions, filter_plugin

MISSING = object()


class TensorflowOptions(FilterOptions):
    input_field: str = option("")
    """Name of the field that goes into the model."""

    model_file: str = option("")
    """File of the model (`.tflite`), from the working folder or the configuration's."""

    include_input_fields: bool = option(True)
    """Keep the fields of the event beside what the model gives."""

    normalization_value: float | None = option(None)
    """Divide the numbers of the field by this one."""


class Unfit(Exception):
    """A value that the model can't take."""


@filter_plugin("tensorflow")
class Tensorflow(Filter[TensorflowOptions]):
    def __init__(self, options: TensorflowOptions) -> None:
        super().__init__(options)
        if not options.input_field:
            raise ConfigError("input_field is missing.", "Name the field: input_field NAME.")
        if options.normalization_value == 0:
            raise ConfigError("normalization_value: can't divide by 0.", "Give another number.")
        self.model = Model(self.find_model(), options.normalization_value)
        self.errors = self.context.metrics.counter(
            "tailrace_filter_errors_total", "Events that a filter failed on and passed on"
        )
        for line in self.model.description:
            self.context.log.info(line)

    def find_model(self) -> Path:
        options = self.options
        if not options.model_file:
            raise ConfigError("model_file is missing.", "Name the model: model_file PATH.")
        path = Path(options.model_file)
        for candidate in (path, self.context.config_dir / path):
            if candidate.is_file():
                return candidate
        raise ConfigError(f"model_file: there is no file {str(path)!r}.", "Give the model's path.")

    def process(self, chunk: Chunk) -> Chunk:
        field, keep, run = (
            self.options.input_field,
            self.options.include_input_fields,
            self.model.run,
        )
        failures: list[str] = []
        bodies: list[Body] = []
        for body in chunk.bodies:
            value = body.get(field, MISSING)
            if value is not MISSING:
                start = time.perf_counter()
                try:
                    numbers = run(value)
                except Unfit as error:
                    failures.append(str(error))
                else:
                    made = {"inference_time": time.perf_counter() - start, "output": numbers}
                    body = {**body, **made} if keep else made
            bodies.append(body)
        chunk.bodies = bodies
        if failures:
            self.errors.inc(len(failures))
            more = f" (and {len(failures) - 1} more of this batch)" if len(failures) > 1 else ""
            self.context.log.error(f"{field}: {failures[0]}; the event stays as it was{more}")
        return chunk


class Model:
    """An interpreter for a model with one input of numbers; `description` tells of its inputs and outputs."""

    def __init__(self, path: Path, divisor: float | None) -> None:
        try:
            import numpy
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise ConfigError(
                f"models need the Python module '{error.name}'.",
                "Install it: pip install 'tailrace[tensorflow]'",
            ) from error
        self._numpy = numpy
        self._divisor = divisor
        try:
            self._interpreter: Any = Interpreter(model_path=str(path))
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ConfigError(f"model_file: {str(path)!r} is no usable model: {error}") from error
        inputs = self._interpreter.get_input_details()
        outputs = self._interpreter.get_output_details()
        if len(inputs) != 1 or not outputs:
            raise ConfigError(
                f"model_file: the model has {len(inputs)} inputs and {len(outputs)} outputs.",
                "Take one with a single input.",
            )
        self._input, self._output = inputs[0], outputs[0]
        for end in (self._input, self._output):
            if not numpy.issubdtype(end["dtype"], numpy.number):
                raise ConfigError(f"model_file: {end['name']!r} of the model holds no numbers.")
        self._shape = tuple(int(size) for size in self._input["shape"])
        self._size = math.prod(self._shape)
        self.description = [
            f"{kind} {end['name']}: {numpy.dtype(end['dtype']).name} {tuple(map(int, end['shape']))}"
            for kind, ends in (("input", inputs), ("output", outputs))
            for end in ends
        ]

    def run(self, value: Any) -> list[Any]:
        """The numbers of the first output, flat; `Unfit` when the value doesn't suit the input."""
        if type(value) is bytes:
            value = list(value)
        if type(value) is not list:
            raise Unfit(f"{type(value).__name__} is no list of numbers")
        if len(value) != self._size:
            raise Unfit(f"{len(value)} numbers, where the model takes {self._size}")
        if not all(type(each) is float or type(each) is int for each in value):
            raise Unfit("the list holds something else than numbers")
        try:
            numbers = self._numpy.array(value, dtype=float)
            if self._divisor is not None:
                numbers /= self._divisor
            with self._numpy.errstate(all="ignore"):
                tensor = numbers.reshape(self._shape).astype(self._input["dtype"])
            self._interpreter.set_tensor(self._input["index"], tensor)
            self._interpreter.invoke()
        except (ValueError, RuntimeError, OverflowError) as error:
            raise Unfit(f"the model failed: {error}") from error
        found: list[Any] = self._interpreter.get_tensor(self._output["index"]).ravel().tolist()
        return found
