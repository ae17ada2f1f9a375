"""MUX-*: the service ssh-multiplexer of tbot."""

from teleport.base.catalogue import Page

PAGES = {
    "MUX-NOT-READY": Page(
        what="the bot has no certificates for this yet",
        why="its first renewal has not ended, or failed",
        fix="try again in a moment; `tbot wait` tells when it is ready, and its log why it is not",
    ),
    "MUX-SOCKET": Page(
        what="no socket can be made at {path}: {problem}",
        why="the multiplexer serves its clients on sockets in its destination",
        fix="see that the folder is on a local file system, and that the bot may write there",
    ),
    "MUX-SOCKET-TAKEN": Page(
        what="somebody serves {path} already",
        why="two bots must not share a destination",
        fix="stop the other one, or give each its own destination",
    ),
    "MUX-TARGET": Page(
        what="a client of the multiplexer does not say where it wants to go: {problem}",
        why="a connection to v1.sock begins with host:port and a NUL byte, within ten seconds",
        fix="use the ssh_config beside the socket, or tbot ssh-multiplexer-proxy-command SOCKET HOST:PORT",
    ),
    "MUX-TEMPLATES": Page(
        what="rule {number} of the proxy templates in {path} has `{field}`, which is not acted on",
        why="the multiplexer reaches every node through its bot's proxy, and by its name; a rule may say `host` and "
        "`cluster`",
        fix="leave `{field}` out",
    ),
}
