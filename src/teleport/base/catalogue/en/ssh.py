"""SSH-*: the SSH Service of a node, its connections, its commands and the spawner that starts them."""

from teleport.base.catalogue import Page

PAGES = {
    "SSH-HOST-KEY": Page(
        what="the host key of the SSH Service cannot be used: {problem}",
        why="the service proves itself with a private key and a host certificate for it",
        fix="remove the host's identity from the data directory and join the cluster again",
    ),
    "SSH-NOT-SUPPORTED": Page(
        what="{thing} is not supported by this node",
        why="this node runs commands and shells, and nothing else yet",
        fix="run a command or a shell: `ssh <login>@<host> [<command>]`",
    ),
    "SSH-PLACE": Page(
        what="{place} is no address to forward to or from",
        why="{problem}",
        fix="correct the address in -L, -R, -D or -W",
    ),
    "SSH-CLIENT-REFUSED": Page(
        what="the client did not open a channel of the kind {kind}: {reason}",
        why="what was accepted on this node for the client has nowhere to go",
        fix="look at the client's own forwarding options",
    ),
    "SSH-LIMIT-CHANNELS": Page(
        what="no more channels on this connection",
        why="{limit} channels are open, which is as many as one connection may have",
        fix="wait until some have ended, or open another connection",
    ),
    "SSH-LIMIT-LISTENERS": Page(
        what="nothing more listens for this connection",
        why="{limit} listeners are open, which is as many as one connection may have",
        fix="close some, or open another connection",
    ),
    "SSH-LIMIT-SESSIONS": Page(
        what="no more sessions on this connection",
        why="your roles allow {limit} at one time (max_sessions)",
        fix="wait until some have ended, or open another connection",
    ),
    "SSH-ENDED": Page(
        what="the node is ending this connection: {reason}",
        why="the service has cut it, and nothing new starts on it",
        fix="connect again, when the reason is gone",
    ),
    "SSH-COMMAND": Page(
        what="the command cannot be run",
        why="a command has at least one byte, at most {limit}, and no NUL",
        fix="pass long input on standard input instead of in the command",
    ),
    "SSH-UNKNOWN-USER": Page(
        what="there is no account {login!r} on this node",
        why="the login is allowed by your roles, but the operating system does not know it",
        fix="create the account on the node, or use another login",
    ),
    "SSH-NOT-ROOT": Page(
        what="this node cannot start commands as {login!r}",
        why="its SSH Service runs as {own!r}, not as root, and so can act for {own!r} alone",
        fix="log in as {own!r}, or run the service as root",
    ),
    "SSH-ACCOUNT-EXPIRED": Page(
        what="the account {login!r} expired on {day}",
        why="the operating system of the node says so (shadow, field 8)",
        fix="ask the administrator of the node to extend it: `chage -E -1 {login}`",
    ),
    "SSH-ACCOUNT-NOLOGIN": Page(
        what="the account {login!r} is not for logging in",
        why="its shell is {shell}",
        fix="use another login, or give the account a shell: `chsh -s /bin/sh {login}`",
    ),
    "SSH-NOLOGIN": Page(
        what="the node is closed for everybody but root: {message}",
        why="the file {path} exists",
        fix="wait until the administrator of the node removes it",
    ),
    "SSH-SHELL": Page(
        what="the shell {shell} of the account {login!r} cannot be run",
        why="it does not exist, is not executable, or has no absolute path",
        fix="install it, or give the account another: `chsh -s /bin/sh {login}`",
    ),
    "SSH-SPAWN": Page(
        what="the command was not started: {problem}",
        why="the operating system refused a step on the way from the service to the login's shell",
        fix="look at the limits of processes and open files on the node",
    ),
    "SSH-SPAWN-MESSAGE": Page(
        what="a message between the SSH Service and its spawner is not valid: {problem}",
        why="the two are not of one version, or one of them is not what it says",
        fix="restart the node",
    ),
    "SSH-SPAWNER-GONE": Page(
        what="the node cannot start commands: the spawner is gone ({problem})",
        why="commands are started by a process of their own, which has ended",
        fix="restart the node; its log says why the process ended",
    ),
    "SSH-INTERNAL": Page(
        what="the node failed to handle the request",
        why="an unexpected condition; its log has the details",
        fix="try again; if it stays, look at the log of the node",
    ),
}
