"""`tailrace graph FILE [-o OUT.svg]`: a picture of the pipeline that a configuration makes."""

from __future__ import annotations

import argparse
import itertools
import sys
from dataclasses import dataclass
from html import escape

from tailrace.cli.check import checked_file
from tailrace.cli.writing import write_result
from tailrace.engine.build import Instance, Plan

WIDTH, HEIGHT, COLUMN, ROW, MARGIN = 210, 52, 290, 76, 24
COLORS = {"input": "#d7ecd9", "filter": "#dbe7f6", "output": "#f6e3cf"}
HEADS = {"input": "inputs", "filter": "filters", "output": "outputs"}


def run(argv: list[str]) -> int:
    parser = argparse.ArgumentParser("tailrace graph", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("file", help="a configuration, classic or YAML")
    parser.add_argument("-o", "--output", help="write the SVG here (default: standard output)")
    arguments = parser.parse_args(argv)
    checked = checked_file(arguments.file)
    if checked.plan is None:
        for problem in checked.problems.errors:
            print(f"error: {problem}", file=sys.stderr)
        return 1
    picture = svg(checked.plan)
    return write_result(picture, arguments.output)


@dataclass(frozen=True, slots=True)
class Box:
    """One instance in the picture; x and y are its upper left corner."""

    kind: str
    title: str
    detail: str
    x: int
    y: int


def boxes_of(plan: Plan) -> list[Box]:
    """Inputs left, filters one after another in the middle, outputs right."""
    columns: list[tuple[str, list[Instance]]] = [("input", plan.inputs)]
    columns += [("filter", [instance]) for instance in plan.filters]
    columns.append(("output", plan.outputs))
    tallest = max(len(instances) for _, instances in columns)
    boxes = []
    for index, (kind, instances) in enumerate(columns):
        top = MARGIN + 30 + (tallest - len(instances)) * ROW // 2
        for row, instance in enumerate(instances):
            boxes.append(
                Box(
                    kind,
                    instance.name,
                    detail_of(instance),
                    MARGIN + index * COLUMN,
                    top + row * ROW,
                )
            )
    return boxes


def detail_of(instance: Instance) -> str:
    options = instance.options
    if instance.kind == "input":
        return f"tag {instance.plugin.tag}"
    return f"match {options.match or options.match_regex or '*'}"


def svg(plan: Plan) -> str:
    """The picture as SVG text."""
    boxes = boxes_of(plan)
    width = max((box.x for box in boxes), default=MARGIN) + WIDTH + MARGIN
    height = max((box.y for box in boxes), default=MARGIN) + HEIGHT + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="ui-monospace, Menlo, Consolas, monospace" font-size="13">',
        f'<rect width="{width}" height="{height}" rx="12" fill="#ffffff"/>',
    ]
    columns = sorted({box.x for box in boxes})
    for left, right in itertools.pairwise(columns):
        parts += [
            arrow(one, other)
            for one in boxes
            if one.x == left
            for other in boxes
            if other.x == right
        ]
    named: set[str] = set()
    for box in boxes:
        if box.kind not in named:
            named.add(box.kind)
            parts.append(
                f'<text x="{box.x}" y="{MARGIN + 10}" fill="#667">{HEADS[box.kind]}</text>'
            )
        parts += drawn(box)
    return "\n".join([*parts, "</svg>"]) + "\n"


def arrow(one: Box, other: Box) -> str:
    x1, y1, x2, y2 = one.x + WIDTH, one.y + HEIGHT // 2, other.x, other.y + HEIGHT // 2
    middle = (x1 + x2) // 2
    return (
        f'<path d="M{x1} {y1} C{middle} {y1} {middle} {y2} {x2 - 6} {y2}" fill="none" stroke="#9aa" stroke-width="1.5"/>'
        f'<path d="M{x2 - 8} {y2 - 4} L{x2} {y2} L{x2 - 8} {y2 + 4} Z" fill="#9aa"/>'
    )


def drawn(box: Box) -> list[str]:
    return [
        f'<rect x="{box.x}" y="{box.y}" width="{WIDTH}" height="{HEIGHT}" rx="8" fill="{COLORS[box.kind]}" stroke="#889"/>',
        f'<text x="{box.x + 12}" y="{box.y + 22}" font-weight="600" fill="#223">{escape(cut(box.title))}</text>',
        f'<text x="{box.x + 12}" y="{box.y + 41}" fill="#556">{escape(cut(box.detail))}</text>',
    ]


def cut(text: str) -> str:
    return text if len(text) <= 24 else text[:23] + "…"
