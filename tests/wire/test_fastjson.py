from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.wire.errors import Malformed
from harness.wire.fastjson import _Dialect, loads

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


@given(JSON, st.sampled_from([None, 2]))
def test_the_dialect_parser_reads_standard_json_as_the_standard_one_does(value, indent):
    text = json.dumps(value, indent=indent)
    assert _Dialect(text).document() == json.loads(text) == loads(text)


def test_integer_keys():
    assert loads(b'{"brokerAddrs":{0:"a:1",1:"b:2"},"n":-1.5e2}') == {
        "brokerAddrs": {"0": "a:1", "1": "b:2"},
        "n": -150.0,
    }


def test_text_that_looks_like_an_integer_key_is_left_alone():
    assert loads('{0:"{1:x,2:y}"}') == {"0": "{1:x,2:y}"}


def test_object_keys():
    read = loads('{"offsetTable":{{"topic":"t","brokerName":"b","queueId":0}:{"brokerOffset":5}}}')
    (key,) = read["offsetTable"]
    assert json.loads(key) == {"topic": "t", "brokerName": "b", "queueId": 0}
    assert read["offsetTable"][key] == {"brokerOffset": 5}


@pytest.mark.parametrize(
    "text", ["", "{", "{0}", "{0:}", "[1,]x", '{0:"a"', "{0:1}}", "tru", '{0:"\\q"}', "[" * 5000, "{0:" * 500, b"\xff"]
)
def test_what_is_no_json_is_malformed(text):
    with pytest.raises(Malformed):
        loads(text)
