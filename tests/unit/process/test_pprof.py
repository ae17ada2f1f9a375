"""The pprof format, read back by the protobuf library with the published field numbers."""

import gzip

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from teleport.process.pprof import Profile, Sample, encode
from teleport.process.stacks import Frame

U64, I64, STRING, MESSAGE = 4, 3, 9, 11
SHAPES = {
    "ValueType": [("type", 1, I64), ("unit", 2, I64)],
    "Label": [("key", 1, I64), ("str", 2, I64)],
    "Sample": [("location_id", 1, U64, 3), ("value", 2, I64, 3), ("label", 3, MESSAGE, 3, "Label")],
    "Line": [("function_id", 1, U64), ("line", 2, I64)],
    "Location": [("id", 1, U64), ("line", 4, MESSAGE, 3, "Line")],
    "Function": [("id", 1, U64), ("name", 2, I64), ("system_name", 3, I64), ("filename", 4, I64)],
    "Profile": [
        ("sample_type", 1, MESSAGE, 3, "ValueType"), ("sample", 2, MESSAGE, 3, "Sample"),
        ("location", 4, MESSAGE, 3, "Location"), ("function", 5, MESSAGE, 3, "Function"),
        ("string_table", 6, STRING, 3), ("time_nanos", 9, I64), ("duration_nanos", 10, I64),
        ("period_type", 11, MESSAGE, 1, "ValueType"), ("period", 12, I64), ("comment", 13, I64, 3),
    ],
}  # fmt: skip


def message_class():
    file = descriptor_pb2.FileDescriptorProto(name="pprof_test.proto", package="perftools", syntax="proto3")
    for name, fields in SHAPES.items():
        message = file.message_type.add(name=name)
        for field_name, number, kind, *more in fields:
            field = message.field.add(name=field_name, number=number, type=kind, label=more[0] if more else 1)
            if len(more) == 2:
                field.type_name = f".perftools.{more[1]}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("perftools.Profile"))


def decoded(data):
    """Return a profile as plain data: stacks as lists of (function, file, line)."""
    message = message_class()()
    message.ParseFromString(gzip.decompress(data))
    strings = list(message.string_table)
    assert strings[0] == ""
    functions = {f.id: (strings[f.name], strings[f.filename]) for f in message.function}
    places = {at.id: (*functions[at.line[0].function_id], at.line[0].line) for at in message.location}
    return {
        "types": [(strings[t.type], strings[t.unit]) for t in message.sample_type],
        "samples": [
            ([places[i] for i in s.location_id], list(s.value), {strings[x.key]: strings[x.str] for x in s.label})
            for s in message.sample
        ],
        "time": message.time_nanos,
        "duration": message.duration_nanos,
        "period": (strings[message.period_type.type], strings[message.period_type.unit], message.period),
        "comments": [strings[number] for number in message.comment],
    }


def test_another_reader_finds_what_was_written():
    inner, outer = Frame("a.b:C.f", "/src/b.py", 300), Frame("a.b:main", "/src/b.py", 2)
    profile = Profile(
        (("samples", "count"), ("cpu", "nanoseconds")),
        [Sample((inner, outer), (3, 30_000_000), (("thread", "one"),)), Sample((outer,), (1, 1 << 40))],
        time_nanos=1_700_000_000_000_000_000, duration_nanos=5, period=10_000_000, comment="hello",
    )  # fmt: skip
    assert decoded(encode(profile)) == {
        "types": [("samples", "count"), ("cpu", "nanoseconds")],
        "samples": [
            ([("a.b.C.f", "/src/b.py", 300), ("a.b.main", "/src/b.py", 2)], [3, 30_000_000], {"thread": "one"}),
            ([("a.b.main", "/src/b.py", 2)], [1, 1 << 40], {}),
        ],
        "time": 1_700_000_000_000_000_000,
        "duration": 5,
        "period": ("cpu", "nanoseconds", 10_000_000),
        "comments": ["hello"],
    }


def test_nothing_measured_is_a_profile_too():
    assert decoded(encode(Profile((("n", "count"),), [])))["samples"] == []
