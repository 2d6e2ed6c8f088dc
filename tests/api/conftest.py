"""Outputs that refuse or keep everything."""

import asyncio

from tailrace.plugin import Output, OutputOptions, Reject, output_plugin


@output_plugin("test_refuser")
class Refuser(Output[OutputOptions]):
    """Refuses all."""

    async def flush(self, chunk):
        raise Reject("not today")


@output_plugin("test_staller")
class Staller(Output[OutputOptions]):
    """Never finishes."""

    async def flush(self, chunk):
        await asyncio.sleep(3600)
