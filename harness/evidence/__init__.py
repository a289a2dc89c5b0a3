"""A run directory on disk: what is recorded, and how it is read back. Depends on core alone."""

from harness.evidence.files import read_json, refuse_unwritable, remedy_for, write_atomically, write_json, write_text
from harness.evidence.loading import load_history, read_lines, read_packed
from harness.evidence.recorder import Recorder
from harness.evidence.rundir import RunDir, ScenarioDir

__all__ = [
    "Recorder",
    "RunDir",
    "ScenarioDir",
    "load_history",
    "read_json",
    "read_lines",
    "read_packed",
    "refuse_unwritable",
    "remedy_for",
    "write_atomically",
    "write_json",
    "write_text",
]
