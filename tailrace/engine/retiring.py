"""Outputs that a reload has taken out, until what they had to deliver has ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tailrace.engine.ports import OutputPort

if TYPE_CHECKING:
    from tailrace.engine.pipeline import Pipeline

RETIRE_SECONDS = 0.05


class Retirement:
    """`ports` still have something to deliver."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.ports: list[OutputPort] = []
        self._pipeline = pipeline
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    def retire(self, port: OutputPort, successor: OutputPort | None, grace: float | None) -> None:
        """An output is taken out: its successor of the same name gets what waits, else it delivers what it has, in the background.

        `grace`: seconds that it may take for that; None: as long as it takes.
        """
        self.ports.append(port)
        if successor is not None:
            successor.queue.take_over(port.queue.release_waiting())
        else:
            port.queue.drain()
        task = self._loop.create_task(self._retire(port, successor, grace), name=port.name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _retire(
        self, port: OutputPort, successor: OutputPort | None, grace: float | None
    ) -> None:
        end = None if grace is None else self._loop.time() + grace
        queue = port.queue
        while not queue.is_empty and not (successor is not None and not queue.is_flushing):
            if end is not None and self._loop.time() >= end:
                break
            await asyncio.sleep(RETIRE_SECONDS)
        if port.task is not None:
            port.task.cancel()
            await asyncio.gather(port.task, return_exceptions=True)
            self._pipeline.forget_queue(port)
        if successor is not None:
            successor.queue.take_over(queue.release_waiting())
        elif not queue.is_empty:
            self._hand_on(port)
        self.ports.remove(port)
        await self._pipeline.end_instance(port.instance)

    def _hand_on(self, port: OutputPort) -> None:
        """What a removed output has not delivered goes to outputs that are new since; else it waits on disk, or is given up."""
        queue = port.queue
        handed = on_disk = 0
        for key, item in queue.release_waiting():
            heirs = [
                heir
                for heir in self._pipeline.outputs_by_tag.find(key[0])
                if heir.born > item.born and item.chunk.kind in heir.handles
            ]
            for heir in heirs:
                heir.queue.put(
                    item.chunk, item.receipt, item.source, item.size, item.disk_bytes, item.packed
                )
            if heirs:
                handed += queue.forget(item, settle=True)
            elif item.disk_bytes:
                on_disk += queue.forget(item, settle=False)
            else:
                queue.give_up(item, "output removed by a reload")
        lost = queue.book.dropped.get("output removed by a reload", 0)
        port.instance.context.log.warn(
            f"not delivered in time: {handed} events go to new outputs, {on_disk} wait on disk, {lost} are given up"
        )

    async def close(self) -> None:
        """Whatever they still hold is left."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
