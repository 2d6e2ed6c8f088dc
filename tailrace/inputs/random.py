"""Make records with a random number, to try a pipeline out.

Example:
    Name    random
    Samples 10

    {"rand_value": 1863375102915681408}
"""

from __future__ import annotations

import os

from tailrace.config import option
from tailrace.model import Body
from tailrace.plugin import PollingInput, PollingOptions, input_plugin


class RandomOptions(PollingOptions):
    samples: int = option(-1)
    """Stop after so many records; -1: never; 0: make none."""


@input_plugin("random")
class Random(PollingInput[RandomOptions]):
    def __init__(self, options: RandomOptions) -> None:
        super().__init__(options)
        self.left = options.samples

    def collect(self) -> list[Body]:
        if self.left == 0:
            return []
        self.left -= 1
        return [{"rand_value": int.from_bytes(os.urandom(8), "little")}]
