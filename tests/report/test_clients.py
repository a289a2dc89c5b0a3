"""Several clients in one run: one column each, and why one has none."""

from __future__ import annotations

from harness.core.verdict import Verdict
from harness.report.html import html_report
from harness.report.terminal import summary


def rows(sample):
    made = [
        sample.row("at-least-once", Verdict.HELD),
        sample.row("at-least-once", Verdict.BROKEN, reason="3 undelivered of 90"),
        sample.row("queue-order-holds", Verdict.HELD),
        sample.row("queue-order-holds", Verdict.NOT_TESTED, reason="the cpp client does not tell queue and offset"),
        sample.row("rto", Verdict.NOT_TESTED, reason="nobody reached it"),
        sample.row("rto", Verdict.NOT_TESTED, reason="nobody reached it"),
    ]
    return [row.model_copy(update={"client": ("java", "cpp")[n % 2]}) for n, row in enumerate(made)]


def test_a_line_for_each_guarantee_and_a_column_for_each_client(sample):
    text = summary(sample.run(), rows(sample))
    table = text[text.index("by client") :].splitlines()
    assert table[0].split() == ["by", "client", "java", "cpp"]
    assert table[2].split() == ["at-least-once", "held", "broken"]
    assert table[3].split() == ["queue-order-holds", "held", "not-tested"]
    assert "rto" not in table[4]
    assert "at-least-once (2m-2s-sync, cpp): broken: 3 undelivered of 90" in text
    assert "not tested, the cpp client does not tell queue and offset: 1 (queue-order-holds)" in text


def test_one_client_has_no_table_of_its_own(sample):
    assert "by client" not in summary(sample.run(), rows(sample)[::2])


def test_a_client_that_cannot_be_had_is_named(sample):
    run = sample.run()
    run = run.model_copy(update={"options": {**run.options, "absent_clients": {"grpc": "it talks to proxies"}}})
    assert "no client grpc: it talks to proxies" in summary(run, rows(sample)).splitlines()
    assert "no client grpc: it talks to proxies" in html_report(run, rows(sample))


def test_a_client_that_hides_what_it_was_told_is_read_with_a_caveat(sample):
    told = "client grpc: poor for the truth about durability"
    mine = [row.model_copy(update={"client": "grpc"}) for row in rows(sample)]
    assert told in " ".join(summary(sample.run(), mine).split())
    assert told in html_report(sample.run(), mine)
    assert told not in summary(sample.run(), rows(sample))
    assert told not in summary(sample.run(), mine[4:]), "nothing was judged with it"


def test_the_page_has_a_column_for_each_client_with_the_reason_of_what_was_not_tested(sample):
    page = html_report(sample.run(), rows(sample))
    assert "client java" in page
    assert "client cpp" in page
    assert "the cpp client does not tell queue and offset" in page
