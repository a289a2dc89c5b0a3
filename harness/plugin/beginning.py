"""How a run begins: what it is to be, and all that it needs, before its first cluster."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from harness.catalogue import Catalogue
from harness.core.errors import HarnessError, UsageError
from harness.core.guarantee import Guarantee
from harness.evidence import RunDir
from harness.plugin import selection, sidebyside
from harness.plugin.saying import sayer
from harness.provenance import new_run_id
from harness.publish import write_run
from harness.session import Session
from harness.settings import Settings
from harness.topology import check_release

_PATH = re.compile(r"(?:(?<==)|(?<=path:)|^)[/~]\S*")


def new_session(
    config: pytest.Config, catalogue: Catalogue, settings: Sequence[Settings], command: Sequence[str]
) -> Session:
    """The run that the options ask for, or the part of one that a worker of several has in it."""
    names = [s.place for s in settings]
    if sidebyside.is_worker(config):
        part_of = sidebyside.run_of(config)
        settings = [replace(s, seed=part_of["seed"]) for s in settings]
        run_id = part_of["id"]
        sidebyside.die_with_the_controller()
    else:
        run_id = new_run_id(list(dict.fromkeys(s.topology.name for s in settings)), settings[0].seed)
    return Session(
        run_id=run_id,
        directory=settings[0].reports / run_id,
        seed=settings[0].seed,
        command=" ".join(_without_paths(command)),
        settings=dict(zip(names, settings, strict=True)),
        promised={s.place: selection.promised_by(catalogue, s) for s in settings},
        offered=sum(len(selection.offered(catalogue, s)) for s in settings),
    )


def obtain(run: Session, config: pytest.Config, judged: Iterable[Guarantee], *, clusters: int = 1) -> None:
    """What a run needs, and its directory; of several workers each has the first, and the controller makes the second.

    `clusters` is how many there will be at a time. Trouble ends the run with one message.
    """
    from harness.equip import equip

    worker = sidebyside.is_worker(config)
    try:
        say = (lambda _text: None) if worker else sayer(config)
        every = [*run.settings.values()]
        run.equipment = equip(every[0], say, judged, clusters=clusters, run=every)
        for each in run.settings.values():  # what a path:DIR holds is known only now
            check_release(each.topology, run.equipment.release.version)
        for line in run.moved_conf():
            say(f"configuration after the move: {line}")
        if not worker:
            RunDir.create(run.directory.parent, run.run_id)
            write_run(run)
    except HarnessError as error:
        run.equipment = None  # nothing was begun: there is nothing to publish
        if isinstance(error, UsageError):
            raise pytest.UsageError(str(error)) from None
        pytest.exit(f"rmq-harness: {error}", returncode=error.exit_code)


def _without_paths(words: Iterable[str]) -> list[str]:
    """The command line without any absolute path: reports name no place of the machine."""
    return [_PATH.sub(lambda path: Path(path.group()).name, word) for word in _without_places(words)]


def _without_places(words: Iterable[str]) -> list[str]:
    """Of --hook the name alone, for its command may hold secrets; of --namesrv nothing: pages name no host."""
    shown: list[str] = []
    before = ""
    for word in words:
        option, equals, value = word.partition("=") if word.startswith("--") else (before, "", word)
        if option == "--hook" and (equals or before):
            word = f"{'--hook=' if equals else ''}{value.partition('=')[0]}=..."
        elif option == "--namesrv" and (equals or before):
            word = f"{'--namesrv=' if equals else ''}..."
        before = word if word in ("--hook", "--namesrv") else ""
        shown.append(word)
    return shown
