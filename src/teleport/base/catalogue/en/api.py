"""API-*: calls between programs."""

from teleport.base.catalogue import Page

PAGES = {
    "API-REMOTE": Page(
        what="the server refused the call with code {remote_code}: {message}",
        why="this client is older than the server and does not know that code",
        fix="update this client to the server's version",
    ),
    "API-INTERNAL": Page(
        what="the server failed to answer the call",
        why="an unexpected condition on the server; its log has the details under the same id",
        fix="try again; if it stays, look for the id in the server's log",
    ),
    "API-STATUS": Page(
        what="the server refused the call with gRPC status {status}: {message}",
        why="something between this client and the Auth Service, or a server of another kind, answered",
        fix="check that the address leads to the Auth Service of the cluster",
    ),
    "API-NO-AUDIENCE": Page(
        what="method {method} does not say who may call it",
        why="a method without an audience would be open or dead; the server refuses to start with it",
        fix="name the audience where the method is declared",
    ),
    "API-NO-CERTIFICATE": Page(
        what="this call needs a certificate of the cluster",
        why="the connection did not prove who is calling",
        fix="sign in with `tsh login`, or pass `-i <identity file>`",
    ),
    "API-EXPIRED": Page(
        what="the certificate of {name} has expired at {expired}",
        why="certificates are short-lived, and a connection does not outlive the one that opened it",
        fix="sign in again with `tsh login`",
    ),
    "API-AUDIENCE": Page(
        what="auth API: access denied [00]",
        why="{method} may not be called as {caller}",
        fix="use a command or a certificate made for this purpose",
    ),
    "API-SOCKET-PEER": Page(
        what="the admin socket refuses user id {uid}",
        why="only root and the owner of the data directory (user id {owner}) administer the cluster without signing in",
        fix="run the command as that user, or sign in with `tsh login` and use your own rights",
    ),
    "API-TOO-LARGE": Page(
        what="a message of {size} bytes is over the limit of {limit} bytes",
        why="messages are bounded so that no caller can fill the server's memory",
        fix="send fewer or smaller documents at a time",
    ),
    "API-COMPRESSED": Page(
        what="compressed messages are not accepted",
        why="a small message could unpack to a very large one",
        fix="turn compression off in the client",
    ),
    "API-JOIN-PROOF": Page(
        what="a proof of a join method cannot be read: {problem}",
        why="each join method has documents of its own (JSON)",
        fix="use the agent or the tbot of this version",
    ),
    "API-JOIN-STEP": Page(
        what="a conversation of joining is out of step: {step} came in place of {wanted}",
        why="it has an order: init, start, then a solution for each challenge",
        fix="use the agent or the tbot of this version",
    ),
    "API-MESSAGE": Page(
        what="the message cannot be read: {problem}",
        why="it is not a complete protobuf message of this method",
        fix="use a client that is built from the published .proto files of this version",
    ),
    "API-DOCUMENT": Page(
        what="the document cannot be read: {problem}",
        why="a document is one JSON object",
        fix="use a client of this version",
    ),
    "API-DEADLINE": Page(
        what="{method} did not finish within {seconds} seconds",
        why="the server or the connection to it is slow or busy",
        fix="try again; if it stays, look at `tctl status` and the server's log",
    ),
    "API-UNAVAILABLE": Page(
        what="the Auth Service does not answer: {problem}",
        why="it is not running, not reachable, or the connection was cut",
        fix="check that `teleport start` runs on the auth host and that the address is right",
    ),
    "API-SLOW-READER": Page(
        what="{method} was ended: its caller did not read for {seconds} seconds",
        why="messages that nobody fetches would fill the server's memory",
        fix="read faster, or ask for less; a watch begins anew with a fresh list",
    ),
    "API-CERT-EXPIRED": Page(
        what="remote error: tls: bad certificate",
        why="the client's certificate has expired by the clock of the Auth Service: {reason}",
        fix="sign in again with `tsh login`; if the certificate is fresh, check the clocks on both sides",
    ),
    "API-CERT-UNKNOWN-CA": Page(
        what="remote error: tls: unknown certificate authority",
        why="the client's certificate is of another cluster, or older than this cluster's authority: {reason}",
        fix="sign in to this cluster: `tsh login --proxy=<its address>`",
    ),
    "API-CERT-BAD": Page(
        what="remote error: tls: bad certificate",
        why="the client's certificate is damaged, not valid yet, or made for another use: {reason}",
        fix="sign in again with `tsh login`; check the clocks on both sides",
    ),
    "API-CONNECTIONS": Page(
        what="{name} has {limit} connections to the Auth Service already",
        why="connections are bounded, so that no caller can take them all",
        fix="close some, or use one connection for many calls",
    ),
}
