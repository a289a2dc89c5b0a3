"""The catalogue in words: one row explained, and all of them as a document."""

from __future__ import annotations

from collections.abc import Iterator

from harness.catalogue.load import Catalogue, load_catalogue
from harness.core.guarantee import STOCK_ROW, Expectation, Guarantee, Rule
from harness.core.where import TopologyFacts

_NOBODY = "no suite yet"
_CONTROLS = {
    "product": "a configuration or fault under which RocketMQ itself comes out the other way",
    "fault-off": "the same scenario without the fault, which must be called inconclusive",
    "planted": "the recorded history with one event falsified, which the same checker must call broken",
}

_INTRODUCTION = """# Guarantees

Rendered from `harness/catalogue/` by `python -m harness.catalogue`; edit the data, not this file.

Every row is something that the deployment documents or RocketMQ's own documentation promise. It is judged **held**,
**broken**, **inconclusive** or **not tested**, per topology, release, Java and client. *Where* says which topologies
make the promise: `*-sync` and the like take in the -syncflush, -stock and several-slave variants, `all` is every
topology but those that elect their masters, which promise only what names them. *Expected* is what is already known;
a row that comes out otherwise, in either direction, fails the run.
"""


def promises(topology: TopologyFacts, catalogue: Catalogue | None = None) -> str:
    """What a topology promises, a line each: the id, and who judges it: a sign-off, a nightly suite, or nobody yet."""
    rows = (catalogue or load_catalogue()).promised(topology)
    width = max(len(row.id) for row in rows)
    return "\n".join(f"{row.id:{width}}  {_judge_of(row)}" for row in rows)


def _judge_of(row: Guarantee) -> str:
    if row.scenarios or row.id == STOCK_ROW:
        return "sign-off"
    return f"nightly, {row.nightly[0].partition('::')[0]}" if row.nightly else _NOBODY


def explain(guarantee_id: str, catalogue: Catalogue | None = None) -> str:
    """Everything the catalogue knows of one row, as plain text. Raises `UsageError` for an unknown id."""
    found = (catalogue or load_catalogue()).get(guarantee_id)
    return "\n".join(_explained(found)) + "\n"


def document(catalogue: Catalogue) -> str:
    """docs/guarantees.md: every section with every row."""
    parts = [_INTRODUCTION, "## The documents\n"]
    parts.append("\n".join(f"- {text}" for _, text in catalogue.documents) + "\n")
    parts.append("## The kinds of control\n")
    parts.append("\n".join(f"- *{kind}*: {text}" for kind, text in _CONTROLS.items()) + "\n")
    for section, title in catalogue.titles:
        parts.append(f"## {section}. {title}\n")
        parts.extend("\n".join(_documented(row)) + "\n" for row in catalogue.in_section(section))
    return "\n".join(parts)


def _explained(row: Guarantee) -> Iterator[str]:
    yield row.id
    yield ""
    yield f"  promise    {row.promise}"
    yield f"  section    {row.section}" + (f", about {row.theme}" if row.theme != row.section else "")
    yield f"  sources    {'; '.join(row.sources)}"
    yield f"  where      {_where(row)}"
    yield f"  tested     {row.tested}"
    yield f"  control    {row.control.kind} ({_CONTROLS[row.control.kind]}): {row.control.text}"
    yield f"  needs      {', '.join(sorted(row.needs)) or 'nothing beyond a cluster'}"
    yield f"  timers     {row.timers or 'documented or fast'}"
    yield f"  scenarios  {', '.join(row.scenarios) or _elsewhere(row)}"
    for rule in row.rules:
        yield f"  expected   {_verdict(rule.expectation)} for {_scope(rule, row)}: {rule.expectation.reason}"
        if rule.expectation.demands:
            yield f"             by {', '.join(rule.expectation.demands)} alone"
        yield f"             ({rule.expectation.source})"
    untried = ", and no suite here ever judged it" if _judge_of(row) == _NOBODY else ""
    yield "  expected   held" + (" otherwise" if row.rules else f": nothing is known against it{untried}")
    if row.notes:
        yield f"  notes      {row.notes}"


def _verdict(expected: Expectation) -> str:
    return f"sometimes {expected.verdict}" if expected.sometimes else expected.verdict


def _elsewhere(row: Guarantee) -> str:
    if row.nightly:
        return f"none of a sign-off; nightly: pytest {' '.join(row.nightly)} --topology=NAME"
    if row.id == STOCK_ROW:
        return "its own are none: it follows from the rows that the base topology promises, judged on the stock one"
    return f"none: {row.untested}"


def _documented(row: Guarantee) -> Iterator[str]:
    yield f"### {row.id}\n"
    yield f"{row.promise}\n"
    yield f"- Where: `{_where(row)}`" + (f"; about section {row.theme}" if row.theme != row.section else "")
    yield f"- Sources: {'; '.join(row.sources)}"
    yield f"- Tested: {row.tested}"
    yield f"- Control ({row.control.kind}): {row.control.text}"
    if row.needs:
        yield f"- Needs: {', '.join(sorted(row.needs))}"
    if row.timers:
        yield "- Timers: always the documented ones"
    for rule in row.rules:
        known, scope = rule.expectation, _scope(rule, row)
        yield f"- Expected **{_verdict(known)}** for {scope}{_alone(known)}: {known.reason} ({known.source})"
    if row.untested:
        yield f"- Not tested: {row.untested}"
    if row.notes:
        yield f"- Note: {row.notes}"


def _alone(known: Expectation) -> str:
    return f", by {', '.join(f'`{name}`' for name in known.demands)} alone" if known.demands else ""


def _where(row: Guarantee) -> str:
    return row.where.text + (f", RocketMQ >= {row.min_version}" if row.min_version else "")


def _scope(rule: Rule, row: Guarantee) -> str:
    parts = []
    if rule.versions.text:
        parts.append(f"RocketMQ {rule.versions.text}")
    if rule.where.text not in ("all", row.where.text):
        parts.append(f"topologies {rule.where.text}")
    if rule.java:
        parts.append(f"Java {', '.join(map(str, rule.java))}")
    if rule.client != "*":
        parts.append(f"client {rule.client}")
    return "; ".join(parts) or "every release and topology"
