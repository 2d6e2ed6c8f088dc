"""A course: series of faults one after the other, each followed by a time without any, and the table of them all."""

import time
from dataclasses import dataclass

from tests.faults.breaking import FAULTS, Fault
from tests.faults.world import World


@dataclass
class Row:
    """What came of one series."""

    name: str
    faults: int
    issued: int = 0
    delivered: int = 0
    duplicated: int = 0
    lost: int = 0
    wrong: int = 0


def run_series(world: World, fault: Fault, times: int) -> Row:
    """Inject a fault some times while records are issued; then wait until everything owed has arrived."""
    issued, delivered, duplicated = world.ledger.totals()
    wrong = len(world.ledger.wrong)
    world.issue(True)
    for _ in range(times):
        world.wait(0.02, 0.1)
        fault.inject(world)
    world.wait(0.1, 0.2)
    missing = world.settle()
    after = world.ledger.totals()
    row = Row(fault.name, times, after[0] - issued, after[1] - delivered, after[2] - duplicated)
    row.lost = len(missing)
    row.wrong = len(world.ledger.wrong) - wrong
    world.ledger.owed -= missing  # told once
    return row


def run_course(world: World, plan: list[tuple[Fault, int]], tell=lambda row: None) -> list[Row]:
    """All series of a plan, in one life of the world; at the end fresh records must flow."""
    rows = []
    for fault, times in plan:
        if (fault.needs_mount and not world.is_mounted) or fault.bulk != world.is_bulk:
            continue
        if fault.several != (world.processes > 1):
            continue
        rows.append(run_series(world, fault, times))
        tell(rows[-1])
    rows.append(run_series(world, Fault("none, at the end", lambda world: time.sleep(0.2), 1), 1))
    tell(rows[-1])
    return rows


def short_plan() -> list[tuple[Fault, int]]:
    return [(fault, 2 if fault.name == "SIGKILL" else 1) for fault in FAULTS]


def long_plan(faults: int) -> list[tuple[Fault, int]]:
    """At least `faults` faults, by their shares."""
    total = sum(fault.share for fault in FAULTS)
    return [(fault, max(1, -(-fault.share * faults // total))) for fault in FAULTS]


def table(rows: list[Row]) -> str:
    """The rows in Markdown, with their sum."""
    lines = [
        "| fault | injected | issued | delivered | duplicated | lost |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    total = Row("all", 0)
    for row in rows:
        lines.append(line_of(row))
        for column in ("faults", "issued", "delivered", "duplicated", "lost"):
            setattr(total, column, getattr(total, column) + getattr(row, column))
    return "\n".join([*lines, line_of(total)])


def line_of(row: Row) -> str:
    return f"| {row.name} | {row.faults} | {row.issued} | {row.delivered} | {row.duplicated} | {row.lost} |"
