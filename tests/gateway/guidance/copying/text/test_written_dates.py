"""Dates and times as people write them, and written anew."""

from __future__ import annotations

import pytest

from portico_gateway.guidance.copying.text.written_dates import WrittenDate, read_date, read_time, write_date


@pytest.mark.parametrize(
    ("said", "date"),
    [
        ("2024-03-05", (2024, 3, 5)),
        ("March 5, 2024", (2024, 3, 5)),
        ("5th of March 2024", (2024, 3, 5)),
        ("Jun.20,2023", (2023, 6, 20)),
        ("25/12/2023", (2023, 12, 25)),
        ("March 14th", (None, 3, 14)),
        ("May 2023", (2023, 5, None)),
    ],
)
def test_a_date_is_read_however_it_is_written(said: str, date: tuple[int | None, int, int | None]) -> None:
    assert read_date(said) == date


def test_a_date_whose_order_is_not_clear_is_not_read() -> None:
    assert read_date("03/04/2024") is None


@pytest.mark.parametrize(
    ("wanted", "written"),
    [
        ("The day, in YYYY-MM-DD", "2024-03-05"),
        ("MM/DD/YYYY", "03/05/2024"),
        ("as an ISO-8601 date", "2024-03-05"),
        ("the day", None),
    ],
)
def test_a_date_is_written_as_the_description_asks(wanted: str, written: str | None) -> None:
    assert write_date(WrittenDate(2024, 3, 5), wanted) == written


def test_a_date_without_its_year_is_not_written_with_one() -> None:
    assert write_date(WrittenDate(None, 3, 14), "YYYY-MM-DD") is None


@pytest.mark.parametrize(("said", "time"), [("8pm", "20:00:00"), ("12:30 AM", "00:30:00"), ("09:15", "09:15:00"), ("9", None)])
def test_a_time_is_read(said: str, time: str | None) -> None:
    assert read_time(said) == time
