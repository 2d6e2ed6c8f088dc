"""Send logs, metrics and traces to Fluentd, Fluent Bit or another Tailrace by the Forward protocol.

Example:
    Name   forward
    Match  *
    Host   logs.example
    Port   24224
    Require_Ack_Response on

With `require_ack_response` a chunk is delivered when the other side says so; without, when the system took it. `upstream` names a file of
several servers that take turns: then what is about one server stands in its `[NODE]`, not here. See docs/forward.md.
"""

from __future__ import annotations

from tailrace.config import ConfigError, group, option
from tailrace.config.errors import Problems, did_you_mean
from tailrace.config.options import option_table
from tailrace.model import LOGS, METRICS, TRACES, Chunk
from tailrace.net.client import ClientOptions, open_balancer, open_upstream
from tailrace.net.upstream import REST_SECONDS, Balancer, Node
from tailrace.outputs.forward.target import Target, TargetOptions
from tailrace.plugin import Connections, Output, OutputOptions, Partial, Retry, output_plugin

PORT = 24224


class ForwardOptions(OutputOptions):
    client: ClientOptions = group()

    target: TargetOptions = group()

    unix_path: str = option("")
    """Path of a Unix socket to connect to instead of host and port."""

    upstream: str = option("")
    """An upstream file: chunks go to its nodes in turn. Each node says what is its own: host, port, tls, shared_key, tag and so on."""


@output_plugin("forward")
class Forward(Output[ForwardOptions]):
    handles = LOGS | METRICS | TRACES

    def __init__(self, options: ForwardOptions) -> None:
        super().__init__(options)
        self.single: Target | None = None
        self.balancer: Balancer | None = None
        self.by_node: dict[int, Target] = {}
        if options.upstream:
            self.tell_what_nodes_say()
            self.balancer = open_balancer(options.client, self.context, options.upstream)
            for node in self.balancer.nodes:
                target = Target(self.options_of(node), node.upstream, self.context, is_node=True)
                self.by_node[id(node)] = target
        else:
            upstream = open_upstream(
                options.client, self.context, port=PORT, unix_path=options.unix_path
            )
            self.single = Target(options.target, upstream, self.context)

    def tell_what_nodes_say(self) -> None:
        """Compat: with `upstream`, what is about one server counts in its node alone, as in Fluent Bit."""
        given = [
            spec.name
            for kind, options in (
                (TargetOptions, self.options.target),
                (type(self.options.client.server), self.options.client.server),
                (type(self.options.client.tls), self.options.client.tls),
            )
            for spec in option_table(kind).by_name.values()
            if getattr(options, spec.attribute) != spec.start_value()
        ]
        if self.options.unix_path:
            given.append("unix_path")
        if given:
            self.context.log.warn(
                f"{', '.join(given)}: with `upstream` this does not count here. Put it into each [NODE] that it is for."
            )

    def options_of(self, node: Node) -> TargetOptions:
        known, others = option_table(TargetOptions), option_table(ClientOptions)
        mine = []
        for entry in node.section:
            if known.find(entry.name):
                mine.append(entry)
            elif entry.name != "name" and not others.find(entry.name):
                mend = did_you_mean(entry.name, [*known.names, *others.names])
                self.context.log.warn(
                    f"{entry.place}: upstream node {node.name}: '{entry.key}' is passed over: it is not known. {mend}".rstrip()
                )
        problems = Problems()
        options = TargetOptions.read(mine, problems, f"upstream node {node.name}")
        if options is None:
            raise ConfigError(f"upstream: {problems.found[0]}")
        return options

    @property
    def confirms(self) -> bool:
        targets = [self.single] if self.single is not None else self.by_node.values()
        return all(target.manner.wants_ack for target in targets)

    def connections(self) -> Connections:
        if self.balancer is not None:
            return self.balancer.connections()
        return self.single.upstream.connections() if self.single is not None else Connections()

    async def stop(self) -> None:
        if self.single is not None:
            await self.single.upstream.close()
        if self.balancer is not None:
            await self.balancer.close()

    async def flush(self, chunk: Chunk) -> None:
        if self.single is not None:
            await self.single.deliver(chunk)
            return
        balancer = self.balancer
        assert balancer is not None
        failures: list[str] = []
        for node in balancer.turn():
            try:
                await self.by_node[id(node)].deliver(chunk)
            except (Retry, Partial) as failure:
                if balancer.failed(node):
                    self.context.log.warn(
                        f"node {node.name} rests for {REST_SECONDS:g} s, others take its chunks: {failure.why}"
                    )
                failures.append(f"{node.name}: {failure.why}")
                if isinstance(failure, Partial):
                    raise
                continue
            balancer.worked(node)
            return
        raise Retry("; ".join(failures))
