"""WIRE-*: bytes that break a protocol."""

from teleport.base.catalogue import Page

PAGES = {
    "WIRE-TPM": Page(
        what="the TPM says what cannot be: {problem}",
        why="its answers, and the keys in them, must have the shapes of TPM 2.0",
        fix="look whether the chip is one of version 2.0: cat /sys/class/tpm/tpm0/tpm_version_major",
    ),
    "WIRE-SIGV4": Page(
        what="the signed request cannot be read: {problem}",
        why="it must be one whole request of HTTP/1.1, signed for AWS with Signature Version 4",
        fix="use the agent or the tbot of this version",
    ),
    "WIRE-SHORT": Page(
        what="the message ends {missing} bytes too early",
        why="a length inside the message points beyond its end, or the sender stopped in the middle",
        fix="check that both sides speak the same protocol and that nothing between them cuts the connection",
    ),
    "WIRE-TRAILING": Page(
        what="{count} bytes follow the end of the message",
        why="a length inside the message is smaller than its content",
        fix="check that both sides speak the same protocol",
    ),
    "WIRE-RANGE": Page(
        what="{value} does not fit into {bits} bits",
        why="the protocol gives this field a fixed size",
        fix="send a smaller value, or split the message",
    ),
    "WIRE-RECORDING": Page(
        what="not a part of a session recording: {problem}",
        why="the bytes were changed, cut, or are of another kind of file",
        fix="fetch the recording again: tsh recordings download ID; if it says the same, the stored copy is damaged",
    ),
    "WIRE-CHUNK": Page(
        what="not a chunk of a session recording: {problem}",
        why="the bytes were changed, cut, or are of another kind of file",
        fix="compare the file with the one that the node stored; a file that was set aside keeps all it had",
    ),
    "WIRE-SSH": Page(
        what="not SSH as it should be: {problem}",
        why="the bytes break RFC 4253 or 4254, or a message came where it is not allowed",
        fix="compare the versions of both sides; if they are right, something between them changes the connection",
    ),
    "WIRE-TLS-HELLO": Page(
        what="not a TLS ClientHello: {problem}",
        why="the first bytes of the connection break RFC 8446 (or its extensions)",
        fix="connect with a TLS client; plain text and other protocols are not served on this port",
    ),
    "WIRE-TLS-SIZE": Page(
        what="the TLS ClientHello is larger than {limit} bytes or comes in more than {records} records",
        why="the first message of a connection is bounded, because its sender is still unknown",
        fix="offer fewer protocol names and extensions",
    ),
    "WIRE-PROXY-HEADER": Page(
        what="invalid PROXY line: {problem}",
        why="the PROXY header in front of the connection breaks the PROXY protocol specification",
        fix="check the load balancer's PROXY protocol setting, or turn `proxy_protocol` off on both sides",
    ),
    "WIRE-MUX": Page(
        what="not a tunnel as it should be: {problem}",
        why="the other end breaks the protocol, speaks another version, or something between changes the bytes",
        fix="compare the versions of both ends: teleport version",
    ),
    "WIRE-MUX-USE": Page(
        what="{action} is not possible on a stream that is {state}",
        why="a stream of a tunnel was used after its end",
        fix="this is a defect of the program: please report it",
    ),
    "WIRE-MUX-FULL": Page(
        what="the tunnel carries {limit} streams already",
        why="each end of a tunnel opens at most so many at a time",
        fix="close connections that are no longer used, or start a second agent for the same targets",
    ),
    "WIRE-MUX-HEADER": Page(
        what="a stream is opened with {size} bytes of header, where at most {limit} may be",
        why="what is said before a connection is answered is bounded",
        fix="use shorter names",
    ),
    "WIRE-MUX-PINGS": Page(
        what="{limit} pings of this tunnel wait for their answer",
        why="the other end does not answer, or very many ask at the same time",
        fix="wait for the answers; a tunnel that stays silent closes itself",
    ),
    "WIRE-REACH": Page(
        what="not a request to reach a node, or not an answer to one: {problem}",
        why="the bytes do not follow the form that tsh and the proxy of this version speak",
        fix="check that client and proxy are of one version: tsh version",
    ),
    "WIRE-TUNNEL": Page(
        what="not a message of a reverse tunnel: {problem}",
        why="the bytes do not follow the form that agent and proxy of this version speak",
        fix="check that agent and proxy are of one version: teleport version",
    ),
    "WIRE-SFTP": Page(
        what="not SFTP version 3: {problem}",
        why="the bytes break draft-ietf-secsh-filexfer-02, or their sender speaks another version",
        fix="use a client that speaks SFTP version 3, as sftp(1), scp(1) and tsh scp do; a start-up file of the "
        "account that prints something also breaks it",
    ),
    "WIRE-AGENT": Page(
        what="the SSH agent's answer cannot be used: {problem}",
        why="what listens at SSH_AUTH_SOCK does not do what was asked, or is no agent",
        fix="`ssh-add -l` shows whether the agent works; unset SSH_AUTH_SOCK to go without one",
    ),
    "WIRE-SOCKS": Page(
        what="not a request of SOCKS 5, 4 or 4a that can be served: {problem}",
        why="the program at the forwarded port must ask for a connection (CONNECT), without a password",
        fix="set the program to use a SOCKS 5 proxy without authentication",
    ),
    "WIRE-HTTP": Page(
        what="not an answer of HTTP/1.1: {problem}",
        why="what listens there is no HTTP server, or damages what it sends",
        fix="check the address and the port",
    ),
    "WIRE-FRAMES": Page(
        what="a message of an upgraded connection is damaged: {problem}",
        why="something on the way changes the data, or the other side does not speak this protocol",
        fix="try again; if it stays, look at the load balancers on the way",
    ),
    "WIRE-WEBSOCKET": Page(
        what="a WebSocket frame breaks the protocol: {problem}",
        why="something on the way changes the data, or the other side does not speak WebSocket (RFC 6455)",
        fix="try again; if it stays, look at the load balancers on the way",
    ),
    "WIRE-UPGRADE": Page(
        what="a connection upgrade is not as it must be: {problem}",
        why="something on the way changes the header fields, or answers in the place of the other side",
        fix="look at the load balancers on the way: they must pass on WebSocket upgrades as they are",
    ),
    "WIRE-RESUME": Page(
        what="not a connection that can be resumed as it should be: {problem}",
        why="the two sides of a connection that outlives its carrier have counted its bytes otherwise",
        fix="connect again; compare the versions of tsh and of the node, or switch it off: tsh ssh --no-resume",
    ),
    "WIRE-X11": Page(
        what="a program that wants the X11 display breaks the protocol: {problem}",
        why="what it sent first is no connection setup of the X Window System protocol",
        fix="connect to the port of a display with X11 programs alone",
    ),
}
