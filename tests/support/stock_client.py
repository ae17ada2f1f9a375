"""A program that knows nothing of this project but its .proto files: grpcio, stubs made by protoc, TLS files.

    stock_client.py STUBS PORT AUTHORITIES STORY [CERTIFICATE KEY]

Prints what the story saw as one JSON document. STUBS is a folder with the output of protoc; the package in it is
called `teleport` and takes the place of ours.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

sys.path.insert(0, sys.argv[1])

import grpc
from google.protobuf import empty_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpclib.reflection.v1 import reflection_pb2 as v1
from grpclib.reflection.v1alpha import reflection_pb2 as v1alpha
from teleport.v1 import audit_pb2_grpc, resources_pb2, resources_pb2_grpc, status_pb2_grpc, users_pb2, users_pb2_grpc

PATIENCE = 20


def refusal(call: Any) -> list[str]:
    """Return status and message of a call that must fail."""
    try:
        call()
    except grpc.RpcError as error:
        return [error.code().name, error.details()]
    return ["OK", ""]


def list_and_watch(channel: grpc.Channel) -> Any:
    """List nodes by label, watch them, change one."""
    stub = resources_pb2_grpc.ResourcesStub(channel)
    listed = stub.List(resources_pb2.ListRequest(kind="node", labels={"env": "dev"}), timeout=PATIENCE)
    changes = stub.Watch(resources_pb2.WatchRequest(kinds=["node"]))
    kinds = [next(changes).type]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    kinds += [next(changes).type for _ in range(2)]
    changes.cancel()
    page = stub.List(resources_pb2.ListRequest(kind="role", limit=1), timeout=PATIENCE)
    role = stub.Get(resources_pb2.GetRequest(kind="role", name="access"), timeout=PATIENCE)
    return {
        "nodes": [json.loads(found.json)["spec"]["hostname"] for found in listed.documents],
        "changes": kinds,
        "page": [len(page.documents), bool(page.next)],
        "role": json.loads(role.json)["kind"],
        "missing": refusal(lambda: stub.Get(resources_pb2.GetRequest(kind="node", name="x"), timeout=PATIENCE)),
        "conflict": refusal(lambda: conflict(stub)),
    }


def conflict(stub: Any) -> None:
    """Update the same revision twice."""
    request = resources_pb2.GetRequest(kind="role", name="dev")
    role = stub.Get(request, timeout=PATIENCE)
    for _ in range(2):
        stub.Update(resources_pb2.WriteRequest(document=role), timeout=PATIENCE)


def reflect(channel: grpc.Channel) -> Any:
    """Ask both versions of reflection, on one stream each."""
    found = {}
    for messages, package in ((v1, "grpc.reflection.v1"), (v1alpha, "grpc.reflection.v1alpha")):
        call = channel.stream_stream(
            f"/{package}.ServerReflection/ServerReflectionInfo",
            request_serializer=messages.ServerReflectionRequest.SerializeToString,
            response_deserializer=messages.ServerReflectionResponse.FromString,
        )
        questions = [
            messages.ServerReflectionRequest(list_services=""),
            messages.ServerReflectionRequest(file_containing_symbol="teleport.v1.Resources"),
        ]
        services, file = call(iter(questions), timeout=PATIENCE)
        (data,) = file.file_descriptor_response.file_descriptor_proto
        names = [service.name for service in services.list_services_response.service]
        found[package] = [names, FileDescriptorProto.FromString(data).name]
    return found


def knock(channel: grpc.Channel) -> Any:
    """Try what is open, what is for people, and reflection."""
    ping = status_pb2_grpc.StatusStub(channel).Ping
    user = users_pb2.InviteRequest(user="alice")
    return {
        "ping": refusal(lambda: ping(empty_pb2.Empty(), timeout=PATIENCE)),
        "invite": refusal(lambda: users_pb2_grpc.UsersStub(channel).CreateInvite(user, timeout=PATIENCE)),
        "verify": refusal(lambda: audit_pb2_grpc.AuditStub(channel).Verify(empty_pb2.Empty(), timeout=PATIENCE)),
        "reflect": refusal(lambda: reflect(channel)),
    }


def many(channel: grpc.Channel) -> Any:
    """Keep more calls under way than the server takes at a time, and send a message that is too large."""
    ping = status_pb2_grpc.StatusStub(channel).Ping
    ended = threading.Semaphore(0)
    calls = [ping.future(empty_pb2.Empty(), timeout=PATIENCE) for _ in range(500)]
    for call in calls:
        call.add_done_callback(lambda _: ended.release())
    for _ in calls:
        ended.acquire()
    stub = resources_pb2_grpc.ResourcesStub(channel)
    large = resources_pb2.WriteRequest(document=resources_pb2.Document(kind="role", json=b" " * 5_000_000))
    return {
        "answered": sum(call.code() is grpc.StatusCode.OK for call in calls),
        "large": refusal(lambda: stub.Create(large, timeout=PATIENCE)),
        "headers": refusal(lambda: ping(empty_pb2.Empty(), timeout=PATIENCE, metadata=[("x", "y" * 100_000)])),
        "after": next(filter(["OK", ""].__eq__, (refusal(lambda: again(ping)) for _ in range(5))), None),
    }


def again(call: Any) -> None:
    """Call once more. A connection that the server is cutting off may still be offered to the first of them."""
    call(empty_pb2.Empty(), timeout=PATIENCE, wait_for_ready=True)


def main() -> None:
    """Run one story over one channel."""
    port, authorities, story, *pair = sys.argv[2:]
    roots = Path(authorities).read_bytes()
    if pair:
        certificate, key = (Path(name).read_bytes() for name in pair)
        credentials = grpc.ssl_channel_credentials(roots, key, certificate)
    else:
        credentials = grpc.ssl_channel_credentials(roots)
    options = [("grpc.ssl_target_name_override", "teleport.cluster.local"), ("grpc.enable_http_proxy", 0)]
    with grpc.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
        sys.stdout.write(json.dumps(globals()[story](channel)))


main()
