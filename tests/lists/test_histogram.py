"""Histograms, by hand."""

from __future__ import annotations

from api.lists.histogram import LARGEST, MAX_BUCKETS, WIDTHS, Bucket, histogram


def test_buckets_begin_at_multiples_of_their_width_and_leave_no_gap() -> None:
    assert histogram(50, {1: 3, 3: 1}) == [Bucket(50, 99, 3), Bucket(100, 149, 0), Bucket(150, 199, 1)]
    assert histogram(1, {0: 2}) == [Bucket(0, 0, 2)]
    assert histogram(7, {}) == []


def test_no_bucket_goes_beyond_the_numbers_that_there_are() -> None:
    assert histogram(2 * 10**9, {1: 1}) == [Bucket(2 * 10**9, LARGEST, 1)]


def test_one_of_the_widths_fits_whatever_the_numbers() -> None:
    assert WIDTHS[:5] == (1, 2, 5, 10, 20)
    assert list(WIDTHS) == sorted(WIDTHS)
    assert LARGEST // WIDTHS[-1] < 1 <= MAX_BUCKETS
