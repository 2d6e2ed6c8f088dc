"""`python -m tests.faults [--faults N] [--only TEXT] [--seed N] [--write docs/guarantees.md]`: the long form."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.course import line_of, long_plan, run_course, table
from tests.faults.world import World

BEGIN, END = "<!-- faults: begin -->", "<!-- faults: end -->"


def main():
    parser = argparse.ArgumentParser("python -m tests.faults", description=__doc__)
    parser.add_argument("--faults", type=int, default=1200, help="how many at least")
    parser.add_argument("--only", default="", help="only faults whose name contains this")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", type=Path, help="put the table into this page")
    arguments = parser.parse_args()
    plan = [each for each in long_plan(arguments.faults) if arguments.only in each[0].name]
    began = time.monotonic()
    rows, starts, code = [], 0, 0
    for bulk, processes in ((False, 1), (True, 1), (False, 2)):
        with (
            tempfile.TemporaryDirectory(prefix="faults-") as folder,
            World(Path(folder), arguments.seed, bulk, processes) as world,
        ):
            some = run_course(world, plan, lambda row: print(line_of(row), flush=True))
            code = code or world.stop()
            if code or any(row.lost or row.wrong for row in some):
                print(world.last_words(60))
        rows += some
        starts += world.starts
    print()
    print(table(rows))
    print(f"\n{time.monotonic() - began:.0f} s, the agent was started {starts} times")
    if arguments.write:
        write_table(arguments.write, table(rows))
    return 1 if code or any(row.lost or row.wrong for row in rows) else 0


def write_table(path, text):
    page = path.read_text()
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    path.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}")


if __name__ == "__main__":
    sys.exit(main())
