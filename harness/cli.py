"""`rmq-harness`: what this machine can run, a cluster to play with, stored runs judged again, and the catalogue."""

from __future__ import annotations

import argparse
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn, cast

from harness.catalogue import explain, load_catalogue, promises
from harness.core.errors import HarnessError, UsageError
from harness.core.verdict import Verdict
from harness.evidence import remedy_for
from harness.options import cache_dir, check_environment, state_dir, told
from harness.settings import RUNTIMES_OF_OURS, TIMERS, choice
from harness.topology.render import Timers


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command. Every trouble is one message on stderr and the exit code of its kind, never a traceback."""
    try:
        options = _parser().parse_args(argv)
        check_environment()
        command: Callable[[argparse.Namespace], int] = options.command
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


class _Parser(argparse.ArgumentParser):
    """Wrong words end as every other bad input does: one message, exit code 4."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="rmq-harness", description=__doc__)
    parser.add_argument("--version", action="version", version=f"rmq-harness {version('rmq-harness')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=run)
        return sub

    command("doctor", _doctor, "what this machine can run, and what is missing for the rest")
    clusters = command("topologies", _topologies, "the topologies that come with the harness, and what each promises")
    clusters.add_argument("topology", nargs="?", help="list what this one promises, and who judges it")
    up = command("up", _up, "bring up a cluster to play with; it stays until `down`")
    up.add_argument("topology", help="a name that `topologies` lists, or a path to a YAML file")
    up.add_argument(
        "--rocketmq", default=None, help="a version (default 5.3.3), path:DIR, or image:REF with --runtime docker"
    )
    up.add_argument("--runtime", default=None, help="local (default), or docker: a container for each node")
    up.add_argument("--java", default=None, help="25 (default), 21, 17, 11 or path:DIR")
    up.add_argument("--timers", default=None, help="fast (default) or documented")
    up.add_argument("--reports", default=None, help="where the logs go (default reports/)")
    down = command("down", _down, "stop clusters that `up` left running")
    down.add_argument("run", nargs="?", help="the run id that `up` printed; all of them without it")
    into = command("exec", _exec, "run a command inside the network of a cluster that is up")
    into.add_argument("run", help="the run id that `up` printed")
    into.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND", help="such as: -- mqadmin clusterList")
    make = command("image", _image, "make a container image of a release, its Java and this machine's shell")
    make.add_argument("version", help="a version, or path:DIR")
    make.add_argument("--java", default="25", help="25 (default), 21, 17, 11 or path:DIR")
    make.add_argument(
        "--tag",
        default=None,
        help="its name and tag (default rmq-harness:VERSION, of path:DIR rmq-harness-candidate:VERSION)",
    )
    command("clean", _clean, "remove everything that dead runs left behind")
    again = command("recheck", _recheck, "judge a stored run again, without a cluster")
    again.add_argument("run", type=Path, help="a run directory, such as reports/latest, or a bundle")
    versus = command("compare", _compare, "two releases: what is better, the same, worse or not comparable")
    versus.add_argument("base", type=Path, help="a run, a bundle, or a directory of runs of the release that is in use")
    versus.add_argument("candidate", type=Path, help="the same of the release that is to take its place")
    versus.add_argument(
        "--judge-anew", action="store_true", help="judge every run again from its histories first, both sides alike"
    )
    versus.add_argument("--out", type=Path, default=None, help="where signoff.html goes (default: below reports/)")
    pack = command("bundle", _bundle, "pack a stored run into one file that another person can check with recheck")
    pack.add_argument("run", type=Path, help="a run directory, such as reports/latest")
    pack.add_argument("--out", type=Path, default=None, help="default: <run-id>.bundle.tar.gz beside the run")
    what = command("explain", _explain, "a guarantee: the promise, its source, what is expected, how it is tested")
    what.add_argument("guarantee", nargs="?", help="its id; without one every id is listed")
    report = command("report", _report, "write report.html of a stored run again and print where it is")
    report.add_argument("run", type=Path, help="a run directory, such as reports/latest")
    pages = command("index", _index, "write one page, and one JUnit file, over every stored run below a directory")
    pages.add_argument("directory", type=Path, metavar="DIR", help="a directory of runs, such as reports/nightly")
    bench = command("bench", _bench, "measure bring-up, faults, clients and checkers side by side")
    bench.add_argument("parts", nargs="*", help="some of: bring-up faults clients checkers (default: all)")
    bench.add_argument("--rounds", type=int, default=5)
    bench.add_argument("--rocketmq", action="append", default=None)
    bench.add_argument("--samples", type=int, default=30, help="how often each fault is injected")
    bench.add_argument("--operations", type=int, action="append", default=None, help="sizes of judged histories")
    bench.add_argument("--out", type=Path, default=None, help="also write bench-<date>.md and .json here")
    times = command("schedule", _schedule, "how long a stored run would take with more suites side by side (simulated)")
    times.add_argument("run", type=Path, help="a run directory, such as reports/latest")
    cells = command("matrix", _matrix, "run the suites on every topology and release, resuming where it stopped")
    cells.add_argument("--topology", action="append", default=None, help="default: all that there are")
    cells.add_argument(
        "--rocketmq",
        action="append",
        default=None,
        help="default: 4.9.7 and 5.3.3, and plain topologies on every other one",
    )
    cells.add_argument("--timers", choices=("fast", "documented"), default="fast")
    cells.add_argument("--java", default="25")
    cells.add_argument("--client", help="default: java, and grpc where there are proxies")
    cells.add_argument(
        "--plan", type=Path, default=None, help="a YAML file with the cells; --topology picks some of them"
    )
    cells.add_argument("--results", type=Path, default=Path("docs/results"))
    cells.add_argument("--reports", type=Path, default=Path("reports/matrix"))
    cells.add_argument("--again", action="append", default=[], choices=[v.value for v in Verdict])
    cells.add_argument("--long", action="store_true", help="also the rows that only suites-nightly judge")
    cells.add_argument("--fresh", action="store_true", help="run every row, whatever is stored")
    cells.add_argument("--status", action="store_true", help="say what would be run, render the table, run nothing")
    moves = command("upgrade-matrix", _upgrade_matrix, "move clusters from each release to each newer one, resuming")
    moves.add_argument("--from", dest="first", required=True, help="releases, such as 4.4.0,4.9.7")
    moves.add_argument("--to", dest="last", required=True, help="releases, such as 5.3.3,5.5.0")
    moves.add_argument("--client", default="java", help="clients, such as java:4.4.0,java:5.3.3 (default java)")
    moves.add_argument("--topology", default="2m-2s-sync", help="topologies (default 2m-2s-sync)")
    moves.add_argument("--timers", choices=("fast", "documented"), default="fast")
    moves.add_argument("--java", default="25")
    moves.add_argument("--results", type=Path, default=Path("reports/upgrades"))
    moves.add_argument("--reports", type=Path, default=Path("reports/upgrades/runs"))
    moves.add_argument("--again", action="append", default=[], choices=[v.value for v in Verdict])
    moves.add_argument("--fresh", action="store_true", help="run every row, whatever is stored")
    moves.add_argument("--status", action="store_true", help="say what would be run, render the table, run nothing")
    return parser


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
