import pytest

from harness import cli
from harness.cli import main


@pytest.fixture(autouse=True)
def _own_state(monkeypatch, tmp_path):
    monkeypatch.setenv("RMQ_HARNESS_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("up nonsense", "'nonsense' is not known"),
        ("up ./nothing.yaml", "nothing.yaml does not exist"),
        ("up 1m --rocketmq 9.9.9", "'9.9.9' is not a RocketMQ"),
        ("up 1m --rocketmq path:/nowhere", "no unpacked RocketMQ"),
        ("up 1m --java path:/nowhere", "--java 'path:/nowhere': /nowhere is no Java home"),
        ("up 1m --rocketmq image:x:5.3.3", "docker"),
        ("up 1m --java 3", "'3' is not a Java"),
        ("up 1m --timers slow", "'slow'"),
        ("up 1m --rocketmq=", "--rocketmq is empty: give it a value"),
        ("up 1m --java=", "--java is empty"),
        ("up 1m --timers fast:x", "--timers 'fast:x' is not supported"),
        ("up 1m --timers=", "--timers is empty"),
        ("up 1m --reports=", "--reports is empty"),
        ("down nonsense", "no cluster 'nonsense' is up"),
        ("down ../../../etc/passwd", "is up"),
        ("exec nonsense -- ls", "no cluster 'nonsense' is up"),
        ("exec", "--help"),
        ("recheck /nowhere", "/nowhere is no directory"),
        ("recheck .", "is no run"),
        ("recheck", "--help"),
        ("report /nowhere", "/nowhere is no directory"),
        ("explain nonsense", "'nonsense' is not in the catalogue: `rmq-harness explain` lists them all"),
        ("explain kill", "did you mean process-kill-loses-nothing?"),
        ("explain data-loss", "did you mean process-kill-loses-nothing, "),
        ("explain process-kill-lose-nothing", "did you mean process-kill-loses-nothing?"),
        ("nonsense", "invalid choice"),
        ("", "COMMAND"),
    ],
)
def test_bad_input_is_one_message(words, named, capsys):
    assert main(words.split()) == 4
    seen = capsys.readouterr()
    assert seen.err.startswith("rmq-harness: ")
    assert named in seen.err
    assert seen.err.count("\n") == 1
    assert "Traceback" not in seen.err


def test_a_variable_that_stands_for_no_option_is_one_message(monkeypatch, capsys):
    monkeypatch.setenv("RMQ_HARNESS_STATES", "/s")
    assert main(["topologies"]) == 4
    seen = capsys.readouterr()
    assert seen.err.startswith("rmq-harness: RMQ_HARNESS_STATES stands for no option; did you mean RMQ_HARNESS_STATE?")
    assert seen.err.count("\n") == 1
    assert seen.out == ""


def test_where_nothing_can_be_written_up_is_one_message(tmp_path, capsys):
    (tmp_path / "a-file").write_text("")
    assert main(["up", "1m", "--reports", "a-file/reports"]) == 6
    seen = capsys.readouterr()
    assert seen.err.startswith("rmq-harness: a-file/reports cannot be written to (Not a directory)")
    assert seen.err.count("\n") == 1
    assert seen.out == "", "nothing was begun"


def test_a_file_that_refuses_is_one_message(monkeypatch, capsys):
    def refuse(*_arguments):
        raise PermissionError(13, "Permission denied", "/somewhere/x")

    monkeypatch.setattr("harness.recheck.recheck", refuse)
    assert main(["recheck", "."]) == 6
    said = capsys.readouterr().err
    assert said.startswith("rmq-harness: /somewhere/x: Permission denied; make /somewhere writable")
    assert said.count("\n") == 1


def test_down_without_a_cluster_is_no_trouble(capsys):
    assert main(["down"]) == 0
    assert "no cluster is up" in capsys.readouterr().out


def test_clean_without_leftovers_is_no_trouble(capsys):
    assert main(["clean"]) == 0
    assert "nothing was left behind" in capsys.readouterr().out


def test_what_one_topology_promises_is_listed_with_who_judges_it(capsys):
    assert main(["topologies", "2m-2s-sync-stock"]) == 0
    told = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert told["process-kill-loses-nothing"] == told["stock-config-keeps-the-promise"] == "sign-off"
    assert told["graceful-stop-is-clean"] == "nightly, suites-nightly/test_maintenance.py"
    assert "no suite yet" in told.values()
    assert main(["topologies", "nonesuch"]) == 4
    assert "topology 'nonesuch' is not known" in capsys.readouterr().err


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("rmq-harness 0.")


def test_topologies_are_listed_with_what_they_promise(capsys):
    assert main(["topologies"]) == 0
    assert "2m-2s-sync " in capsys.readouterr().out


def test_explain_says_what_is_promised(capsys):
    assert main(["explain", "process-kill-loses-nothing"]) == 0
    assert "promise" in capsys.readouterr().out


def test_recheck_is_a_command(stored_run, capsys):
    assert main(["recheck", str(stored_run)]) == 0
    assert main(["report", str(stored_run)]) == 0
    next((stored_run / "scenarios/1m/kill/history").glob("*.jsonl")).unlink()
    assert main(["recheck", str(stored_run)]) == 6


def test_what_nobody_foresaw_is_one_message_and_never_the_code_of_a_broken_guarantee(monkeypatch, capsys):
    def bug(_options):
        raise KeyError("rocketmq")

    monkeypatch.setitem(cli._COMMANDS, "topologies", bug)
    assert main(["topologies"]) == 6
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "KeyError at test_usage.py" in told
    assert "Traceback" not in told
