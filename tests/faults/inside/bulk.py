"""An output whose destination answers for each event, as bulk interfaces do: the test's own, loaded as a plugin."""

import asyncio
import http.client
import json
import ssl
import urllib.request

from tailrace.plugin import Output, OutputOptions, Partial, Retry, output_plugin


class BulkOptions(OutputOptions):
    url: str
    """Where to post to."""

    ca_file: str
    """Whom to trust."""


@output_plugin("bulk")
class Bulk(Output[BulkOptions]):
    async def flush(self, chunk):
        try:
            statuses = await asyncio.to_thread(self.post, chunk.bodies)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise Retry(f"{type(error).__name__}: {error}") from error
        if any(status != 200 for status in statuses):
            again = chunk.copy().select([status != 200 for status in statuses])
            raise Partial("some items were not taken", again)

    def post(self, bodies):
        data = b"".join(json.dumps(body).encode() + b"\n" for body in bodies)
        request = urllib.request.Request(self.options.url, data, {"x-bulk": "1"})
        context = ssl.create_default_context(cafile=self.options.ca_file)
        with urllib.request.urlopen(request, timeout=2, context=context) as answer:
            statuses = json.load(answer)
        if len(statuses) != len(bodies):
            raise ValueError("the answer has another number of items")
        return statuses
