"""`tailrace check FILE`: find what is wrong with a configuration before any data flows, and state the guarantee of each route.

Exit codes: 0 nothing wrong; 1 errors; 2 warnings, with `--deny-warnings`.
"""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

from tailrace.config.errors import Problem, Problems
from tailrace.config.load import load
from tailrace.engine.agent import Checked, check, standard_service
from tailrace.engine.build import Instance, Plan
from tailrace.engine.metrics import MetricRegistry
from tailrace.engine.ports import storage_type
from tailrace.engine.router import match_rule
from tailrace.engine.service import ServiceOptions
from tailrace.plugin.log import Level, Log, LogSink, counted

RETAGGING = ("rewrite_tag", "multiline", "lua")


def run(argv: list[str]) -> int:
    parser = argparse.ArgumentParser("tailrace check", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("file", help="a configuration, classic or YAML")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument(
        "--deny-warnings", action="store_true", help="end with 2 if there are warnings"
    )
    arguments = parser.parse_args(argv)
    checked = checked_file(arguments.file)
    routes = look_at_routes(checked) if checked.plan else []
    if checked.plan:
        look_at_tasks(checked.plan, checked.problems)
    show = show_json if arguments.format == "json" else show_text
    show(arguments.file, checked.problems, routes)
    if checked.problems.errors:
        return 1
    return 2 if checked.problems and arguments.deny_warnings else 0


def checked_file(file: str) -> Checked:
    """A configuration, read and built but not started."""
    return check(
        lambda: load(file, None, os.environ),
        Log(LogSink(Level.OFF)),
        MetricRegistry(),
        lambda code: None,
    )


def look_at_routes(checked: Checked) -> list[dict[str, str]]:
    """Each input's way to each output with its guarantee; adds warnings for ways that lead nowhere."""
    plan = checked.plan
    assert plan is not None
    problems, service = checked.problems, checked.service or standard_service()
    lonely = len(plan.outputs) == 1 and len(plan.inputs) <= 1
    rules = [(output, match_rule(output, lonely, problems)) for output in plan.outputs]
    retags = any(instance.context.plugin in RETAGGING for instance in plan.filters)
    routes = []
    matched: set[str] = set()
    if not plan.inputs:
        problems.add(
            "there is no input, so nothing comes in.",
            mend="Add an [INPUT] section, or an item of pipeline.inputs.",
            severity="warning",
        )
    for source in plan.inputs:
        has_one_tag = source.plugin.has_one_tag
        tag = source.plugin.tag if has_one_tag else "*"
        goes_to = [
            output for output, rule in rules if rule is not None and (not has_one_tag or rule(tag))
        ]
        chosen = plan.routes.get(source.name)
        if chosen is not None:
            named = {name for route in chosen for name in route.outputs}
            is_whole = any(route.condition is None for route in chosen)
            goes_to = [
                output
                for output in plan.outputs
                if output.name in named or (output in goes_to and not is_whole)
            ]
        matched |= {output.name for output in goes_to}
        if not goes_to and not retags and plan.outputs:
            problems.add(
                f"no output takes events of tag '{tag}'.",
                mend="Give an output a `match` that fits.",
                place=source.section.place,
                where=f"input {source.name}",
                severity="warning",
            )
        routes += [
            {
                "input": source.name,
                "tag": tag,
                "output": output.name,
                **guarantee(source, output, service),
            }
            for output in goes_to
        ]
    warn_of_idle_outputs(plan, matched, retags, problems)
    return routes


def look_at_tasks(plan: Plan, problems: Problems) -> None:
    """Adds warnings for stream tasks that can't be read: the agent leaves them out."""
    for section in plan.configuration.stream_tasks:
        from tailrace.model.sql import SQLError, parse

        text = section.text("exec").strip()
        try:
            parse(text if not text or text.endswith(";") else text + ";")
        except SQLError as error:
            problems.add(
                f"the task is left out: {error}",
                place=section.place,
                where=f"stream task {section.text('name')}",
                severity="warning",
            )


def warn_of_idle_outputs(plan: Plan, matched: set[str], retags: bool, problems: Problems) -> None:
    if retags or not plan.inputs:
        return
    for output in plan.outputs:
        if output.name not in matched:
            problems.add(
                why_idle(plan, output),
                mend="Tags are: " + ", ".join(s.plugin.tag for s in plan.inputs) + ".",
                place=output.section.place,
                where=f"output {output.name}",
                severity="warning",
            )


def why_idle(plan: Plan, output: Instance) -> str:
    match = output.options.match or output.options.match_regex
    if not match:
        return "it has no match, and no route of an input leads to it."
    if plan.routes:
        return f"match '{match}' fits no tag of which the routes of inputs leave something."
    return f"match '{match}' fits no input's tag."


def guarantee(source: Instance, output: Instance, service: ServiceOptions) -> dict[str, str]:
    """What is promised for events on this way, and why."""
    options = output.options
    if options.retry_limit is not None:
        limit = 1 if options.retry_limit < 0 else options.retry_limit
        end = f"given up, counted, after {limit} retries (retry_limit)"
    elif options.queue_full in ("drop_oldest", "drop_newest"):
        end = f"a full queue drops ({options.queue_full})"
    else:
        end = "retried until delivered"
    if not output.plugin.confirms:
        return {
            "guarantee": "best-effort",
            "why": f"{output.name} has no answer to wait for: what is under way when a connection breaks may be lost; {end}",
        }
    for each in source.processors:
        if getattr(each.plugin, "answers_early", False):
            why = f"{each.name} holds in memory what clients have got their answers for, a crash loses that"
            return {"guarantee": "best-effort", "why": f"{why}; {end}"}
    if source.plugin.replays:
        return {
            "guarantee": "at-least-once",
            "why": f"the input repeats what was not settled; {end}",
        }
    if storage_type(source.options, service) == "filesystem":
        return {
            "guarantee": "at-least-once",
            "why": f"from the moment an event is in a chunk on disk (storage.type filesystem); {end}",
        }
    why = "the input can't repeat what a crash loses"
    if source.context.plugin == "tail":
        why = "tail keeps no position without db"
    elif source.plugin.acknowledges:
        why = "only clients that ask for acknowledgements repeat what a crash loses"
    return {"guarantee": "best-effort", "why": f"{why}; {end}"}


def show_text(file: str, problems: Problems, routes: list[dict[str, str]]) -> None:
    for problem in problems:
        print(f"{problem.severity}: {problem}")
    for route in routes:
        print(f"route: {route['input']} -> {route['output']}: {route['guarantee']}; {route['why']}")
    errors = len(problems.errors)
    print(f"{file}: {counted(errors, 'error')}, {counted(len(problems.found) - errors, 'warning')}")


def show_json(file: str, problems: Problems, routes: list[dict[str, str]]) -> None:
    document = {
        "file": file,
        "problems": [as_json(problem) for problem in problems],
        "routes": routes,
    }
    print(json.dumps(document, indent=2))


def as_json(problem: Problem) -> dict[str, Any]:
    place = problem.place
    return {
        "severity": problem.severity,
        "message": problem.what,
        "mend": problem.mend,
        "where": problem.where,
        "file": place.file if place else None,
        "line": place.line if place else None,
        "column": place.column if place else None,
    }
