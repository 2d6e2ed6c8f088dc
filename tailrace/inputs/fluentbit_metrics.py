"""The agent's own metrics, as metrics: what came in, went out, was dropped, retried and waits, by instance.

The names are those of `/api/v2/metrics`, and with `extended` of `/api/v2/metrics/tailrace`.

Example:
    Name            fluentbit_metrics
    Tag             agent
    Scrape_interval 10
"""

from __future__ import annotations

from tailrace.config import Seconds, option
from tailrace.model.metrics import metrics_chunk
from tailrace.plugin import Emit, Input, InputOptions, input_plugin

FIRST_SECONDS = 5.0
"""With `scrape_on_start`: when the first metrics are given."""


class FluentbitMetricsOptions(InputOptions):
    scrape_interval: Seconds = option(2.0)
    """Seconds between two looks."""

    scrape_on_start: bool = option(False)
    """Look for the first time after 5 s, if the interval is longer than that."""

    extended: bool = option(False)
    """Give Tailrace's own metrics too (`tailrace_...`): queues, lag, books, reasons, time per instance."""


@input_plugin("fluentbit_metrics")
class FluentbitMetrics(Input[FluentbitMetricsOptions]):
    def __init__(self, options: FluentbitMetricsOptions) -> None:
        super().__init__(options)
        self._scrapes = self.context.metrics.counter(
            "fluentbit_input_metrics_scrapes_total", "Number of total metrics scrapes"
        )

    async def run(self, emit: Emit) -> None:
        interval = self.options.scrape_interval or 2.0
        if self.options.scrape_on_start and interval > FIRST_SECONDS:
            await self.context.clock.sleep(FIRST_SECONDS)
            await self._look(emit)
            await self.context.clock.sleep(interval - FIRST_SECONDS)
        else:
            await self.context.clock.sleep(interval)
        while True:
            await self._look(emit)
            await self.context.clock.sleep(interval)

    async def _look(self, emit: Emit) -> None:
        self._scrapes.inc()
        metrics = await self.context.agent_metrics()
        if not self.options.extended:
            metrics.metrics = [
                metric for metric in metrics.metrics if not metric.full_name.startswith("tailrace_")
            ]
        if metrics.metrics:
            await emit(metrics_chunk(self.tag, metrics))
