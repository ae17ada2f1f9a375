"""PROC-*: the process and its services."""

from teleport.base.catalogue import Page

PAGES = {
    "PROC-NOT-READY": Page(
        what="the service {service} was not ready after {seconds} s",
        why="it waits for something: a port, a disk, or another service",
        fix="start again with -d and look at the last lines of that service",
    ),
    "PROC-NO-SERVICE": Page(
        what="no service is enabled",
        why="auth_service, proxy_service and ssh_service are all off in {source}",
        fix="set `enabled: yes` in at least one section",
    ),
    "PROC-AGENT-ALONE": Page(
        what="{services} without the Auth Service in the same process cannot start yet",
        why="this build runs the Auth, Proxy and SSH Service in one process; agents cannot join from elsewhere yet",
        fix="set `auth_service.enabled: yes` in {source}",
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
