from __future__ import annotations

import pytest

from harness.report.words import (
    NO_BREAK,
    figures_text,
    label_text,
    loss_text,
    number,
    printable,
    scrub,
    sends_text,
    shorten,
    upper_bound_95,
    value_text,
)


def test_loss_carries_its_bound():
    assert loss_text(0, 48_211) == "0 lost of 48,211, <= 6.2e-5 at 95 %"
    assert loss_text(3, 48_211) == "3 lost of 48,211"
    assert loss_text(0, 48_211, 2) == "0 lost of 48,211 at 2 faults, <= 6.2e-5 at 95 %"
    assert loss_text(3, 48_211, 1) == "3 lost of 48,211 at 1 fault"
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
        ("ok_per_s", 512.4, "512/s"),
        ("sends", 48_211, "48,211"),
        ("sends", 48_211.4, "48,211"),
        ("ok", True, "yes"),
        ("rto_s", None, "n/a"),
        ("rto_s", float("inf"), "n/a"),
        ("spread_s", [1, 2.5], "1 s, 2.5 s"),
        ("by_broker", {"a": 1}, "a 1"),
        ("jvm_opts", {"broker": [], "namesrv": []}, ""),
        ("jvm_opts", {"broker": ["-Xmx1g"], "namesrv": []}, "broker -Xmx1g"),
        ("code", "SEND_OK", "SEND_OK"),
    ],
)
def test_values_carry_the_unit_of_their_name(name, value, text):
    assert value_text(name, value) == text


def test_labels_lose_the_unit():
    assert label_text("rto_worst_s") == "rto worst"
    assert label_text("ok_per_s") == "ok"
    assert label_text("worst_share_ratio") == "worst share"


def test_figures_are_short():
    figures = {"rto_s": 1.5, "acked": 100, "lost": 0, "a": 1, "b": 2, "nested": {"x": 1}}
    assert breakable(figures_text(figures)) == "0 lost of 100, <= 3.0e-2 at 95 %; rto 1.5 s; a 1"
    assert figures_text({}) == ""
    told = figures_text(
        {"in_turns": "a sends at 0.62 (0.60 to 0.64 at 95 %) of the rate of b", "lost": 0, "acked": 100}
    )
    assert breakable(told).startswith("a sends at 0.62 (0.60 to 0.64 at 95 %) of the rate of b; 0 lost of 100")


SENDS = {"invoked": 23_233, "acked": 11_329, "failed": 0, "unknown": 11_904, "unknown_stored": 212, "lost": 0}


def breakable(text: str) -> str:
    return text.replace(NO_BREAK, " ")


def test_no_send_is_hidden():
    whole = "0 lost of 11,329, <= 2.6e-4 at 95 %; 11,904 unknown (212 stored), 0 failed of 23,233 sends"
    assert breakable(figures_text(SENDS | {"success_ratio": 0.48})) == whole
    shown = breakable(shorten(figures_text(SENDS), 90))
    assert "11,904 unknown (212 stored), 0 failed of 23,233" in shown, "a cell of the table holds all that matters"


def test_a_loss_is_of_those_that_could_have_been_lost():
    assert breakable(figures_text(SENDS | {"lost_of": 300})).startswith(
        "0 lost of 300 of the 11,329 acknowledged, <= 1.0e-2 at 95 %; 11,904 unknown"
    )
    assert breakable(figures_text({"acked": 11_329, "lost_of": 300, "lost": None})) == "11,329 acknowledged"


@pytest.mark.parametrize(
    ("figures", "text"),
    [
        (SENDS, "11,904 unknown (212 stored), 0 failed of 23,233 sends"),
        (SENDS | {"unknown_stored": 0}, "11,904 unknown (0 stored), 0 failed of 23,233 sends"),
        (SENDS | {"unknown_stored": None}, "11,904 unknown, 0 failed of 23,233 sends"),
        (SENDS | {"unknown": 0, "unknown_stored": 0}, "0 unknown, 0 failed of 23,233 sends"),
        ({"failed": 3, "unknown": 1}, "1 unknown, 3 failed"),
        ({"invoked": 9, "acked": 9}, ""),
        ({"failed": None, "unknown": None, "invoked": 9}, ""),
    ],
)
def test_what_became_of_the_sends(figures, text):
    assert sends_text(figures) == text


def test_lines_end_between_figures_and_not_within():
    parts = "0_lost of_11,329, <=_2.6e-4_at 95_%; 11,904_unknown (212_stored), 0_failed of_23,233_sends"
    assert figures_text(SENDS) == parts.replace("_", NO_BREAK)
    assert shorten(f"a{NO_BREAK}1 \n b", 10) == f"a{NO_BREAK}1 b"


def test_numbers():
    assert [number(v) for v in (0, 3.0, 1234567, 0.00123, 1234.5)] == ["0", "3", "1,234,567", "0.00123", "1,234"]


@pytest.mark.parametrize(
    ("most", "told"),
    [(14, "0 failed of…"), (18, "0 failed of…"), (19, "0 failed of 19,276…"), (99, "0 failed of 19,276 sends")],
)
def test_no_number_is_cut_in_two(most, told):
    assert shorten("0 failed of 19,276 sends", most).rstrip("…") == told.rstrip("…")
    assert shorten(f"0 failed of 19,276{NO_BREAK}sends", most).replace(NO_BREAK, " ").rstrip("…") == told.rstrip("…")


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
