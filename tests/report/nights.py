"""Stored runs as small as they can be: made-up nights for the index."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.core.verdict import Verdict
from harness.report.rows import Row, Run, ScenarioRow, verdicts_json
from harness.stored import sha256_of

KILL, COPIES = "process-kill-loses-nothing", "replicas-agree"


def row(id: str, verdict: str = "held", rto_s: float | str | None = 1.5, ok_per_s: float = 500.0, **given: Any) -> Row:
    """A row of `1m` on 5.3.3, judged by one scenario unless it is not tested."""
    figures = {"ok_per_s": ok_per_s} | ({} if rto_s is None else {"rto_max_s": rto_s})
    tested = Verdict(verdict) is not Verdict.NOT_TESTED
    one = ScenarioRow(name=f"1m/{id}", seed=7, history="scenarios/x", verdict=Verdict(verdict), figures=figures)
    base: dict[str, Any] = {
        "topology": "1m",
        "rocketmq": "5.3.3",
        "java": "25",
        "client": "java",
        "runtime": "local",
        "timers": "fast",
        "reason": "" if verdict == "held" else f"{id} is {verdict}",
        "scenarios": (one,) if tested else (),
    }
    return Row(id=id, verdict=Verdict(verdict), **(base | given))


def store(
    place: Path,
    started: str,
    *rows: Row,
    ended: bool = True,
    ran: tuple[str, ...] | None = None,
    code: int | None = None,
    options: dict[str, Any] | None = None,
    replay: str = "",
) -> Path:
    """A run directory with these rows; `ran` are the guarantees that a suite function was run for (None: all).

    Of several clients each has a part of its own.
    """
    place.mkdir(parents=True)
    (place / "scenarios").mkdir()
    given = {"topology": ["1m"], "rocketmq": "5.3.3", "timers": "fast", "guarantees": [r.id for r in rows]}
    run = Run(
        id=place.name,
        seed=7,
        started_utc=f"{started}:00+00:00",
        ended_utc=f"{started}:59+00:00" if ended else "",
        options=given | (options or {}),
        replay=replay,
    )
    (place / "verdicts.json").write_text(verdicts_json(run, rows))
    (place / "report.html").write_text("a page")
    clients = list(dict.fromkeys(r.client for r in rows)) or ["java"]
    apart = len(clients) > 1
    of = {client: [r.id for r in rows if r.client == client] for client in clients}
    at = {client: f"1m@{client}" if apart else "1m" for client in clients}
    session = {
        "version": "5.3.3",
        "java_major": 25,
        "topologies": {
            at[client]: {"topology": {}, "promised": of[client], "client": client if apart else ""}
            for client in clients
        },
        "outcomes": [
            {"topology": at[client], "guarantees": of[client] if ran is None else list(ran)} for client in clients
        ],
        "exit_code": code,
        "verdicts_sha256": sha256_of(place / "verdicts.json"),
    }
    document = {"schema": 1, **run.model_dump(mode="json"), "session": session}
    (place / "run.json").write_text(json.dumps(document))
    return place
