"""The files of a run: recorders that append, a history that is read back, JSON that is whole or absent."""

from __future__ import annotations

from harness.evidence.load import load_history
from harness.evidence.recorder import Recorder
from harness.evidence.rundir import link_latest, read_json, write_json

__all__ = ["Recorder", "link_latest", "load_history", "read_json", "write_json"]
