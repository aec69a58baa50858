"""The demo: what it sends, how fast, and when it refuses."""

from __future__ import annotations

import email
import email.policy
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from queueapp.management.demo.letters import letter
from queueapp.management.demo.scenes import SCENES, Casting, all_domains
from queueapp.sandbox.scenarios import WORDS, word_of
from tests.system import ROOT, System


def test_every_domain_is_below_test() -> None:
    domains = all_domains()
    assert len(domains) >= 30
    assert all(domain.isascii() and domain.endswith(".test") for domain in domains)


def test_every_recipient_meets_the_scenario_it_is_counted_under() -> None:
    casting = Casting(7)
    seen = Counter()
    for _ in range(3000):
        for each in casting.recipients():
            assert (word_of(each.address) or "ok") == each.scene.name
            seen[each.scene.name] += 1
    assert set(seen) == {scene.name for scene in SCENES}
    assert set(seen) <= WORDS
    assert seen["ok"] > sum(seen.values()) / 2


def test_the_same_seed_gives_the_same_cast() -> None:
    first, second = Casting(3), Casting(3)
    assert [first.recipients() for _ in range(50)] == [second.recipients() for _ in range(50)]


def test_every_letter_is_a_mail_that_may_be_sent() -> None:
    chance, kinds = Random(1), set()
    for n in range(200):
        raw = letter(chance, name="Shop", sender="a@demo.test", to="b@x.test", message_id=f"<{n}@demo.test>")
        assert b"\n" not in raw.replace(b"\r\n", b"")
        assert max(map(len, raw.split(b"\r\n"))) <= 998
        mail = email.message_from_bytes(raw, policy=email.policy.default)
        assert not mail.defects
        assert mail["subject"]
        assert mail["message-id"] == f"<{n}@demo.test>"
        kinds.add(mail.get_content_type())
    assert kinds == {"text/plain", "multipart/alternative", "multipart/mixed"}


WRONG = [("--rate", "0"), ("--rate", "1001"), ("--rate", "nan"), ("--for", "0"), ("--for", "3601")]


@pytest.mark.parametrize("wrong", WRONG)
def test_it_refuses_figures_out_of_bounds(tmp_path: Path, wrong: tuple[str, str]) -> None:
    done = System(home=tmp_path).manage("demo", *wrong, check=False)
    assert done.returncode == 2
    assert f"{wrong[0]} {wrong[1]} is not allowed" in done.stderr


def test_it_refuses_where_nothing_runs(tmp_path: Path) -> None:
    done = System(home=tmp_path).manage("demo", check=False)
    assert done.returncode == 1
    assert f"Mailweir does not run in MAILWEIR_HOME={tmp_path}" in done.stderr


@pytest.mark.timed
def test_it_works(system: System, tmp_path: Path) -> None:
    log = tmp_path / "sent"
    done = system.manage("demo", "--rate", "20", "--for", "3", "--log", str(log), "--seed", "5")
    sent = [json.loads(line) for line in log.read_text().splitlines()]
    n_mails = len({each["message_id"] for each in sent})
    assert 50 <= n_mails <= 60  # 20 a second for 3 seconds, on a busy machine
    assert {each["via"] for each in sent} == {"smtp", "http"}
    assert f" {len(sent)}  in {n_mails} mails" in done.stdout
    # Bounces are answered with reports to the senders, which have no sender of their own.
    count = (
        "from queueapp.models import Delivery as D; print('n', D.objects.exclude(message__sender='').count())"
    )
    assert f"n {len(sent)}\n" in system.manage("shell", "-c", count).stdout
    assert "demo-" not in system.manage("apikey", "list").stdout  # its key is gone


@pytest.mark.timed
def test_ctrl_c_ends_it_with_its_table(system: System) -> None:
    with subprocess.Popen(
        [sys.executable, "manage.py", "demo", "--for", "600"],
        cwd=ROOT, env=system.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert time.monotonic() - began < 10
    assert process.returncode == 0, err
    assert "what the sandbox does with it" in out
    assert "Traceback" not in err


def test_it_never_sends_where_the_way_out_is_real(system: System) -> None:
    run = system.home / "run.json"
    before = run.read_text()
    try:
        run.write_text(json.dumps(json.loads(before) | {"route": "mx"}))
        done = system.manage("demo", "--for", "1", check=False)
    finally:
        run.write_text(before)
    assert done.returncode == 1
    assert "sandbox only, and MAILWEIR_ROUTE is 'mx'" in done.stderr


def test_it_never_sends_where_a_route_takes_its_domains(system: System) -> None:
    make = (
        "from queueapp.models import Route; Route.objects.create(pattern='acme.test', kind='relay', host='h')"
    )
    system.manage("shell", "-c", make)
    try:
        done = system.manage("demo", "--for", "1", check=False)
    finally:
        system.manage("shell", "-c", "from queueapp.models import Route; Route.objects.all().delete()")
    assert done.returncode == 1
    assert "the route acme.test by relay takes acme.test" in done.stderr
