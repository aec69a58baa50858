from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queueapp.mail.filenames import MAX, for_saving


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        ("invoice.pdf", "invoice.pdf"),
        ("Übersicht 2026.pdf", "Übersicht 2026.pdf"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("..\\..\\windows\\x.exe", "_.._windows_x.exe"),
        (".bashrc", "bashrc"),
        ("C:\\x.txt", "C_x.txt"),
        ("a\r\nSet-Cookie: x=1.pdf", "a Set-Cookie_ x=1.pdf"),
        ("invoice\u202efdp.exe", "invoice fdp.exe"),
        ("inv\u200boice.pdf", "invoice.pdf"),
        ("CON.txt", "_CON.txt"),
        ("<script>alert(1)</script>.html", "_script_alert(1)_script_.html"),
        ("x" * 300 + ".pdf", "x" * (MAX - 4) + ".pdf"),
        ("x." + "y" * 300, "x." + "y" * (MAX - 2)),
        ("", "part-1"), ("...", "part-1"), ("///", "part-1"), ("\0", "part-1"),
    ],
)  # fmt: skip
def test_it_makes_a_name_that_can_be_saved(name: str, saved: str) -> None:
    assert for_saving(name, "part-1") == saved


@given(st.text(max_size=300))
def test_it_never_gives_a_path_or_nothing(name: str) -> None:
    saved = for_saving(name, "part-1")
    assert saved
    assert saved.isprintable()
    assert len(saved) <= MAX + 1
    assert not set(saved) & set('/\\:*?"<>|\0')
    assert not saved.startswith(".")
