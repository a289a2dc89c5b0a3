"""Counts in a sentence."""

from __future__ import annotations


def several(count: int, noun: str) -> str:
    """`1 fault`, `2 faults`, `1,204 sends`: for nouns whose plural ends in a bare s."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def were(count: int, noun: str) -> str:
    """`1 fault was`, `2 faults were`."""
    return f"{several(count, noun)} {'was' if count == 1 else 'were'}"
