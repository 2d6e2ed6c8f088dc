"""A filter in five lines, and an output that counts what it marked.

tailrace -e slow.py -i tail -p path=access.log -p parser=json -F slow -m '*' -p seconds=0.5 -o count_slow -m '*'
"""

from tailrace.plugin import Output, OutputOptions, filter, output_plugin  # noqa: A004


@filter("slow")
def slow(body, *, seconds: float = 1.0):
    """Mark requests that took long.

    seconds: From how many seconds on a request is slow.
    """
    body["slow"] = body.get("took", 0) >= seconds


class CountSlowOptions(OutputOptions):
    every: int = 1
    """Print after this many slow requests."""


@output_plugin("count_slow")
class CountSlow(Output[CountSlowOptions]):
    """Print how many requests were slow."""

    def __init__(self, options):
        super().__init__(options)
        self.slow = 0

    async def flush(self, chunk):
        for body in chunk.bodies:
            if body.get("slow"):
                self.slow += 1
                if self.slow % self.options.every == 0:
                    print(f"{self.slow} slow requests", flush=True)
