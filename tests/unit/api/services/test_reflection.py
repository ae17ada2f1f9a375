"""Reflection shows the published files and what they need, in both versions, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.empty_pb2 import Empty
from grpclib.reflection.v1 import reflection_pb2 as v1
from grpclib.reflection.v1alpha import reflection_pb2 as v1alpha

from teleport.api import rpc
from teleport.api.caller import EVERYONE, NOBODY, Caller
from teleport.api.pb import resources_pb2, status_pb2
from teleport.api.services import reflection

SERVED = [
    rpc.Method(rpc.call("Status", "Ping", Empty, status_pb2.PingReply), EVERYONE, lambda *_: None),
    rpc.Method(
        rpc.call("Resources", "Get", resources_pb2.GetRequest, resources_pb2.Document), EVERYONE, lambda *_: None
    ),
]  # fmt: skip


def ask(messages: Any, **fields: Any) -> Any:
    """Return the answer to one question."""
    package = messages.DESCRIPTOR.package
    (method,) = [m for m in reflection.methods(SERVED) if m.call.path.startswith(f"/{package}.")]

    async def questions() -> AsyncIterator[Any]:
        yield messages.ServerReflectionRequest(**fields)

    async def body() -> list[Any]:
        return [reply async for reply in method.run(Caller(None), questions())]

    (reply,) = asyncio.run(body())
    assert isinstance(reply, messages.ServerReflectionResponse)
    return reply


@pytest.mark.parametrize("messages", [v1, v1alpha], ids=["v1", "v1alpha"])
def test_services_are_listed_and_described(messages: Any) -> None:
    services = ask(messages, list_services="").list_services_response.service
    assert [service.name for service in services] == ["teleport.v1.Resources", "teleport.v1.Status"]
    pool, wanted = DescriptorPool(), ["teleport/v1/resources.proto"]
    found: dict[str, FileDescriptorProto] = {}
    while wanted:
        (data,) = ask(messages, file_by_filename=wanted.pop()).file_descriptor_response.file_descriptor_proto
        file = FileDescriptorProto.FromString(data)
        found[file.name] = file
        wanted += [name for name in file.dependency if name not in found]
    for name in reversed(list(found)):
        pool.Add(found[name])
    described = pool.FindServiceByName("teleport.v1.Resources")
    assert described.methods_by_name["Watch"].server_streaming


@pytest.mark.parametrize("messages", [v1, v1alpha], ids=["v1", "v1alpha"])
def test_a_symbol_leads_to_its_file(messages: Any) -> None:
    reply = ask(messages, file_containing_symbol="teleport.v1.Status.Ping", host="h")
    (data,) = reply.file_descriptor_response.file_descriptor_proto
    assert FileDescriptorProto.FromString(data).name == "teleport/v1/status.proto"
    assert (reply.valid_host, reply.original_request.host) == ("h", "h")


@pytest.mark.parametrize(
    ("question", "code"),
    [
        ({"file_by_filename": "teleport/v1/users.proto"}, 5),
        ({"file_by_filename": "../../etc/passwd"}, 5),
        ({"file_containing_symbol": "teleport.v1.Users"}, 5),
        ({"file_containing_symbol": "grpc.reflection.v1.ServerReflection"}, 5),
        ({"file_containing_symbol": "no.such.Thing"}, 5),
        ({"all_extension_numbers_of_type": "teleport.v1.Document"}, 5),
        ({}, 3),
    ],
)
def test_nothing_else_is_shown(question: dict[str, str], code: int) -> None:
    assert ask(v1, **question).error_response.error_code == code


def test_it_is_for_callers_with_a_certificate() -> None:
    for method in reflection.methods(SERVED):
        assert method.audience == EVERYONE
        assert NOBODY not in method.audience
