from __future__ import annotations

import pytest

from harness.report.words import (
    figures_text,
    label_text,
    loss_text,
    number,
    printable,
    scrub,
    shorten,
    upper_bound_95,
    value_text,
)


def test_loss_carries_its_bound():
    assert loss_text(0, 48_211) == "0 lost of 48,211, <= 6.2e-5 at 95 %"
    assert loss_text(3, 48_211) == "3 lost of 48,211"
    assert loss_text(0, 0) == "0 lost of 0"
    assert loss_text(None, 10) == "10 acknowledged"
    assert loss_text(None, None) == ""


def test_the_bound_is_three_over_n_and_never_more_than_one():
    assert upper_bound_95(30_000) == pytest.approx(1e-4)
    assert upper_bound_95(1) == 1.0
    assert upper_bound_95(0) is None


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("rto_s", 1.8342, "1.83 s"),
        ("lag_ms", 12, "12 ms"),
        ("share_ratio", 0.0512, "5.12 %"),
        ("sends", 48_211, "48,211"),
        ("sends", 48_211.4, "48,211"),
        ("ok", True, "yes"),
        ("rto_s", None, "n/a"),
        ("rto_s", float("inf"), "n/a"),
        ("spread_s", [1, 2.5], "1 s, 2.5 s"),
        ("by_broker", {"a": 1}, "a 1"),
        ("code", "SEND_OK", "SEND_OK"),
    ],
)
def test_values_carry_the_unit_of_their_name(name, value, text):
    assert value_text(name, value) == text


def test_labels_lose_the_unit():
    assert label_text("rto_worst_s") == "rto worst"
    assert label_text("worst_share_ratio") == "worst share"


def test_figures_are_short():
    figures = {"rto_s": 1.5, "acked": 100, "lost": 0, "a": 1, "b": 2, "nested": {"x": 1}}
    assert figures_text(figures) == "0 lost of 100, <= 3.0e-2 at 95 %; rto 1.5 s; a 1"
    assert figures_text({}) == ""


def test_numbers():
    assert [number(v) for v in (0, 3.0, 1234567, 0.00123, 1234.5)] == ["0", "3", "1,234,567", "0.00123", "1,234"]


def test_shortening_says_so():
    assert shorten("a  b\nc", 10) == "a b c"
    assert shorten("x" * 50, 10) == "x" * 9 + "…"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("path:/home/alice/rocketmq-5.3.4", "path:…/rocketmq-5.3.4"),
        ("/root/.cache/x.jar gone", "…/x.jar gone"),
        ("in /home/alice", "in ~"),
        ("/Users/bob", "~"),
        ("file:///home/alice/secret/x", "file:…/x"),
        ("(/tmp/run-1/broker.log)", "(…/broker.log)"),
        ("dir=/srv/data/store/", "dir=…/store/"),
        ("~/work/project", "…/project"),
        ("/rmq/broker-a/store/commitlog", "/rmq/broker-a/store/commitlog"),
        ("https://rocketmq.apache.org/docs/x", "https://rocketmq.apache.org/docs/x"),
        ("scenarios/a/b and 1/2/3", "scenarios/a/b and 1/2/3"),
        ("ok/fail/info", "ok/fail/info"),
        ("no /dev/loop-control, /sys/fs/cgroup", "no /dev/loop-control, /sys/fs/cgroup"),
    ],
)
def test_paths_of_the_machine_do_not_get_through(text, clean):
    assert scrub(text) == clean


def test_control_characters_are_replaced():
    assert printable("a\x00b\x1b[31mc\ud800\ufffe\x85") == "a\ufffdb\ufffd[31mc\ufffd\ufffd\ufffd"
    assert printable("tab\tline\nümläut 漢 🙂") == "tab\tline\nümläut 漢 🙂"
