"""Registers the harness as a pytest plugin when pytest is run from the repository."""

pytest_plugins = ["harness.plugin"]
