"""The restricted unpickler: arrays of every maker bit for bit, and hostile, damaged or greedy pickles refused."""

import collections
import copyreg
import functools
import io
import operator
import os
import pickle
import pickletools
import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sciml.pipelines.errors import DataError
from sciml.pipelines.gcm.neural.checkpoint.unpickle import load, loads

DTYPES = st.sampled_from(
    ["<f4", ">f4", "<f8", "<f2", "|i1", ">i8", "<u2", "|b1", "<c8", "<U3", "|S4", "<M8[h]", "<m8[D]"]
)
ARRAYS = DTYPES.flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
    ),
    max_leaves=10,
)
PROTOCOLS = st.integers(2, 5)


def same(one, other):
    assert type(one) is type(other) or isinstance(one, np.generic) or isinstance(other, np.ndarray)
    one, other = np.asarray(one), np.asarray(other)
    return (
        one.shape == other.shape
        and one.dtype.newbyteorder("=") == other.dtype.newbyteorder("=")
        and (one.astype(other.dtype).tobytes() == other.tobytes())
    )


@settings(max_examples=60, deadline=None)
@given(ARRAYS, PROTOCOLS, st.booleans())
def test_arrays_come_back_bit_for_bit(array, protocol, fortran):
    array = np.asfortranarray(array) if fortran else array
    assert same(loads(pickle.dumps(array, protocol), source="x"), array)


@settings(max_examples=60, deadline=None)
@given(PLAIN, PROTOCOLS)
def test_plain_containers_come_back(value, protocol):
    assert loads(pickle.dumps(value, protocol), source="x") == value


def test_shared_containers_stay_shared():
    part = [np.ones(2)]
    value = loads(pickle.dumps([part, part]), source="x")
    assert value[0] is value[1]


class _JaxArray:
    """Pickles as jax 0.4 pickled its arrays: a function, the NumPy array's own reduction and the abstract value."""

    def __init__(self, array, module="jax._src.array", name="_reconstruct_array", aval=None):
        self.array, self.module, self.name = array, module, name
        self.aval = {"weak_type": False, "named_shape": {}} if aval is None else aval

    def dumps(self, protocol):
        build, args, state = self.array.__reduce__()
        body = pickle.dumps((build, args, state, self.aval), protocol)
        ops = pickletools.optimize(body)
        start = 2 if protocol < 4 else 11  # behind PROTO, and FRAME
        return b"\x80" + bytes([protocol]) + f"c{self.module}\n{self.name}\n".encode() + ops[start:-1] + b"R."


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize(
    ("module", "name"),
    [("jax._src.array", "_reconstruct_array"), ("jax._src.device_array", "reconstruct_device_array")],
)
def test_arrays_of_old_jax_releases(protocol, module, name):
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert same(loads(_JaxArray(array, module, name).dumps(protocol), source="x"), array)


def test_arrays_of_this_jax_release():
    jnp = pytest.importorskip("jax.numpy")
    for array in (jnp.arange(6.0).reshape(2, 3), jnp.float32(3), jnp.ones(2, jnp.bfloat16)):
        value = loads(pickle.dumps({"w": array}), source="x")["w"]
        assert np.asarray(value).tobytes() == np.asarray(array).tobytes() and np.asarray(value).dtype == array.dtype


def test_mappings_of_haiku():
    haiku = pytest.importorskip("haiku")
    params = haiku.data_structures.to_immutable_dict({"linear": {"w": np.ones(2)}})
    value = loads(pickle.dumps(params), source="x")
    assert type(value) is dict and type(value["linear"]) is dict
    ordered = pickle.dumps(collections.OrderedDict([("b", 1), ("a", np.ones(1))]))
    assert list(loads(ordered, source="x")) == ["b", "a"]


def test_names_of_old_numpy_releases():
    new = pickle.dumps(np.ones(3, "f4"), 2)
    old = new.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert old != new or b"numpy.core" in new
    assert same(loads(old, source="x"), np.ones(3, "f4"))


# Hostile --------------------------------------------------------------------------------------------------------------
class Calls:
    """Pickles as a call of `function`."""

    def __init__(self, function, *args, state=None):
        self.reduction = (function, args) if state is None else (function, args, state)

    def __reduce__(self):
        return self.reduction


class SetsOnClass:
    def __reduce__(self):
        return np.ndarray, (), {"__class__": 1}


