from __future__ import annotations

from queueapp.management.columns import columns, cut, printable, width_of


def test_it_aligns_text_left_and_numbers_right() -> None:
    table = columns(("N", "NAME"), [(1, "a"), (100, "bcd")], numbers=("N",), width=80)
    assert table.splitlines() == ["  N  NAME", "  1  a", "100  bcd"]


def test_it_fits_every_line_into_the_terminal() -> None:
    rows = [(n, "x" * 200, "short", "y" * 90) for n in range(3)]
    for line in columns(("ID", "A", "B", "C"), rows, width=60).splitlines():
        assert width_of(line) <= 60


def test_it_cuts_the_widest_column_and_leaves_the_others() -> None:
    line = columns(("A", "B"), [("x" * 100, "whole")], width=40).splitlines()[1]
    assert line.endswith("…  whole")


def test_it_stays_readable_in_a_terminal_that_is_too_narrow() -> None:
    assert "…" in columns(("A", "B"), [("x" * 100, "y" * 100)], width=3)


def test_it_counts_wide_characters_as_two() -> None:
    assert width_of("日本") == 4
    assert cut("日本語テキスト", 5) == "日本…"
    lines = columns(("A", "B"), [("日本", "x"), ("abcd", "y")], width=80).splitlines()
    assert lines[1:] == ["日本  x", "abcd  y"]


def test_it_shows_no_control_characters() -> None:
    assert printable("a\x1b[2Jb\r\nc\0") == "a�[2Jb��c�"
    assert "\x1b" not in columns(("A",), [("\x1b]0;evil\x07",)], width=80)
