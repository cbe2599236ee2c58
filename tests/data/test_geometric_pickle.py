"""Objects of torch_geometric come back as data; nothing in them, nor in the tensors inside, gets to run."""

import io
import os
import pickle
import pickletools
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from tdn_theory.data.geometric_pickle import dumps, loads
from tdn_theory.data.plain_pickle import UnsafePickleError
from tests.data.test_plain_pickle import CRAFTED, SYSTEM, Runs, assembled, crafted, text

DATA = b"ctorch_geometric.data.data\nData\n"
STORAGE = b"ctorch_geometric.data.storage\nGlobalStorage\n"
LOAD = b"ctorch.storage\n_load_from_bytes\n"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"
VALUES = {
    "pos": np.arange(6, dtype=np.float32).reshape(2, 3),
    "tags": np.array([0, 2]),
    "cell": np.eye(3, dtype=np.float32)[None],
    "y_relaxed": -1.5,
    "sid": "random7",
}


def part(value) -> bytes:
    return pickle.dumps(value, 3)[2:-1]


def version_1(values: dict) -> bytes:
    """As torch_geometric 1 pickles: the attributes are the state of the object."""
    return assembled(DATA, b")\x81", part(values), b"b")


def tensors(values: dict) -> dict:
    return {name: torch.tensor(v) if isinstance(v, np.ndarray) else v for name, v in values.items()}


def same(found: dict, wanted: dict) -> None:
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        assert np.array_equal(found[name], value)
        assert getattr(found[name], "dtype", None) == getattr(value, "dtype", None)


def test_both_versions_come_back():
    same(loads(dumps(VALUES)), VALUES)
    same(loads(version_1(tensors(VALUES))), VALUES)
    turned = {"pos": torch.arange(12.0).reshape(4, 3)[1::2].T}  # offset and strides of its own
    same(loads(version_1(turned)), {"pos": turned["pos"].numpy()})
    both = assembled(b"](", dumps(VALUES)[2:-1], version_1(tensors(VALUES))[2:-1], b"e")
    for found in loads(both):
        same(found, VALUES)


def test_attributes_that_nobody_needs_are_passed_over():
    bad = assembled(DATA, b")\x81}", text("edge_index"), LOAD, b"N\x85Rs", text("sid"), b"K\x07sb")
    assert loads(bad) == {"sid": 7}


def test_torch_geometric_reads_what_is_written_and_the_other_way_round():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit.script.*", category=DeprecationWarning)
        data = pytest.importorskip("torch_geometric.data", reason="needs the extra schnet")
    theirs = pickle.loads(dumps(VALUES))  # noqa: S301
    assert isinstance(theirs, data.Data)
    same({name: v.numpy() if isinstance(v, torch.Tensor) else v for name, v in theirs.to_dict().items()}, VALUES)
    same(loads(pickle.dumps(data.Data(**tensors(VALUES)), 4)), VALUES)
    same(loads(pickle.dumps(theirs, 5)), VALUES)


def storage(content: bytes, shape: bytes = b"K\x00K\x01\x85K\x01\x85") -> bytes:
    """A tensor whose storage is `content`; `shape` puts offset, shape and strides on the stack."""
    inner = b"B" + len(content).to_bytes(4, "little") + content
    return b"".join([REBUILD, b"(", LOAD, inner, b"\x85R", shape, b"\x89NtR"])


def saved(value, new: bool = False) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, _use_new_zipfile_serialization=new)
    return stream.getvalue()


def three() -> bytes:
    """The storage of the numbers 0, 1, 2, as it stands in a pickled tensor."""
    return next(arg for op, arg, _ in pickletools.genops(pickle.dumps(torch.arange(3.0), 4)) if op.name == "BINBYTES")


INNER = {
    "a plain pickle": pickle.dumps(Runs(os.system, "touch pwned"), 2),
    "saved by torch": saved(Runs(os.system, "touch pwned")),
    "saved by torch as a zip": saved(Runs(os.system, "touch pwned"), new=True),
    "no tensor": saved({"a": 1}),
    "nothing": b"",
    "cut off": three()[:-5],
}
SHAPES = {
    "too large": b"K\x00K\x04\x85K\x01\x85",
    "too far": b"K\x02K\x02\x85K\x01\x85",
    "before its storage": b"J\xff\xff\xff\xffK\x01\x85K\x01\x85",
    "backwards": b"K\x00K\x02\x85J\xff\xff\xff\xff\x85",
    "many times the same": b"K\x00M\xff\xff\x85K\x00\x85",
    "without strides": b"K\x00K\x02\x85)",
    "a word": b"K\x00" + text("ab") + text("ab"),
}
AROUND = {
    "a state of the class": DATA + b"}" + text("_store") + b"Nsb",
    "a state that is a name": DATA + b")\x81" + SYSTEM + b"b",
    "a store that is a name": DATA + b")\x81}" + text("_store") + SYSTEM + b"sb",
    "a store without attributes": DATA + b")\x81}" + text("_store") + STORAGE + b")\x81}bsb",
    "no state": DATA + b")\x81",
    "an attribute that is a name": DATA + b")\x81}" + text("sid") + DATA + b"sb",
    "an attribute that is itself": DATA + b")\x81q\x01}" + text("sid") + b"h\x01sb",
    "another class of the package": b"ctorch_geometric.data.dataset\nDataset\n)\x81",
    "a storage by itself, of a list": LOAD + b"]\x85R",
}


def with_pos(tensor: bytes) -> bytes:
    return assembled(DATA, b")\x81}", text("pos"), tensor, b"sb")


ATTACKS = {
    **{f"storage: {name}": with_pos(storage(content)) for name, content in INNER.items()},
    **{f"shape: {name}": with_pos(storage(three(), shape)) for name, shape in SHAPES.items()},
    **{f"object: {name}": assembled(content) for name, content in AROUND.items()},
    **{f"plain: {name}": crafted(name) for name in CRAFTED},
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_are_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnsafePickleError):
        loads(ATTACKS[name])
    assert list(tmp_path.iterdir()) == []


def test_the_same_tensor_without_fault_is_read():
    assert loads(with_pos(storage(three(), b"K\x01K\x02\x85K\x01\x85")))["pos"].tolist() == [1.0, 2.0]


def test_the_attack_on_the_storage_works_on_a_normal_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    torch.load(io.BytesIO(INNER["saved by torch"]), weights_only=False)
    assert [path.name for path in tmp_path.iterdir()] == ["pwned"]


def test_a_damaged_pickle_is_refused_or_read():
    content = dumps(VALUES)
    for end in range(0, len(content) - 1, 17):
        with pytest.raises(UnsafePickleError):
            loads(content[:end])
    for place in range(0, len(content), 23):
        with suppress(UnsafePickleError):
            loads(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
