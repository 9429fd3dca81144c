"""Market risks found again: no book is margined twice, and none is taken for another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crossmargin.programmes import known_risks
from crossmargin.programmes.books import Books, joined_books, make_books
from crossmargin.programmes.known_risks import KnownRisks, book_keys, margined_once, same_books

COUNT = 200


class Model:
    """Margins each book by itself and notes what it was asked; gross books at twice the amount."""

    def __init__(self):
        self.asked = []

    def __call__(self, books):
        self.asked.append(books)
        amounts = (books.rows + 1) * np.abs(books.quantities) * np.where(books.gross[books.book], 2, 1)
        return np.bincount(books.book, amounts, books.count).astype(np.int64)

    @property
    def count(self):
        return sum(books.count for books in self.asked)


@pytest.fixture
def books():
    """Two hundred books, some empty, some gross."""
    rng = np.random.default_rng(5)
    size = 800
    return make_books(
        rng.integers(0, COUNT - 10, size),
        rng.integers(0, 30, size).astype(np.int32),
        rng.integers(-4, 5, size),
        count=COUNT,
        gross=rng.random(COUNT) < 0.2,
    )


def book_of(rows, quantities, *, gross=False):
    size = len(rows)
    return Books(
        starts=np.array([0, size]),
        rows=np.array(rows, np.int32),
        quantities=np.array(quantities, np.int64),
        gross=np.array([gross]),
    )


def test_the_amounts_are_the_models(books):
    risk, known = margined_once(KnownRisks.none(), books, Model())
    assert np.array_equal(risk, Model()(books))
    assert risk.dtype == np.int64
    assert np.array_equal(known.keys, np.sort(book_keys(known.books)))


def test_books_that_were_margined_are_not_margined_again(books):
    model = Model()
    _, known = margined_once(KnownRisks.none(), books, model)
    first = model.count
    asked = books.select(np.arange(COUNT)[::-3])
    risk, again = margined_once(known, asked, model)
    assert model.count == first
    assert again is known
    assert np.array_equal(risk, Model()(asked))


def test_equal_books_of_one_call_are_margined_once(books):
    model = Model()
    risk, known = margined_once(KnownRisks.none(), joined_books([books, books]), model)
    assert np.array_equal(risk[:COUNT], risk[COUNT:])
    assert known.books.count == model.count <= COUNT


def test_only_what_is_new_is_margined(books):
    model = Model()
    _, known = margined_once(KnownRisks.none(), books.select(np.arange(50)), model)
    before = known.books.count
    risk, known = margined_once(known, books, model)
    assert np.array_equal(risk, Model()(books))
    assert model.asked[-1].count == known.books.count - before
    assert before + model.asked[-1].count < COUNT


def test_a_mix_up_of_keys_changes_no_amount(books, monkeypatch):
    """Were all keys equal, every book but the known one would be margined each time."""
    monkeypatch.setattr(known_risks, "book_keys", lambda books: books.starts[:-1].astype(np.uint64) % 3)
    model = Model()
    for _ in range(2):
        risk, known = margined_once(KnownRisks.none(), books, model)
        assert np.array_equal(risk, Model()(books))
    again, _ = margined_once(known, books.select(np.arange(COUNT)[::-1]), model)
    assert np.array_equal(again, risk[::-1])


@pytest.mark.parametrize(
    "other",
    [
        book_of([1, 5], [3, -2], gross=True),
        book_of([1, 5], [3, 2]),
        book_of([1, 5], [-2, 3]),
        book_of([1, 6], [3, -2]),
        book_of([1], [3]),
        book_of([1, 5, 6], [3, -2, 1]),
        book_of([], []),
    ],
)
def test_books_of_other_content_or_basis_are_told_apart(other):
    one = book_of([1, 5], [3, -2])
    assert book_keys(one) != book_keys(other)
    assert not same_books(one, other)
    assert same_books(other, other)


def test_a_key_does_not_depend_on_the_books_beside(books):
    chosen = np.array([7, 190, 3, 0])
    assert np.array_equal(book_keys(books.select(chosen)), book_keys(books)[chosen])


def test_keys_are_spread():
    """A million books of one position: of 64 bits, two equal ones would be a chance of 1 in 37 million."""
    count = 1_000_000
    rows, quantities = np.divmod(np.arange(count), 1_000)
    books = Books(
        starts=np.arange(count + 1),
        rows=rows.astype(np.int32),
        quantities=quantities + 1,
        gross=np.zeros(count, bool),
    )
    assert np.unique(book_keys(books)).size == count


def test_no_more_is_kept_than_is_allowed(books, monkeypatch):
    monkeypatch.setattr(known_risks, "POSITIONS_KEPT", books.rows.size)
    _, known = margined_once(KnownRisks.none(), books, Model())
    moved = replace(books, quantities=books.quantities * 7)
    risk, known = margined_once(known, moved, Model())
    assert np.array_equal(risk, Model()(moved))
    assert known.books.rows.size <= books.rows.size


def test_what_is_refused_is_not_known(books):
    def refuse(_):
        raise ValueError("refused")

    known = KnownRisks.none()
    with pytest.raises(ValueError, match="refused"):
        margined_once(known, books, refuse)
    assert known.books.count == 0


def test_no_books_at_all():
    none = make_books(np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int64), count=0)
    risk, known = margined_once(KnownRisks.none(), none, Model())
    assert risk.size == known.books.count == 0
