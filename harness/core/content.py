"""What the body of a message of ours is, so that a reader can tell from the message alone whether it was altered.

Imports nothing but the standard library, for a worker must start fast.
"""

from __future__ import annotations

import zlib
from typing import Final

FORMAT: Final = 2
"""The format of bodies that `body_of` makes; 1 was padded with `x` and proved nothing, and nobody compared it."""

COMPARED: Final = "compared"
"""What a DRAIN says of its reads if each of them was looked at by `examine`."""

_SEED_CHARS: Final = 8


def body_of(message_id: str, body_bytes: int) -> bytes:
    """`id|length|padding`: the length is that of the whole body, and the padding follows from the id.

    As long as `body_bytes`, or longer if id and length need it. The id has no bar in it and is ASCII.
    """
    head = f"{message_id}|{body_bytes}|"
    if len(head) > body_bytes:
        fixed = len(message_id) + 2
        digits = next(d for d in range(1, 20) if len(str(fixed + d)) == d)
        return f"{message_id}|{fixed + digits}|".encode()
    missing = body_bytes - len(head)
    seed = f"{zlib.crc32(message_id.encode()):08x}"
    return (head + (seed * (missing // _SEED_CHARS + 1))[:missing]).encode()


def whole_id(body: bytes) -> str | None:
    """The id of a body that is, to its last byte, what was sent under that id; None of any other body."""
    parts = body.split(b"|", 2)
    if len(parts) != 3 or parts[1] != b"%d" % len(body) or not parts[0] or not parts[0].isascii():
        return None
    message_id = parts[0].decode()
    return message_id if body == body_of(message_id, len(body)) else None


def examine(body: bytes, keys: str | None, *, checksum: bool = True) -> tuple[str | None, str | None]:
    """Whose message this is, and in what it differs from what was sent; None: nobody's; in nothing.

    The second is some of `body`, `key`, `checksum`, joined by a plus: the body is not the one that was sent; the key,
    which every message of ours has, is another or none; what was stored as its checksum (as the caller compared it) is
    not that of its body. A body that is whole says whose message it is. Of another the key says it, which every
    producer of ours sets, and failing that what stands before its bar: a guess, for such a body proves nothing.

    Not proved: that other properties are as they were sent, and that nothing was altered before it was sent.
    """
    key = keys.split()[0] if keys and not keys.isspace() else None
    found = whole_id(body)
    wrong = [] if found is not None else ["body"]
    if key is None or (found is not None and key != found):
        wrong.append("key")
    if not checksum:
        wrong.append("checksum")
    return found or key or _guess(body), "+".join(wrong) or None


def _guess(body: bytes) -> str | None:
    head, bar, _ = body.partition(b"|")
    if not bar or not head or not head.isascii():
        return None
    text = head.decode()
    return text if text.isprintable() else None