REFUSED = {
    "os.system": (Calls(os.system, "touch hit"), "posix.system"),
    "eval": (Calls(eval, "1"), "builtins.eval"),
    "exec": (Calls(exec, "import os"), "builtins.exec"),
    "getattr": (Calls(getattr, "text", "format"), "builtins.getattr"),
    "__import__": (Calls(__import__, "os"), "builtins.__import__"),
    "open": (Calls(open, "hit", "w"), "io.open"),
    "subprocess": (Calls(subprocess.Popen, ["touch", "hit"]), "subprocess.Popen"),
    "partial": (Calls(functools.partial, print), "functools.partial"),
    "attrgetter": (Calls(operator.attrgetter, "system"), "operator.attrgetter"),
    "copyreg": (Calls(copyreg._reconstructor, object, object, None), "copyreg._reconstructor"),
    "numpy.load": (Calls(np.load, "hit.npy"), "numpy.load"),
    "numpy.fromfile": (Calls(np.fromfile, "hit"), "fromfile"),
    "numpy.memmap": (Calls(np.memmap, "hit", "f4", "w+"), "numpy.memmap"),
    "numpy.frompyfunc": (Calls(np.frompyfunc, len, 1, 1), "frompyfunc"),
    "nested": ([{"a": (1, [Calls(os.system, "touch hit")])}], "posix.system"),
    "as a key": ({Calls(os.system, "touch hit"): 1}, "posix.system"),
    "bytearray": (Calls(bytearray, 1 << 40), "builtins.bytearray"),
    "range": (range(1 << 60), "builtins.range"),
    "object array": (np.array([None], object), "dtype 'O8'"),
    "structured array": (np.zeros(2, [("a", "f4")]), "dtype 'V4'"),
    "a dtype": (np.dtype("f4"), "hold an object that is no array"),
    "the array class": (np.ndarray, "hold an object that is no array"),
    "another class of arrays": (np.ma.ones(2), "numpy.ma"),
    "state on a function": (SetsOnClass(), "numpy.ndarray"),
    "a pathlib path": (Calls(__import__("pathlib").Path, "hit"), "pathlib"),
}


@pytest.mark.parametrize("protocol", [3, 4])  # protocol 2 has the names of Python 2
@pytest.mark.parametrize(("value", "named"), REFUSED.values(), ids=REFUSED)
def test_whatever_is_no_array_is_refused_by_name(value, named, protocol, tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(value, protocol))
    with pytest.raises(DataError) as error:
        load(path)
    assert str(path) in str(error.value) and named in str(error.value), error.value
    assert "nothing was executed" in error.value.hint
    assert [p.name for p in tmp_path.iterdir()] == ["model.pkl"]


def op(text):
    """A hand-written program: module and name on lines, as protocol 0 has them."""
    return b"\x80\x04" + text


