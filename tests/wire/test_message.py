from __future__ import annotations

import contextlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.wire.errors import Malformed
from harness.wire.message import (
    MAGIC_BLANK,
    MAGIC_V1,
    MAGIC_V2,
    decode_message,
    decode_messages,
    decode_properties,
    encode_properties,
    stored_crc,
)
from tests.fakes.store import encode_stored

PROPERTY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x01\x02"), min_size=1, max_size=20)
V4, V6 = (b"\x0a\0\0\7", 1234), (b"\x20\x01" + b"\0" * 13 + b"\1", 5678)
LONG = st.integers(0, 2**63 - 1)
STORED = st.fixed_dictionaries(
    {
        "topic": st.text("abcXYZ%_-|0", min_size=1, max_size=60),
        "queue_id": st.integers(0, 2**31 - 1),
        "queue_offset": LONG,
        "physical_offset": LONG,
        "body": st.binary(max_size=100),
        "properties": st.dictionaries(PROPERTY, PROPERTY, max_size=4).map(encode_properties),
        "born_ts_ms": LONG,
        "store_ts_ms": LONG,
        "born_host": st.sampled_from([V4, V6]),
        "store_host": st.sampled_from([V4, V6]),
        "flag": st.integers(0, 99),
        "reconsume_times": st.integers(0, 16),
        "prepared_tx_offset": LONG,
        "magic": st.sampled_from([MAGIC_V1, MAGIC_V2]),
    }
)


@given(st.lists(STORED, max_size=4))
def test_a_concatenation_is_read_back(wanted):
    read = list(decode_messages(b"".join(encode_stored(**fields) for fields in wanted)))
    assert len(read) == len(wanted)
    for message, fields in zip(read, wanted, strict=True):
        for name in fields.keys() - {"magic", "born_host", "store_host", "properties"}:
            assert getattr(message, name) == fields[name]
        assert message.properties == decode_properties(fields["properties"])
        assert message.born_host == ("10.0.0.7:1234" if fields["born_host"] is V4 else "[2001::1]:5678")
        assert message.store_host == ("10.0.0.7:1234" if fields["store_host"] is V4 else "[2001::1]:5678")
        assert message.crc_matches


@given(st.dictionaries(PROPERTY, PROPERTY))
def test_properties_round_trip(properties):
    assert decode_properties(encode_properties(properties)) == properties


@pytest.mark.parametrize("bad", [{"a\x01": "b"}, {"a": "b\x02"}])
def test_a_property_with_a_separator_is_refused(bad):
    with pytest.raises(ValueError, match="separator"):
        encode_properties(bad)


@given(STORED, st.data())
def test_the_digest_agrees_for_equal_bytes_and_for_nothing_else(fields, data):
    raw = encode_stored(**fields)
    assert decode_message(raw).digest == decode_message(bytes(raw)).digest
    other = dict(fields)
    name = data.draw(st.sampled_from(["queue_offset", "physical_offset", "store_ts_ms", "reconsume_times"]))
    other[name] = fields[name] - 1 if fields[name] else 1
    assert decode_message(encode_stored(**other)).digest != decode_message(raw).digest
    body = encode_stored(**(fields | {"body": fields["body"] + b"x"}))
    assert decode_message(body).digest != decode_message(raw).digest


def test_compressed_bodies():
    packed = zlib.compress(b"payload" * 100)
    assert decode_message(encode_stored(body=packed, sys_flag=1)).body == b"payload" * 100
    assert decode_message(encode_stored(body=packed, sys_flag=1 | 3 << 8)).body == b"payload" * 100
    lz4 = decode_message(encode_stored(body=b"??", sys_flag=1 | 1 << 8))
    assert (lz4.body, lz4.undecoded) == (b"??", "lz4")
    broken = decode_message(encode_stored(body=b"no zlib", sys_flag=1))
    assert (broken.body, broken.undecoded) == (b"no zlib", "zlib")


def test_a_body_that_is_not_the_one_stored_is_seen():
    assert not decode_message(encode_stored(body=b"changed", crc=stored_crc(b"original"))).crc_matches


def test_the_blank_tail_of_a_log_file_is_no_message():
    blank = bytearray(encode_stored(body=b"x"))
    blank[4:8] = MAGIC_BLANK.to_bytes(4, "big", signed=True)
    good = encode_stored(body=b"y")
    assert [message.body for message in decode_messages(bytes(blank) + good)] == [b"y"]


@given(STORED, st.data())
def test_truncated_messages_are_malformed(fields, data):
    raw = encode_stored(**fields)
    with pytest.raises(Malformed):
        list(decode_messages(raw[: data.draw(st.integers(1, len(raw) - 1))]))


@given(st.binary(min_size=1, max_size=200))
def test_no_garbage_escapes_as_another_error(data):
    with pytest.raises(Malformed):
        list(decode_messages(data))


@given(STORED, st.data())
def test_flipped_bits_are_read_or_malformed(fields, data):
    raw = bytearray(encode_stored(**fields))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with contextlib.suppress(Malformed):
        list(decode_messages(bytes(raw)))
