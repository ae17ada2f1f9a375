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
        why="a node has commands, shells, SFTP, forwarding of ports, of the agent and of X11, and nothing else",
        fix="leave it out of the client's options",
    ),
    "SSH-RESUME-EARLY": Page(
        what="a connection on which nobody has signed in is not resumed",
        why="whoever comes back has to prove that they are the one who signed in",
        fix="connect again",
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
    "SSH-HOST-USER": Page(
        what="the account {login!r} is not made: {problem}",
        why="the node makes accounts as root, so names, numbers and lines for sudo have to be of a plain form",
        fix="correct the login, or host_groups, host_sudoers, host_user_uid and host_user_gid of the role and user",
    ),
    "SSH-HOST-USER-CLOSED": Page(
        what="this node makes no accounts",
        why="its spawner was told so when it started (ssh_service.disable_create_host_user), and keeps to it",
        fix="set `disable_create_host_user: no` in teleport.yaml and restart the node, or make the account by hand",
    ),
    "SSH-HOST-USER-TOOL": Page(
        what="an account of this node could not be made or removed: {tool}: {problem}",
        why="the node uses useradd, usermod, userdel, groupadd and visudo, as root, for logins that roles let it make",
        fix="install what is missing (packages passwd and sudo), or do by hand what the tool could not do",
    ),
    "SSH-LIMIT-LISTENERS": Page(
        what="nothing more listens for this connection",
        why="{limit} listeners are open, which is as many as one connection may have",
        fix="close some, or open another connection",
    ),
    "SSH-BPF-RIGHTS": Page(
        what="enhanced recording needs root",
        why="only root may put a program into the kernel and make control groups; this service runs as another user",
        fix="run the service as root, or set ssh_service.enhanced_recording.enabled to no",
    ),
    "SSH-BPF-TOOL": Page(
        what="enhanced recording needs {tool}, which is not installed",
        why="programs in the kernel are compiled and put there by bpftrace, in a mount namespace of its own",
        fix="install the packages bpftrace and util-linux",
    ),
    "SSH-BPF-CGROUP": Page(
        what="a control group for enhanced recording cannot be made in {path!r}: {problem}",
        why="the processes of a session are told apart by a control group (version 2) of their own",
        fix="check that the kernel has cgroup2, and ssh_service.enhanced_recording.cgroup_path and root_path",
    ),
    "SSH-BPF-ENDED": Page(
        what="enhanced recording does not run: {problem}",
        why="bpftrace has ended, or did not become ready: the kernel may be too old (5.8 is needed) or forbid it",
        fix="run `bpftrace -e 'BEGIN {{ exit(); }}'` as root on the node to see what it says",
    ),
    "SSH-BPF-CHECK": Page(
        what="enhanced recording sees nothing of the control groups below {root}",
        why="the kernel tells of groups by their path in the whole hierarchy, which in a container may be another",
        fix="set ssh_service.enhanced_recording.root_path to that path, or run the service outside of the container",
    ),
    "SSH-LIMIT-CONNECTIONS": Page(
        what="err-max-leases: {user!r} has no place for another ssh connection",
        why="the roles allow {limit} at one time in the whole cluster (max_connections)",
        fix="end one of the others (`tsh sessions ls`, `tsh sessions terminate <id>`), or wait until one has ended",
    ),
    "SSH-LEASE": Page(
        what="the node cannot find out whether {user!r} may have another connection",
        why="your roles limit connections in the whole cluster, and the auth service that counts them does not answer",
        fix="try again; connections that are open stay open. Check the node's connection to the auth service",
    ),
    "SSH-HOST-CERTIFICATE": Page(
        what="remote host presented a public key, expected a host certificate",
        why="{host} has no certificate of this cluster, so the proxy cannot tell it from an impostor",
        fix="run `teleport join openssh` on {host}, or set proxy_checks_host_keys to no in session_recording_config",
    ),
    "SSH-HOST-REFUSED": Page(
        what="the host certificate of {host} was not accepted",
        why="{problem}",
        fix="run `teleport join openssh` on {host} again, or check where its name leads",
    ),
    "SSH-LIMIT-FORWARDED": Page(
        what="no more connections to servers through this proxy",
        why="it ends {limit} at one time",
        fix="wait until some have ended, or connect through another proxy",
    ),
    "SSH-LIMIT-SESSIONS": Page(
        what="no more sessions on this connection",
        why="your roles allow {limit} at one time (max_sessions)",
        fix="wait until some have ended, or open another connection",
    ),
    "SSH-JOIN-SESSION": Page(
        what="{session} is not the id of a session that runs on this node",
        why="whoever joins a session names it in the variable {variable}",
        fix="join with tsh: tsh join ID; `tsh sessions ls` lists running sessions with their ids",
    ),
    "SSH-JOIN-MODE": Page(
        what="{mode} is not a mode in which a session can be joined",
        why="known are {known}",
        fix="name one of them: tsh join --mode=observer ID",
    ),
    "SSH-JOIN-NO-TERMINAL": Page(
        what="session {session} cannot be joined",
        why="it has no terminal that could be shown: it is a command, a copy of files, or a shell without one",
        fix="join a session at a terminal; `tsh sessions ls --format=json` says which are interactive",
    ),
    "SSH-JOIN-OVER": Page(
        what="session {session} cannot be joined now",
        why="it has not begun to run, or has just ended",
        fix="look whether it runs: tsh sessions ls",
    ),
    "SSH-JOIN-FULL": Page(
        what="nobody else can join session {session}",
        why="{limit} participants are in it, and there are no more seats",
        fix="wait until somebody has left: tsh sessions ls shows who is there",
    ),
    "SSH-JOIN-ONLY": Page(
        what="{thing} is not given to whoever joins a session",
        why="this login is for taking part in a session that runs already; nothing starts for it",
        fix="sign in with a login of the node for anything else",
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
        what="a message between the processes of the SSH Service is not valid: {problem}",
        why="the two are not of one version, or one of them is not what it says",
        fix="restart the node",
    ),
    "SSH-SPAWNER-GONE": Page(
        what="the node cannot start commands: the spawner is gone ({problem})",
        why="commands are started by a process of their own, which has ended",
        fix="restart the node; its log says why the process ended",
    ),
    "SSH-TRUST-PINNED": Page(
        what="the spawner keeps the user authorities that it was given first",
        why="they hold for its whole life, so that whoever takes over the SSH Service cannot add one of their own",
        fix="restart the node after the rotation of the user authority",
    ),
    "SSH-TRUST-MISSING": Page(
        what="the spawner cannot check logins yet",
        why="it has not been told the user authorities of the cluster",
        fix="try again; if it stays, restart the node",
    ),
    "SSH-ADMIT-PROOF": Page(
        what="the spawner does not believe this login: {problem}",
        why="it checks for itself that the client signed this connection, and starts nothing for anybody else",
        fix="connect again; if it stays, somebody may have taken over the SSH Service of this node: look at its log",
    ),
    "SSH-ADMIT-REPLAY": Page(
        what="the spawner has seen this login before",
        why="the proof of one connection counts for that connection alone, and once",
        fix="connect again; if it stays, somebody may have taken over the SSH Service of this node: look at its log",
    ),
    "SSH-ADMIT-FULL": Page(
        what="the spawner admits nobody: {limit} {things}",
        why="what it has to remember is bounded",
        fix="wait until connections have ended or certificates expired; restarting the node empties the memory",
    ),
    "SSH-ADMIT-MISSING": Page(
        what="nothing is started for {whom} without a login that the spawner has checked",
        why="the connection is over, or it was admitted for another account",
        fix="connect again",
    ),
    "SSH-USER-GONE": Page(
        what="what was to be done as the user was not done: {problem}",
        why="the process that acts for the account on this connection has ended",
        fix="try again; a process of the account, or the kernel for want of memory, may have killed it",
    ),
    "SSH-USER-SLOW": Page(
        what="{request} was not done within {seconds} seconds",
        why="the account's process on the node got no answer in time, for example from a name server",
        fix="try again; use an address instead of a name",
    ),
    "SSH-USER-BUSY": Page(
        what="the node does not do more at one time for this connection: {problem}",
        why="what one connection may have under way is bounded, as is what the account may start",
        fix="wait until some of it has ended, or open another connection",
    ),
    "SSH-USER-HOST-NAME": Page(
        what="{host!r} cannot be the name of a host",
        why="a name has at most {limit} characters, and no NUL",
        fix="write a host name or an IP address",
    ),
    "SSH-USER-HOST": Page(
        what="the host {host!r} is not known on the node: {problem}",
        why="its name was looked up there, not on your machine",
        fix="try `getent hosts` with this name on the node, or use an address",
    ),
    "SSH-USER-PORT": Page(
        what="{port} is no port that can be used here",
        why="ports are {low} to 65535",
        fix="choose another port",
    ),
    "SSH-USER-CONNECT": Page(
        what="cannot connect to {address} as {login!r}: {problem}",
        why="the node tried every address of it, with the rights of the account",
        fix="check that something listens there, and that the node reaches it",
    ),
    "SSH-USER-LISTEN": Page(
        what="cannot listen at {address} as {login!r}: {problem}",
        why="the node did it with the rights of the account; ports below 1024 are root's",
        fix="choose another port or address, or 0 for any free port",
    ),
    "SSH-USER-PATH": Page(
        what="{path!r} cannot be the path of a socket",
        why="it must begin with `/` and have at most {limit} bytes, and no NUL",
        fix="use a shorter, absolute path",
    ),
    "SSH-USER-SOCKET": Page(
        what="cannot use the socket {path} as {login!r}: {problem}",
        why="the node did it with the rights of the account",
        fix="check the path and its permissions on the node; a path to listen at must not exist yet",
    ),
    "SSH-USER-COOKIE": Page(
        what="the X11 request cannot be used",
        why="its protocol and cookie have at most {limit} bytes; the protocol is letters, digits and hyphens",
        fix="use MIT-MAGIC-COOKIE-1, as `ssh -X` does",
    ),
    "SSH-NOT-LENT": Page(
        what="{host} opened a channel of the kind {kind} that leads to nothing",
        why="no session of this connection forwards its agent or its display at the moment",
        fix="if no session has just ended there, find out which program of {host} looks for agents and displays",
    ),
    "SSH-X11-COOKIE": Page(
        what="a program wanted the X11 display without the cookie of a session",
        why="a display that is forwarded through the proxy is for programs of its session, for as long as that runs",
        fix="let the program find the cookie of the session: DISPLAY and XAUTHORITY as the session has them",
    ),
    "SSH-USER-DISPLAY": Page(
        what="no X11 display is free between {offset} and {most}",
        why="each takes a port of the node's loopback address, 6000 and up",
        fix="end sessions with X11, or widen `ssh_service.x11` in teleport.yaml",
    ),
    "SSH-USER-XAUTH": Page(
        what="xauth(1) did not take the cookie of the X11 display: {problem}",
        why="programs find the cookie in the account's X authority file, which only xauth writes",
        fix="install the package xauth on the node, and check that the account can write its home directory",
    ),
    "SSH-USER-SFTP": Page(
        what="files are not served as {login!r}: {problem}",
        why="the account's process on the node could not begin",
        fix="try again; look at the limits of the account on the node",
    ),
    "SSH-INTERNAL": Page(
        what="the node failed to handle the request",
        why="an unexpected condition; its log has the details",
        fix="try again; if it stays, look at the log of the node",
    ),
    "SSH-NO-CONFIG": Page(
        what="an output has no ssh_config",
        why="tbot could not ask the proxy about the clusters, or has not written the output yet",
        fix="see that the proxy can be reached, and have everything renewed: `pkill -sigusr1 tbot`",
    ),
    "SSH-PRINCIPAL": Page(
        what="the certificate is not for this login: ssh ends with `unable to authenticate`",
        why="the logins of a certificate are those of the output's roles; {login} is in none of them",
        fix="sign in as one of the certificate's logins, add {login} to the logins of a role, or give the bot a role "
        "that has it; then have everything renewed: `pkill -sigusr1 tbot`",
    ),
    "SSH-PROXY-CMD": Page(
        what="the ProxyCommand of ssh_config cannot work",
        why="ssh starts it and shows nothing of what it says: `Connection closed by UNKNOWN port 65535`",
        fix="install tbot where the command says, use the folder where it was written, or have everything renewed "
        "after a move: {folder} gets new paths then",
    ),
}