PROGRAMS = {
    "persistent id": op(b"Pevil\n."),
    "binary persistent id": op(b"\x8c\x04evilQ."),
    "extension 1": op(b"\x82\x01."),
    "extension 4": op(b"\x84\x01\x00\x00\x00."),
    "instance opcode": op(b"(Vtouch hit\niposix\nsystem\n."),
    "object opcode": op(b"(cposix\nsystem\nVtouch hit\no."),
    "new object of a stand-in": op(b"cnumpy\nndarray\n)\x81."),
    "dotted name": op(b"\x8c\x05numpy\x8c\x0fndarray.tofile\x93."),
    "state on a stand-in": op(b"cnumpy.core.multiarray\n_reconstruct\n}\x8c\x05_buildNsb."),
    "slots on a stand-in": op(b"cnumpy.core.multiarray\n_reconstruct\nN}\x8c\x06_build\x88s\x86b."),
    "items on a stand-in": op(b"cnumpy\nndarray\n\x8c\x01aNs."),
    "append to a stand-in": op(b"cnumpy\nndarray\nNa."),
    "an encoding that runs code": op(b"c_codecs\nencode\n\x8c\x01a\x8c\x06rot_13\x86R."),
    "an array without state": op(b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R."),
    "a jax array made by a number": op(b"cjax._src.array\n_reconstruct_array\n(K\x01))}tR."),
    "a container within itself": op(b"]\x94h\x00a."),
    "a dtype of text": op(b"cnumpy\ndtype\n\x8c\x14f4, (1000000000,)f4  \x85R."),
    "memo far away": op(b"Nr\xff\xff\xff\x7f."),
    "bytes beyond the file": op(b"\x8e\xff\xff\xff\xff\x00\x00\x00\x00abc."),
    "a frame beyond the file": op(b"\x95\xff\xff\xff\xff\xff\xff\xff\x7fN."),
    "a negative length": op(b"T\xff\xff\xff\xffabc."),
    "an empty stack": op(b"R."),
    "a deep nest": op(b"]" * 20_000 + b"a" * 19_999 + b"."),
    "no end": op(b"N"),
    "more after the end": op(b"N.N."),
    "nothing": b"",
    "text": b"not a pickle at all",
    "protocol 0": b"cposix\nsystem\n(S'touch hit'\ntR.",
    "a zip": b"PK\x03\x04" + bytes(40),
    "protocol 9": b"\x80\x09N.",
}


@pytest.mark.parametrize("data", PROGRAMS.values(), ids=PROGRAMS)
def test_hostile_programs_are_refused(data, tmp_path):
    with pytest.raises(DataError, match=r"^bad.pkl is (refused|no whole pickle)"):
        loads(data, source="bad.pkl")
    assert not list(tmp_path.iterdir())


def test_a_registered_extension_is_refused(monkeypatch):
    code = 240
    copyreg.add_extension("posix", "system", code)
    try:
        with pytest.raises(DataError, match="extension 240"):
            loads(op(b"\x82\xf0."), source="bad.pkl")
    finally:
        copyreg.remove_extension("posix", "system", code)


def _array_program(shape, raw, dtype=b"f4"):
    """A NumPy array whose state says `shape` over `raw` bytes."""
    sizes = b"(" + b"".join(b"\x8a\x08" + struct.pack("<q", n) for n in shape) + b"t"
    kind = (
        b"cnumpy\ndtype\n\x8c"
        + bytes([len(dtype)])
        + dtype
        + b"\x89\x88\x87R(K\x03\x8c\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    made = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
    return op(made + b"(K\x01" + sizes + kind + b"\x89B" + struct.pack("<i", len(raw)) + raw + b"tb.")


def test_shape_and_bytes_must_agree():
    assert loads(_array_program((2, 1), b"\0" * 8), source="x").shape == (2, 1)
    for shape in ((1 << 40,), (1 << 40, 1 << 40), (-1,), (3,), (0,), ()):
        with pytest.raises(DataError, match="array of shape"):
            loads(_array_program(shape, b"\0" * 8), source="x")


def test_memory_stays_within_the_file(tmp_path):
    """The greedy programs above, run in a process that may have 1 GB."""
    resource = pytest.importorskip("resource")
    path = tmp_path / "programs.bin"
    greedy = ("memo far away", "bytes beyond the file", "a frame beyond the file")
    path.write_bytes(pickle.dumps([*(PROGRAMS[name] for name in greedy), _array_program((1 << 40,), b"")]))
    code = (
        "import pickle, resource, sys\n"
        "from sciml.pipelines.errors import DataError\n"
        "from sciml.pipelines.gcm.neural.checkpoint.unpickle import loads\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
        "for program in pickle.load(open(sys.argv[1], 'rb')):\n"
        "    try:\n        loads(program, source='x')\n    except DataError:\n        print('refused')\n"
    )
    assert resource.RLIMIT_AS
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["refused"] * 4, done.stderr


BASE = pickle.dumps({"params": {"linear": {"w": np.ones((2, 3), "f4"), "b": np.zeros(3, "f4")}}, "text": "N = 1"}, 4)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(BASE) - 1), st.integers(0, 255)), max_size=6), st.integers(0, len(BASE)))
def test_damaged_files_never_do_more_than_fail(changes, length):
    data = bytearray(BASE)
    for position, value in changes:
        data[position] = value
    try:
        loads(bytes(data[:length]), source="x")
    except DataError as error:
        assert str(error).startswith("x is ")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=80))
def test_random_programs_never_do_more_than_fail(data):
    try:
        loads(b"\x80\x04" + data + b".", source="x")
    except DataError as error:
        assert str(error).startswith("x is ")


def test_each_truncation_is_named():
    for length in range(len(BASE)):
        with pytest.raises(DataError, match="no whole pickle"):
            loads(BASE[:length], source="x")


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(DataError, match="cannot read .*gone.pkl"):
        load(tmp_path / "gone.pkl")
    with pytest.raises(DataError, match="cannot read"):
        load(tmp_path)


def test_the_mini_checkpoint_is_what_an_open_unpickler_reads(mini, mini_path):
    class Open(pickle.Unpickler):
        def find_class(self, module, name):
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)

    theirs = Open(io.BytesIO(mini_path.read_bytes())).load()
    assert theirs.keys() == mini.keys() and theirs["model_config_str"] == mini["model_config_str"]
    assert theirs["params"].keys() == mini["params"].keys()
    for module, arrays in theirs["params"].items():
        assert arrays.keys() == mini["params"][module].keys()
        for name, array in arrays.items():
            assert same(mini["params"][module][name], np.asarray(array))
