"""The words that `rmq-harness` understands, and what it says of them; `harness/cli.py` does what they ask for."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

from harness.core.errors import UsageError
from harness.core.verdict import Verdict

Command = Callable[[argparse.Namespace], int]


class _Parser(argparse.ArgumentParser):
    """Wrong words end as every other bad input does: one message, exit code 4."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def parser(commands: Mapping[str, Command], text: str) -> argparse.ArgumentParser:
    """Reads the words of a command line into options; `options.command` is what `commands` has under its first word.

    Raises UsageError, when it reads, for words that it does not know; KeyError if `commands` lacks one of its own.
    """
    words = _Parser(prog="rmq-harness", description=text)
    words.add_argument("--version", action="version", version=f"rmq-harness {version('rmq-harness')}")
    subs = words.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        sub = subs.add_parser(name, help=text, description=text)
        sub.set_defaults(command=commands[name])
        return sub

    command("doctor", "what this machine can run, and what is missing for the rest")
    clusters = command("topologies", "the topologies that come with the harness, and what each promises")
    clusters.add_argument("topology", nargs="?", help="list what this one promises, and who judges it")
    up = command("up", "bring up a cluster to play with; it stays until `down`")
    up.add_argument("topology", help="a name that `topologies` lists, or a path to a YAML file")
    up.add_argument(
        "--rocketmq", default=None, help="a version (default 5.3.3), path:DIR, or image:REF with --runtime docker"
    )
    up.add_argument("--runtime", default=None, help="local (default), or docker: a container for each node")
    up.add_argument("--java", default=None, help="25 (default), 21, 17, 11 or path:DIR")
    up.add_argument("--timers", default=None, help="fast (default) or documented")
    up.add_argument("--reports", default=None, help="where the logs go (default reports/)")
    down = command("down", "stop clusters that `up` left running")
    down.add_argument("run", nargs="?", help="the run id that `up` printed; all of them without it")
    into = command("exec", "run a command inside the network of a cluster that is up")
    into.add_argument("run", help="the run id that `up` printed")
    into.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND", help="such as: -- mqadmin clusterList")
    make = command("image", "make a container image of a release, its Java and this machine's shell")
    make.add_argument("version", help="a version, or path:DIR")
    make.add_argument("--java", default="25", help="25 (default), 21, 17, 11 or path:DIR")
    make.add_argument(
        "--tag",
        default=None,
        help="its name and tag (default rmq-harness:VERSION, of path:DIR rmq-harness-candidate:VERSION)",
    )
    command("clean", "remove everything that dead runs left behind")
    again = command("recheck", "judge a stored run again, without a cluster")
    again.add_argument("run", type=Path, help="a run directory, such as reports/latest, or a bundle")
    versus = command("compare", "two releases: what is better, the same, worse or not comparable")
    versus.add_argument("base", type=Path, help="a run, a bundle, or a directory of runs of the release that is in use")
    versus.add_argument("candidate", type=Path, help="the same of the release that is to take its place")
    versus.add_argument(
        "--judge-anew", action="store_true", help="judge every run again from its histories first, both sides alike"
    )
    versus.add_argument("--out", type=Path, default=None, help="where signoff.html goes (default: below reports/)")
    pack = command("bundle", "pack a stored run into one file that another person can check with recheck")
    pack.add_argument("run", type=Path, help="a run directory, such as reports/latest")
    pack.add_argument("--out", type=Path, default=None, help="default: <run-id>.bundle.tar.gz beside the run")
    what = command("explain", "a guarantee: the promise, its source, what is expected, how it is tested")
    what.add_argument("guarantee", nargs="?", help="its id; without one every id is listed")
    report = command("report", "write report.html of a stored run again and print where it is")
    report.add_argument("run", type=Path, help="a run directory, such as reports/latest")
    pages = command("index", "write one page, and one JUnit file, over every stored run below a directory")
    pages.add_argument("directory", type=Path, metavar="DIR", help="a directory of runs, such as reports/nightly")
    bench = command("bench", "measure bring-up, faults, clients and checkers side by side")
    bench.add_argument("parts", nargs="*", help="some of: bring-up faults clients checkers (default: all)")
    bench.add_argument("--rounds", type=int, default=5)
    bench.add_argument("--rocketmq", action="append", default=None)
    bench.add_argument("--samples", type=int, default=30, help="how often each fault is injected")
    bench.add_argument("--operations", type=int, action="append", default=None, help="sizes of judged histories")
    bench.add_argument("--out", type=Path, default=None, help="also write bench-<date>.md and .json here")
    times = command("schedule", "how long a stored run would take with more suites side by side (simulated)")
    times.add_argument("run", type=Path, help="a run directory, such as reports/latest")
    cells = command("matrix", "run the suites on every topology and release, resuming where it stopped")
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
    moves = command("upgrade-matrix", "move clusters from each release to each newer one, resuming")
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
    return words
