"""The settled position of a source never leaves a gap behind it."""

from hypothesis import given
from hypothesis import strategies as st

from tailrace.plugin.low_water import LowWater


def receipts(water, ends):
    found = [water.receipt(end) for end in ends]
    for receipt in found:
        receipt.hold()
    return found


@given(order=st.permutations(range(6)))
def test_the_mark_is_the_end_of_what_is_settled_without_a_gap(order):
    rises = []
    water = LowWater(0, lambda: rises.append(water.mark))
    given_out = receipts(water, [10, 20, 30, 40, 50, 60])
    settled = set()
    for index in order:
        given_out[index].release()
        settled.add(index)
        whole = next((count for count in range(7) if count not in settled), 6)
        assert water.mark == whole * 10
    assert rises == sorted(set(rises))
    assert not water.pending


def test_what_needs_no_delivery_waits_for_what_came_before():
    water = LowWater(0, lambda: None)
    [first] = receipts(water, [5])
    water.pass_over(9)
    assert water.mark == 0
    first.release()
    assert water.mark == 9


def test_a_receipt_without_a_gap_before_it_rises_at_once():
    water = LowWater("", lambda: None)
    water.pass_over("a")
    assert water.mark == "a"
    assert not water.pending


def test_a_receipt_settles_only_when_its_last_share_ends():
    water = LowWater(0, lambda: None)
    [receipt] = receipts(water, [7])
    receipt.hold()
    receipt.release()
    assert (water.mark, water.pending) == (0, True)
    receipt.release(refused=3, reason="no")
    assert (water.mark, water.pending) == (7, False)
