"""What a command that must start at once takes in place of `typing`, `contextlib`, `datetime`, `ssl` and others.

Importing those takes longer than the whole command may: `typing` alone brings `re`, `enum` and `functools`, and `ssl`
brings `socket` and more enums. Type checkers see the real ones here. At run time there are the C halves of the standard
library, on which its Python halves stand, and a few small classes. Modules on the way of `tsh ssh` import from here,
and a test keeps them to it (`tests/unit/client/test_holder_call.py`). Docs: docs/adr/0016-lean-start.md.
"""

from __future__ import annotations

__all__ = [
    "TYPE_CHECKING", "Callable", "Container", "Iterable", "Iterator", "Mapping", "NamedTuple", "Protocol", "Sequence",
    "contextmanager", "deque", "dt", "partial", "ssl", "suppress",
]  # fmt: skip

TYPE_CHECKING = False
if TYPE_CHECKING:
    import datetime as dt
    import ssl
    from collections import deque
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
    from contextlib import contextmanager, suppress
    from functools import partial
    from typing import NamedTuple, Protocol
else:
    from _collections_abc import Callable, Container, Iterable, Iterator, Mapping, Sequence

    try:
        import _datetime as dt
        from _collections import deque
        from _functools import partial
        from _operator import itemgetter
    except ImportError:  # not CPython, or one without C halves
        import datetime as dt
        from collections import deque
        from functools import partial
        from operator import itemgetter

    class Protocol:
        """Base of classes that say what others must have. Checkers alone look at it."""

        def __class_getitem__(cls, parameters):
            return cls

    class _Fields(type):
        """Turns the annotations of a direct subclass of NamedTuple into fields."""

        def __new__(meta, name, bases, space):
            if not any(type(base) is _Fields and not base._fields for base in bases):
                return super().__new__(meta, name, bases, space)
            fields = tuple(space.get("__annotations__", ()))
            defaults = {field: space.pop(field) for field in fields if field in space}
            getters = {field: property(itemgetter(number)) for number, field in enumerate(fields)}
            facts = {"_fields": fields, "_field_defaults": defaults, "__match_args__": fields, "__slots__": ()}
            return super().__new__(meta, name, bases, {**space, **getters, **facts})

    class NamedTuple(tuple, metaclass=_Fields):
        """A tuple with named fields, made like `typing.NamedTuple`, in a tenth of its time."""

        __slots__ = ()
        _fields = ()

        def __new__(cls, *values, **named):
            fields = cls._fields
            if named or len(values) != len(fields):
                values += tuple(_rest(cls, fields[len(values) :], named, len(values)))
            return tuple.__new__(cls, values)

        @classmethod
        def _make(cls, values):
            return cls(*values)

        def _replace(self, /, **named):
            return type(self)(**{**self._asdict(), **named})

        def _asdict(self):
            return dict(zip(self._fields, self, strict=True))

        def __repr__(self):
            return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._asdict().items())})"

        def __getnewargs__(self):
            return tuple(self)

    def _rest(cls, missing, named, given):
        """Return the values of fields that were not given by place. Raises TypeError."""
        if given > len(cls._fields):
            raise TypeError(f"{cls.__name__} takes {len(cls._fields)} values, not {given}")
        values = {**cls._field_defaults, **named}
        lacking = [field for field in missing if field not in values]
        surplus = [name for name in named if name not in missing]
        if lacking or surplus:
            raise TypeError(f"{cls.__name__} lacks or cannot take {', '.join(lacking or surplus)}")
        return [values[field] for field in missing]

    class suppress:  # noqa: N801 - named like the one it stands for
        """As `contextlib.suppress`."""

        def __init__(self, *kinds):
            self._kinds = kinds

        def __enter__(self):
            return None

        def __exit__(self, kind, error, trace):
            return kind is not None and issubclass(kind, self._kinds)

    class _Block:
        """What a function with `contextmanager` returns."""

        def __init__(self, steps):
            self._steps = steps

        def __enter__(self):
            return next(self._steps)

        def __exit__(self, kind, error, trace):
            if kind is None:
                return next(self._steps, None)
            try:
                self._steps.throw(error)
            except StopIteration as end:
                return end is not error
            except BaseException as raised:
                if raised is error or (kind is StopIteration and raised.__cause__ is error):  # PEP 479
                    return False
                raise
            raise RuntimeError("the block goes on after an error")

    def contextmanager(function):
        """As `contextlib.contextmanager`, for `with` alone."""

        def begin(*values, **named):
            return _Block(function(*values, **named))

        begin.__name__, begin.__doc__, begin.__wrapped__ = function.__name__, function.__doc__, function
        return begin

    def __getattr__(name):
        """Return the C half of `ssl`, which only those load who ask for it."""
        if name != "ssl":
            raise AttributeError(name)
        try:
            import _ssl as found
        except ImportError:
            import ssl as found
        return found
