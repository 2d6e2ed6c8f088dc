"""Receipts settle once, when their last share ends."""

from hypothesis import given
from hypothesis import strategies as st

from tailrace.model import Receipt


def test_the_last_share_settles():
    settled = []
    receipt = Receipt(settled.append)
    receipt.hold(2)
    receipt.release()
    assert (settled, receipt.settled) == ([], False)
    receipt.release()
    assert (settled, receipt.settled) == ([receipt], True)


def test_a_share_taken_by_a_child_keeps_it_open():
    settled = []
    receipt = Receipt(settled.append)
    receipt.hold()
    receipt.hold()
    receipt.release()
    assert not settled


def test_it_is_told_once_even_if_shares_come_again():
    settled = []
    receipt = Receipt(settled.append)
    for _ in range(2):
        receipt.hold()
        receipt.release()
    assert settled == [receipt]


def test_one_more_release_than_holds_is_not_told():
    settled = []
    receipt = Receipt(settled.append)
    receipt.hold()
    receipt.release()
    receipt.release()
    assert settled == [receipt]
    assert receipt.settled


def test_what_was_refused_is_summed_with_the_last_reason():
    receipt = Receipt()
    receipt.hold(3)
    receipt.release(2, "full")
    receipt.release(3, "bad")
    receipt.release()
    assert (receipt.refused, receipt.reason) == (5, "bad")


def test_the_one_who_is_told_sees_all_refusals():
    seen = []
    receipt = Receipt(lambda receipt: seen.append(receipt.refused))
    receipt.hold()
    receipt.release(4, "no")
    assert seen == [4]


def test_nobody_needs_to_be_told():
    receipt = Receipt()
    receipt.hold()
    receipt.release()
    assert receipt.settled
    assert not receipt.urgent


@given(st.lists(st.integers(1, 3), min_size=1, max_size=5), st.data())
def test_it_settles_exactly_when_all_that_was_held_is_released(holds, data):
    settled = []
    receipt = Receipt(settled.append)
    receipt.hold(sum(holds))
    for left in reversed(range(sum(holds))):
        receipt.release(data.draw(st.integers(0, 2)), "why")
        assert bool(settled) == (left == 0) == receipt.settled
