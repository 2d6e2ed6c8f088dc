"""The short form: each fault once, and nothing is lost."""

import pytest

from tests.faults.breaking import FAULTS
from tests.faults.course import Row, long_plan, run_course, short_plan, table
from tests.faults.world import World


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize(("bulk", "processes"), [(False, 1), (True, 1), (False, 2)])
def test_no_fault_loses_a_record(tmp_path, bulk, processes):
    with World(tmp_path, seed=7, bulk=bulk, processes=processes) as world:
        rows = run_course(world, short_plan())
        code = world.stop()
        words = world.last_words()
    text = f"{table(rows)}\n{words}"
    assert [row.name for row in rows if row.lost] == [], text
    assert world.ledger.wrong == [], text
    assert all(row.delivered for row in rows), text
    assert code == 0, text
    enough = 10 if processes == 1 else 2
    assert all(client.acknowledged > enough for client in world.clients), text
    assert bulk or processes > 1 or world.writer.rotations >= 2, text


def test_a_long_course_has_the_faults_that_were_asked_for():
    plan = long_plan(1000)
    assert sum(times for _, times in plan) >= 1000
    assert sum(times for fault, times in plan if fault.name == "SIGKILL") >= 100
    assert len(plan) == len(FAULTS)


def test_the_table_has_a_sum():
    rows = [Row("a", 1, 10, 10, 2, 0), Row("b", 2, 5, 4, 0, 1)]
    assert table(rows).splitlines()[-1] == "| all | 3 | 15 | 14 | 2 | 1 |"
