"""`rmq-harness`: what this machine can run, a cluster to play with, stored runs judged again, and the catalogue."""

from __future__ import annotations

import argparse
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, cast

from harness.catalogue import explain, load_catalogue, promises
from harness.core.errors import HarnessError, UsageError
from harness.core.verdict import Verdict
from harness.evidence import remedy_for
from harness.options import cache_dir, check_environment, state_dir, told
from harness.settings import RUNTIMES_OF_OURS, TIMERS, choice
from harness.topology.render import Timers
from harness.words import Command, parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command. Every trouble is one message on stderr and the exit code of its kind, never a traceback."""
    try:
        options = parser(_COMMANDS, __doc__ or "").parse_args(argv)
        check_environment()
        command: Command = options.command
        return command(options)
    except HarnessError as error:
        print(f"rmq-harness: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("rmq-harness: interrupted; what this command started is being removed", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0
    except Exception as error:  # noqa: BLE001 - whatever nobody foresaw must not end in the code of a broken guarantee
        print(f"rmq-harness: {_unforeseen(error)}", file=sys.stderr)
        return HarnessError.exit_code


def _unforeseen(error: Exception) -> str:
    """What nobody foresaw, in one line: a file that refuses, or a defect of ours and where it came to light."""
    if isinstance(error, OSError) and error.filename is not None:
        place = Path(error.filename)
        return f"{place}: {error.strerror}; {remedy_for(error, place.parent)}"
    last = traceback.extract_tb(error.__traceback__)[-1]
    told = " ".join(str(error).split())[:300]
    where = f"{Path(last.filename).name}:{last.lineno}"
    return f"{type(error).__name__} at {where}: {told}; a defect of this harness: report it with this line"


def _doctor(_options: argparse.Namespace) -> int:
    from harness.doctor import doctor

    text, code = doctor(cache_dir(), state_dir())
    print(text)
    return code


def _topologies(options: argparse.Namespace) -> int:
    from harness.topology import known_topologies, load_topology

    catalogue = load_catalogue()
    if options.topology is not None:
        print(promises(load_topology(options.topology), catalogue))
        return 0
    for name in known_topologies():
        topology = load_topology(name)
        print(f"{name:24} {len(catalogue.promised(topology)):3} guarantees  {topology.description}")
    return 0


def _up(options: argparse.Namespace) -> int:
    from harness.playground import Wish, up

    timers = choice("timers", told("timers", options.timers) or "fast", TIMERS)
    return up(
        Wish(
            options.topology,
            rocketmq=told("rocketmq", options.rocketmq) or "5.3.3",
            java=told("java", options.java),
            runtime=choice("runtime", told("runtime", options.runtime) or "local", RUNTIMES_OF_OURS),
            timers=cast(Timers, timers),
        ),
        reports=Path(told("reports", options.reports) or "reports"),
        cache=cache_dir(),
        state=state_dir(),
        say=lambda text: print(text, flush=True),
    )


def _down(options: argparse.Namespace) -> int:
    from harness.playground import down

    return down(options.run, state=state_dir(), say=print)


def _exec(options: argparse.Namespace) -> int:
    from harness.playground import execute

    return execute(options.run, options.words, state=state_dir())


def _image(options: argparse.Namespace) -> int:
    from harness.containers import build_image

    say = partial(print, flush=True)
    made = build_image(options.version, options.java, options.tag, cache=cache_dir(), say=say)
    print(f"{made.reference} ({made.id}): --runtime docker --rocketmq image:{made.reference}")
    return 0


def _clean(_options: argparse.Namespace) -> int:
    from harness.foreign import clean_foreign
    from harness.runtime.reaper import clean

    removed = clean(state_dir())
    theirs, whole = clean_foreign(state_dir())
    print("\n".join([*removed, *theirs]) or "nothing was left behind")
    return 0 if whole else HarnessError.exit_code


def _recheck(options: argparse.Namespace) -> int:
    if options.run.is_file():
        from harness.bundle import recheck_bundle

        text, code = recheck_bundle(options.run, state_dir())
    else:
        from harness.recheck import recheck

        text, code = recheck(options.run)
    print(text)
    return code


def _compare(options: argparse.Namespace) -> int:
    from harness.compare import compare

    names = "-".join(path.resolve().name.removesuffix(".bundle.tar.gz") for path in (options.base, options.candidate))
    out = options.out or Path(told("reports", None) or "reports") / f"signoff-{names}"
    text, code = compare(options.base, options.candidate, out, state_dir(), anew=options.judge_anew)
    print(text)
    return code


def _bundle(options: argparse.Namespace) -> int:
    from harness.bundle import bundle

    print(bundle(options.run, options.out))
    return 0


def _explain(options: argparse.Namespace) -> int:
    if options.guarantee is None:
        for row in load_catalogue().guarantees:
            print(f"{row.section}  {row.id:44} {row.promise}")
        print("\nrmq-harness explain GUARANTEE tells all of one of them")
        return 0
    print(explain(options.guarantee))
    return 0


def _report(options: argparse.Namespace) -> int:
    from harness.recheck import rewrite_report

    print(rewrite_report(options.run))
    return 0


def _index(options: argparse.Namespace) -> int:
    from harness.index import index

    print(index(options.directory))
    return 0


def _bench(options: argparse.Namespace) -> int:
    from harness.bench import bench

    return bench(
        options.parts,
        rounds=options.rounds,
        versions=tuple(options.rocketmq or ("4.9.7", "5.3.3")),
        cache=cache_dir(),
        state=state_dir(),
        say=lambda text: print(text, flush=True),
        samples=options.samples,
        operations=tuple(options.operations or (1_000_000, 10_000_000)),
        out=options.out,
    )


def _schedule(options: argparse.Namespace) -> int:
    from harness.bench.schedule import curve
    from harness.bench.tables import markdown

    print(markdown(curve(options.run)))
    return 0


def _matrix(options: argparse.Namespace) -> int:
    from harness.matrix import crossed, narrowed, of_this_tree, read_plan, show_status

    # A termination must end the suites too, which run in a session of their own.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    common = {"timers": options.timers, "java": options.java}
    common |= {"client": options.client} if options.client is not None else {}
    wanted = (options.topology, options.rocketmq)
    cells = narrowed(read_plan(options.plan), *wanted) if options.plan else crossed(*wanted, **common)
    matrix = of_this_tree(
        results=options.results,
        reports=options.reports,
        say=lambda text: print(text, flush=True),
        again=[Verdict(word) for word in options.again],
        fresh=options.fresh,
        long=options.long,
    )
    return show_status(matrix, cells) if options.status else matrix.run(cells)


def _upgrade_matrix(options: argparse.Namespace) -> int:
    from harness.matrix import show_status, upgrades, upgrades_of_this_tree

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    cells = upgrades(
        *(_several(name, getattr(options, name)) for name in ("topology", "first", "last", "client")),
        timers=options.timers,
        java=options.java,
    )
    matrix = upgrades_of_this_tree(
        results=options.results,
        reports=options.reports,
        say=lambda text: print(text, flush=True),
        again=[Verdict(word) for word in options.again],
        fresh=options.fresh,
    )
    return show_status(matrix, cells) if options.status else matrix.run(cells)


def _several(name: str, text: str) -> list[str]:
    """Words with commas between them. Raises UsageError if one is empty: it would stand for nothing."""
    option = {"first": "from", "last": "to"}.get(name, name)
    words = [word.strip() for word in text.split(",")]
    if not all(words):
        raise UsageError(f"--{option} {text!r}: nothing stands before, between or after a comma; name releases")
    return words


_COMMANDS: Final[Mapping[str, Command]] = {
    "doctor": _doctor,
    "topologies": _topologies,
    "up": _up,
    "down": _down,
    "exec": _exec,
    "image": _image,
    "clean": _clean,
    "recheck": _recheck,
    "compare": _compare,
    "bundle": _bundle,
    "explain": _explain,
    "report": _report,
    "index": _index,
    "bench": _bench,
    "schedule": _schedule,
    "matrix": _matrix,
    "upgrade-matrix": _upgrade_matrix,
}
