from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.wire.errors import Malformed
from harness.wire.frame import Frame, FrameSplitter, decode, encode, head, seal

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
FRAMES = st.builds(
    Frame,
    code=st.integers(0, 32_000),
    ext=st.dictionaries(TEXT, TEXT, max_size=5),
    body=st.binary(max_size=200),
    opaque=st.integers(-(2**31), 2**31 - 1),
    flag=st.integers(0, 3),
    remark=st.none() | TEXT.filter(bool),
    language=st.sampled_from(["JAVA", "PYTHON", "GO"]),
    version=st.integers(0, 500),
)


def binary(frame: Frame) -> bytes:
    """What a Java peer with serialize type ROCKETMQ writes, without the total length."""
    remark = (frame.remark or "").encode()
    ext = b"".join(
        struct.pack(">h", len(key.encode())) + key.encode() + struct.pack(">i", len(value.encode())) + value.encode()
        for key, value in frame.ext.items()
    )
    language = {"JAVA": 0, "PYTHON": 3, "GO": 9}[frame.language]
    header = (
        struct.pack(">hBhiii", frame.code, language, frame.version, frame.opaque, frame.flag, len(remark))
        + remark
        + struct.pack(">i", len(ext))
        + ext
    )
    return struct.pack(">I", 1 << 24 | len(header)) + header + frame.body


@given(FRAMES)
def test_json_round_trip(frame):
    assert decode(encode(frame)[4:]) == frame


@given(FRAMES)
def test_binary_header_is_read(frame):
    assert decode(binary(frame)) == frame


@given(st.lists(FRAMES, max_size=5), st.lists(st.integers(1, 60), min_size=1))
def test_a_stream_is_cut_into_its_frames_however_it_arrives(frames, sizes):
    stream = b"".join(encode(frame) for frame in frames)
    splitter, seen, at, turn = FrameSplitter(), [], 0, 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        seen += splitter.feed(stream[at : at + size])
        at, turn = at + size, turn + 1
    assert seen == frames
    assert splitter.held_bytes == 0


def test_golden_request():
    sealed = seal(head(105, {"topic": "T"}), 7, b"xy")
    header = b'{"code":105,"language":"PYTHON","version":401,"flag":0,"extFields":{"topic":"T"},"opaque":7}'
    assert sealed == struct.pack(">ii", 4 + len(header) + 2, len(header)) + header + b"xy"


def test_golden_answer_of_a_java_broker():
    header = b'{"code":0,"flag":1,"language":"JAVA","opaque":7,"serializeTypeCurrentRPC":"JSON","version":409}'
    frame = decode(struct.pack(">i", len(header)) + header + b"{}")
    assert frame == Frame(0, {}, b"{}", 7, 1, None, "JAVA", 409)
    assert frame.is_reply
    assert not frame.is_oneway


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\0\0",
        b"\0\0\0\xff{}",
        b"\x05\0\0\2{}",
        b"\0\0\0\2{}",
        b"\0\0\0\2[]",
        b"\0\0\0\4null",
        b'\0\0\0\x22{"code":0,"flag":1,"opaque":"x-y-"}',
        b"\x01\0\0\3abc",
        b"\x01\0\0\x19" + struct.pack(">hBhiii", 0, 0, 0, 0, 0, 99) + struct.pack(">i", 0) + b"\0\0\0\0",
        b"\x01\0\0\x15" + struct.pack(">hBhiii", 0, 0, 0, 0, 0, 0) + struct.pack(">i", -4),
    ],
)
def test_garbage_is_malformed(payload):
    with pytest.raises(Malformed):
        decode(payload)


@given(st.binary(min_size=1, max_size=300))
def test_no_garbage_escapes_as_another_error(data):
    with contextlib.suppress(Malformed):
        list(FrameSplitter().feed(data))


@pytest.mark.parametrize("total", [-1, 0, 3, 1001, 2**31 - 1])
def test_a_length_out_of_bounds_is_refused_before_it_is_waited_for(total):
    with pytest.raises(Malformed, match="not between"):
        list(FrameSplitter(1000).feed(struct.pack(">i", total)))
