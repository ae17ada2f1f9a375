"""Stand-ins for a quick start: they do what the modules do that they stand for."""

from __future__ import annotations

import contextlib
import copy
import datetime
import pickle
import ssl
import subprocess
import sys
import typing

import pytest

from teleport.base import lean


class Light(lean.NamedTuple):
    """Documented."""

    host: str
    port: int = 22
    names: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        return f"{self.host}:{self.port}"


class Heavy(typing.NamedTuple):
    host: str
    port: int = 22
    names: tuple[str, ...] = ()


class Named(Light):
    """A subclass has the fields of its base, and a class attribute is none."""

    kind: str = "named"


BOTH = pytest.mark.parametrize("made", [Light, Heavy])


@BOTH
def test_a_named_tuple(made):
    one = made("a", names=("b",))
    assert one == ("a", 22, ("b",)) == tuple(one)
    assert (one.host, one.port, one.names) == tuple(one)
    assert (
        one._replace(port=1)
        == made("a", 1, ("b",))
        == made(port=1, host="a", names=("b",))
        == made._make(("a", 1, ("b",)))
    )
    assert one._asdict() == {"host": "a", "port": 22, "names": ("b",)}
    assert made._fields == made.__match_args__ == ("host", "port", "names")
    assert made._field_defaults == {"port": 22, "names": ()}
    assert repr(one) == f"{made.__name__}(host='a', port=22, names=('b',))"
    assert isinstance(one._replace(port=1), made)
    assert hash(one) == hash(tuple(one))
    for again in (copy.copy(one), copy.deepcopy(one), pickle.loads(pickle.dumps(one))):  # noqa: S301 - our own
        assert again == one
        assert type(again) is made
    match one:
        case made(host, port):
            assert (host, port) == ("a", 22)


@BOTH
@pytest.mark.parametrize(
    ("values", "named"),
    [((), {}), (("a", 1, (), 4), {}), (("a",), {"host": "b"}), (("a",), {"other": 1}), ((), {"port": 1})],
)
def test_values_that_a_named_tuple_refuses(made, values, named):
    with pytest.raises(TypeError):
        made(*values, **named)


@BOTH
def test_a_named_tuple_does_not_change(made):
    one = made("a")
    with pytest.raises(AttributeError):
        one.port = 1
    with pytest.raises(AttributeError):
        one.other = 1


def test_what_a_class_of_a_named_tuple_has_beside_its_fields():
    assert Light("a").shown == "a:22"
    assert Light.__doc__ == "Documented."
    assert Named("a").kind == "named"
    assert Named("a", 1) == ("a", 1, ())


def test_a_protocol_is_a_class_like_any_other():
    class Speaker(lean.Protocol):
        def speak(self) -> str: ...

    class Loud(Speaker):
        def speak(self) -> str:
            return "hey"

    assert Loud().speak() == "hey"
    assert lean.Protocol[int] is lean.Protocol


def managers():
    return pytest.mark.parametrize("manager", [lean.contextmanager, contextlib.contextmanager])


@managers()
def test_a_block(manager):
    told = []

    @manager
    def block(name):
        """Do it."""
        told.append(f"begin {name}")
        try:
            yield name
        except KeyError:
            told.append("caught")
        except ValueError as error:
            raise OSError("another") from error
        finally:
            told.append("end")

    with block("a") as got:
        assert got == "a"
    with block("b"):
        raise KeyError("swallowed")
    with pytest.raises(OSError, match="another"), block("c"):
        raise ValueError
    with pytest.raises(ZeroDivisionError), block("d"):
        raise ZeroDivisionError
    with pytest.raises(StopIteration), block("e"):
        raise StopIteration
    assert told == [
        "begin a",
        "end",
        "begin b",
        "caught",
        "end",
        *["begin c", "end"],
        *["begin d", "end"],
        "begin e",
        "end",
    ]
    assert (block.__name__, block.__doc__) == ("block", "Do it.")


@managers()
def test_a_block_that_goes_on(manager):
    @manager
    def block():
        with contextlib.suppress(ValueError):
            yield
        yield

    with pytest.raises(RuntimeError), block():
        raise ValueError


def test_suppress():
    with lean.suppress(ValueError, OSError):
        raise FileNotFoundError
    with pytest.raises(KeyError), lean.suppress(ValueError):
        raise KeyError
    with lean.suppress():
        pass


def test_times_are_those_of_everybody():
    assert lean.dt.datetime is datetime.datetime
    assert lean.dt.UTC is datetime.UTC


def test_errors_of_tls_are_those_of_everybody():
    assert lean.ssl.SSLError is ssl.SSLError
    assert lean.ssl.MemoryBIO is ssl.MemoryBIO
    with pytest.raises(AttributeError):
        _ = lean.other


def test_nothing_heavy_comes_along():
    code = "import sys; import teleport.base.lean; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-ISc", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert not {"typing", "collections", "functools", "contextlib", "re", "enum", "datetime", "ssl", "_ssl"} & set(
        done.stdout.split()
    )


@pytest.mark.parametrize("missing", ["_datetime", "_ssl"])
def test_without_the_halves_in_c(missing):
    code = (
        f"import sys; sys.modules[{missing!r}] = None; sys.path[:0] = {sys.path!r}\n"
        "if sys.argv[1] == '_ssl': import types; sys.modules['ssl'] = types.ModuleType('ssl')\n"
        "from teleport.base import lean; print(lean.dt.datetime(2000, 1, 1), lean.deque([1]), lean.ssl.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code, missing], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("2000-01-01 00:00:00 deque([1]) ")
