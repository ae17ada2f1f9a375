"""PROC-*: the process and its services."""

from teleport.base.catalogue import Page

PAGES = {
    "PROC-INHERITED": Page(
        what="what a former process has left cannot be taken: {variable} is not what it would write ({problem})",
        why="a process that hands over names its listeners in that variable; nobody else should set it",
        fix="unset {variable} and start again",
    ),
    "PROC-SUCCESSOR": Page(
        what="the process that should take over has not started: {problem}",
        why="after SIGHUP another process with the configuration as it is now takes over once it is ready",
        fix="look at the log for what it said, correct the configuration, and send SIGHUP again",
    ),
    "PROC-NO-SECOND-FACTOR": Page(
        what="{source}: second factors may not be switched off",
        why="with a password alone, whoever learns it is that user; the file says `second_factor: off`",
        fix="remove that line, or, for a test cluster, start it with {variable}=yes in its environment",
    ),
    "PROC-NOT-READY": Page(
        what="the service {service} was not ready after {seconds} s",
        why="it waits for something: a port, a disk, or another service",
        fix="start again with -d and look at the last lines of that service",
    ),
    "PROC-ENDED": Page(
        what="the service {service} has ended by itself",
        why="a service runs until the process stops; this is a defect",
        fix="start again with -d and report the last lines of that service",
    ),
    "PROC-CHILD-GONE": Page(
        what="the program {child} beside this process has ended",
        why="it was killed, or ran out of memory; it is not started again behind your back",
        fix="look for the cause in the log of the system, then restart the service",
    ),
    "PROC-NO-SERVICE": Page(
        what="no service is enabled",
        why="auth_service, proxy_service and ssh_service are all off in {source}",
        fix="set `enabled: yes` in at least one section",
    ),
    "PROC-NO-SERVER": Page(
        what="{source} does not say where the Auth Service is",
        why="auth_service is off, so it runs elsewhere and is needed for everything",
        fix="write teleport.proxy_server or teleport.auth_server, or set `auth_service.enabled: yes`",
    ),
    "PROC-NO-TOKEN": Page(
        what="this host has not joined a cluster and has no token to join one with",
        why="{folder} holds no identity, and {source} has no teleport.join_params",
        fix="make a token with `tctl tokens add --type={types}` and write it into teleport.join_params.token_name",
    ),
    "PROC-IDENTITY": Page(
        what="{path} cannot be read as a part of this host's identity",
        why="it was changed by hand, cut short, or written by another version",
        fix="bring it back from a backup, or move the folder away and start with a new token: the host joins anew",
    ),
    "PROC-NO-IDENTITY": Page(
        what="the identity of the role {role} is not there yet",
        why="a service asked for it before the process had joined; this is a defect",
        fix="start again with -d and report the last lines",
    ),
    "PROC-NO-PROXY": Page(
        what="a tunnel for the role {role} is asked for where there is no proxy to keep it to",
        why="the Auth Service is in this process; this is a defect",
        fix="start again with -d and report the last lines",
    ),
    "PROC-RESTORE-UNFINISHED": Page(
        what="a restore into {path} was interrupted",
        why="the folder holds only a part of the backup; starting would make a new cluster beside it",
        fix="run the same `teleport restore` again",
    ),
    "PROC-DEBUG-PATH": Page(
        what="the debug service has no {path}",
        why="it was asked by a program of another version, or by hand with a wrong path",
        fix="use `teleport debug` of the same version as the process",
    ),
    "PROC-PROFILE": Page(
        what="no profile is called {name}",
        why="the profiles are: {known}",
        fix="name some of them, separated by commas, or none for the usual ones",
    ),
    "PROC-PROFILE-SECONDS": Page(
        what="{seconds} is no duration of a profile",
        why="a profile takes between 1 and {most} seconds",
        fix="use for example -s 30",
    ),
    "PROC-PROFILE-BUSY": Page(
        what="the process is already being profiled",
        why="two profiles at a time would measure each other",
        fix="wait until the other one has ended",
    ),
    "PROC-CONFIG-MISSING": Page(
        what="the configuration file {path} does not exist",
        why="it was named with -c or TELEPORT_CONFIG_FILE",
        fix="write one with `teleport configure -o {path}`, or leave -c out for the defaults",
    ),
    "PROC-CONFIG-BASE64": Page(
        what="the environment variable TELEPORT_CONFIG does not hold a configuration",
        why="it must be the text of teleport.yaml in base64",
        fix="set it with: export TELEPORT_CONFIG=$(base64 -w0 teleport.yaml), or unset it",
    ),
    "PROC-DEBUG-SOCKET": Page(
        what="Unable to reach debug service socket at {path}",
        why="{problem}: the process is not running, has another data_dir, or debug_service is off",
        fix="name the configuration of the running process with -c, and run as the user who owns it",
    ),
}
