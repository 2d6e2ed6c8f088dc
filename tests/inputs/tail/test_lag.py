import asyncio

from tailrace.testing import FakeContext


def gauges(context, name):
    return context.metrics.by_name[name].values


def test_lag_is_what_is_not_delivered_yet(tailing, log, tmp_path):
    log.write_text("one\ntwo\n")
    context = FakeContext()

    async def scenario():
        section = f"path {log}\nread_from_head on\ndb {tmp_path}/pos.db"
        async with tailing(section, context=context, settles=False) as tail:
            await tail.passes(0.5)
            plugin = tail.plugin
            plugin.measure()
            assert gauges(context, "tailrace_input_file_lag_bytes") == {(str(log),): 8}
            assert gauges(context, "tailrace_input_lag_bytes") == {(): 8}
            context.clock.advance(3)
            plugin.measure()
            assert gauges(context, "tailrace_input_file_lag_seconds")[(str(log),)] >= 3
            for receipt in tail.receipts:
                receipt.release()
            plugin.measure()
            assert gauges(context, "tailrace_input_file_lag_bytes") == {(str(log),): 0}
            assert gauges(context, "tailrace_input_file_lag_seconds") == {(str(log),): 0}
            assert gauges(context, "tailrace_input_files") == {(): 1}

    asyncio.run(scenario())
