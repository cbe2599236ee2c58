"""Plain data come back; whatever could run code does not get to run."""

import os
import pickle
import pickletools
from contextlib import suppress
from pathlib import Path

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from tdn_theory.data.plain_pickle import UnsafePickleError, dumps, loads
from tests.assertions import refuses

LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5), st.binary(max_size=5)
)
PLAIN = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.tuples(inner, inner), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)
NUMBERS = st.sampled_from(["f8", "f4", "f2", "i8", "i4", "i1", "u2", "b1", ">f8", ">i4"])


@given(PLAIN, st.sampled_from([3, 4, 5]))
def test_plain_data_come_back(value, protocol: int):
    assert loads(pickle.dumps(value, protocol)) == value
    assert loads(dumps(value)) == value


@settings(max_examples=50)
@given(hnp.arrays(NUMBERS.map(np.dtype), hnp.array_shapes(min_dims=0, min_side=0)), st.sampled_from([3, 4, 5]))
def test_arrays_come_back(array: np.ndarray, protocol: int):
    for given_array in (array, array.T, array[::2] if array.ndim else array):
        value = {"a": [given_array, (given_array,)], "b": 1}
        for back in (loads(pickle.dumps(value, protocol))["a"][0], loads(pickle.dumps(value, protocol))["a"][1][0]):
            assert back.dtype == given_array.dtype.newbyteorder("=")
            assert np.array_equal(back, given_array, equal_nan=given_array.dtype.kind == "f")
    if array.size:
        scalar = array.reshape(-1)[0]
        assert np.array_equal(loads(pickle.dumps(scalar, protocol)), scalar, equal_nan=array.dtype.kind == "f")


def test_sets_come_back_beside_arrays():
    value = [{1, 2}, frozenset("a"), bytearray(b"b")]
    assert loads(pickle.dumps(value, 5)) == value
    assert loads(pickle.dumps([*value, np.arange(3)], 5))[:-1] == value


class Runs:
    """A pickle that calls `function(*arguments)` when a normal unpickler reads it."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def assembled(*opcodes: bytes) -> bytes:
    return b"\x80\x04" + b"".join(opcodes) + b"."


def text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


SYSTEM = text("os") + text("system") + b"\x93"  # STACK_GLOBAL
DTYPE = text("numpy") + text("dtype") + b"\x93"
RECONSTRUCT = text("numpy.core.multiarray") + text("_reconstruct") + b"\x93"
COMMAND = text("touch pwned")
CRAFTED = {
    "STACK_GLOBAL os.system and REDUCE": (SYSTEM, b"(", COMMAND, b"tR"),
    "GLOBAL os.system and REDUCE": (b"cos\nsystem\n", b"(", COMMAND, b"tR"),
    "INST": (b"(", COMMAND, b"ios\nsystem\n"),
    "OBJ": (b"(", SYSTEM, COMMAND, b"o"),
    "NEWOBJ": (SYSTEM, b"(", COMMAND, b"t\x81"),
    "a dotted name": (text("numpy"), text("ndarray.tofile"), b"\x93"),
    "a module of an allowed module": (text("numpy"), text("os.system"), b"\x93"),
    "a name as a value": (DTYPE,),
    "a name as a key": (b"}", DTYPE, b"K\x01s"),
    "a class instantiated": (DTYPE, b")\x81"),
    "an attribute of a name": (DTYPE, b"N}", text("__call__"), SYSTEM.replace(b"\x93", b"\x86"), b"s\x86b"),
    "a state of a name": (DTYPE, b"}", text("a"), b"K\x01sb"),
    "an extension code": (b"\x82\x01",),
    "a persistent id": (text("id"), b"Q"),
    "a mark called": (text("numpy") + text("ndarray") + b"\x93", b")R"),
    "an array without a type": (RECONSTRUCT, b")R", b"(K\x01)NK\x00C\x00tb"),
    "an array whose bytes are a list": (RECONSTRUCT, b")R", b"(K\x01)", DTYPE, text("f8"), b"\x85R", b"K\x00]tb"),
    "an array larger than its bytes": (
        *(RECONSTRUCT, b")R", b"(K\x01M\xff\xff\x85", DTYPE, text("f8"), b"\x85R", b"K\x00C\x08"),
        *(b"\x00" * 8, b"tb"),
    ),
    "a byte order out of thin air": (DTYPE, text("f8"), b"\x85R", b"(K\x03", text("O"), b"NNNtb"),
}


def crafted(name: str) -> bytes:
    return assembled(*CRAFTED[name])


@pytest.mark.parametrize("name", list(CRAFTED)[:4])
def test_these_attacks_work_on_a_normal_unpickler(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    pickle.loads(crafted(name))  # noqa: S301
    assert [path.name for path in tmp_path.iterdir()] == ["pwned"]


@pytest.mark.parametrize("name", CRAFTED)
def test_crafted_pickles_are_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    content = crafted(name)
    with pytest.raises(UnsafePickleError):
        loads(content)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("function", [os.system, eval, exec, getattr, np.load, Path, pickle.loads, bytearray, complex])
def test_reduced_objects_are_refused(function, protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    content = pickle.dumps({"energy": [Runs(function, "touch pwned")]}, protocol)
    with pytest.raises(UnsafePickleError, match="names"):
        loads(content)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "value",
    [
        np.array([{}], object),
        np.array([Runs(os.system, "touch pwned")], object),
        np.zeros(2, "S3"),
        np.zeros(2, "U3"),
        np.zeros(2, [("a", "f8")]),
        np.zeros(2, "M8[s]"),
        np.zeros(2, "c16"),
        np.float64,
        print,
        {1j},
    ],
    ids=lambda value: f"{type(value).__name__}-{getattr(value, 'dtype', '')}",
)
def test_other_values_are_refused(value):
    for protocol in (3, 4, 5):
        with pytest.raises(UnsafePickleError):
            loads(pickle.dumps(value, protocol))


def test_the_error_says_why():
    with refuses(UnsafePickleError, "system", "only containers", "could run code"):
        loads(pickle.dumps(os.system))


@given(st.binary(max_size=60))
def test_any_bytes_are_plain_data_or_refused(content: bytes):
    if any(opcode in content for opcode in (b"j", b"r", b"p")):  # numbers of memo entries, which may be huge
        return
    with suppress(UnsafePickleError):
        loads(b"\x80\x04" + content + b".")


def test_references_do_not_multiply():
    value: list = [np.zeros(1)]
    for _ in range(60):
        value = [value, value]
    back = loads(pickle.dumps(value))
    assert back[0] is back[1]


def test_a_damaged_pickle_is_refused():
    content = pickle.dumps({"a": [1.0, np.arange(3)]})
    for end in range(len(content) - 1):
        with pytest.raises(UnsafePickleError):
            loads(content[:end])
    assert "STOP" in {opcode.name for opcode, _, _ in pickletools.genops(content)}
