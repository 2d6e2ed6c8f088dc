"""The books: what adds up, and what they say when it does not."""

from hypothesis import given
from hypothesis import strategies as st

from tailrace.engine.books import Books, FilterBook, InputBook, OutputBook, TagBook

counts = st.integers(0, 50)


def test_empty_books_balance():
    assert Books().check() == []


@given(counts, counts, counts, counts)
def test_what_came_in_or_was_added_passes_or_is_removed(records, added, emitted, removed):
    books = Books(
        {"in": InputBook(records)}, {"f": FilterBook(added=added, removed=removed, emitted=emitted)}
    )
    books.passed = records + added + emitted - removed
    assert books.check() == []
    books.passed -= 1
    assert books.remainder() == 1


@given(counts, counts, counts, counts)
def test_what_was_routed_is_delivered_dropped_rejected_or_in_flight(out, dropped, refused, flying):
    book = OutputBook(out + dropped + refused + flying, out, in_flight=flying)
    book.drop(dropped, "queue full")
    book.reject(refused, "400")
    assert book.remainder == 0
    book.routed += 2
    assert book.remainder == 2


def test_reasons_are_counted_apart():
    book = OutputBook()
    book.drop(1, "a")
    book.drop(2, "b")
    book.drop(3, "a")
    book.reject(5, "a")
    assert (book.dropped, book.rejected) == ({"a": 4, "b": 2}, {"a": 5})


def test_every_input_and_filter_counts():
    books = Books(
        {"a": InputBook(3), "b": InputBook(4)},
        {"f": FilterBook(removed=1), "g": FilterBook(removed=2)},
        passed=4,
    )
    assert books.check() == []


def test_what_does_not_add_up_is_said_in_words():
    books = Books({"a": InputBook(3)}, outputs={"o": OutputBook(2), "p": OutputBook(1, 1)})
    assert books.check() == [
        "3 events came in and neither passed nor were removed",
        "output o: 2 routed events are unaccounted for",
    ]


def test_events_counted_twice_are_found_too():
    books = Books(passed=1, outputs={"o": OutputBook(1, 2)})
    assert len(books.check()) == 2


def test_events_are_counted_by_tag_as_far_as_the_limits_go():
    book = TagBook()
    for tag in ("a", "b", "a", "c", "é" * 3):
        book.add("in", tag, 2, 2, 5)
    assert book.counts == {("in", "a"): 4, ("in", "b"): 2}
    assert book.untracked == {("in", "max_series"): 2, ("in", "tag_length_limit"): 2}


def test_limits_of_nothing_are_none():
    book = TagBook()
    for tag in ("a", "b" * 500):
        book.add("in", tag, 1, 0, -1)
    assert (len(book.counts), book.untracked) == (2, {})
