import pytest

from harness.core.content import body_of, examine, whole_id

WHOLE = body_of("p1-7", 40)


def test_a_body_tells_its_id_and_its_length_and_its_padding_follows_from_the_id():
    assert WHOLE.startswith(b"p1-7|40|")
    assert len(WHOLE) == 40
    assert body_of("p1-7", 40) == WHOLE
    assert body_of("p1-8", 40)[8:] != WHOLE[8:]


@pytest.mark.parametrize("id_chars", [1, 2, 5, 6, 7, 8, 94, 95, 96, 97, 98, 99, 100, 995, 996, 997])
@pytest.mark.parametrize("extra", [-50, -1, 0, 1, 2, 3, 4, 7, 8, 9, 10, 11, 900])
def test_a_body_of_any_length_proves_itself_whole(id_chars, extra):
    message_id = "p" * id_chars
    wanted = max(0, id_chars + extra)
    body = body_of(message_id, wanted)
    assert len(body) >= wanted
    assert len(body) <= max(wanted, id_chars + 2 + len(str(len(body))))
    assert whole_id(body) == message_id


def test_a_whole_body_and_its_key_are_one_message():
    assert examine(WHOLE, "p1-7") == ("p1-7", None)
    assert examine(WHOLE, "p1-7 another") == ("p1-7", None)


@pytest.mark.parametrize("at", range(len(WHOLE)))
def test_any_changed_byte_is_seen_even_without_the_key(at):
    changed = WHOLE[:at] + bytes([WHOLE[at] ^ 1]) + WHOLE[at + 1 :]
    assert whole_id(changed) is None
    assert examine(changed, "p1-7") == ("p1-7", "body")


@pytest.mark.parametrize(
    "body",
    [
        bytes(40),
        b"",
        WHOLE[:-1],
        WHOLE[:8],
        WHOLE + b"x",
        WHOLE + WHOLE[8:16],
        WHOLE[:20] + bytes(20),
        WHOLE[:20] + body_of("p1-8", 40)[20:],
        b"\xff" * 40,
        b"|40|" + b"x" * 36,
        b"p1-7|" + b"9" * 5000 + b"|",
        b"p1-7|040|" + WHOLE[9:],
        b"\xc2\xb2|" + WHOLE[3:],
        b"p1-7|" + b"x" * 35,
    ],
)
def test_a_destroyed_body_is_its_keys_message_and_altered(body):
    assert examine(body, "p1-7") == ("p1-7", "body")


def test_key_and_body_that_disagree_are_an_alteration_and_the_whole_body_counts():
    assert examine(WHOLE, "p1-8") == ("p1-7", "key")
    assert examine(WHOLE, None) == ("p1-7", "key")
    assert examine(WHOLE, " ") == ("p1-7", "key")


def test_a_checksum_of_other_bytes_is_an_alteration():
    assert examine(WHOLE, "p1-7", checksum=False) == ("p1-7", "checksum")
    assert examine(bytes(40), "p1-7", checksum=False) == ("p1-7", "body+checksum")


def test_a_message_of_which_nothing_is_left_is_nobodys():
    assert examine(bytes(40), None) == (None, "body+key")
    assert examine(b"\0\0|\0", None) == (None, "body+key")
    assert examine(WHOLE[:20], None) == ("p1-7", "body+key")
