"""What is wrong with the fields of data that was read, in words of one line."""

from __future__ import annotations

from pydantic import ValidationError


def refused(error: ValidationError, whole: str = "") -> list[str]:
    """`FIELD: what is wrong with it` of each; `whole` names what has the field where none is named."""
    return [f"{'.'.join(map(str, each['loc'])) or whole}: {each['msg']}" for each in error.errors()]
