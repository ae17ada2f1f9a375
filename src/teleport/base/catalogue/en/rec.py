"""REC-*: session recordings: made, stored, read."""

from teleport.base.catalogue import Page

PAGES = {
    # On the node
    "REC-DISK-FULL": Page(
        what="no new sessions: the disk for recordings at {path} has {free} bytes left",
        why="sessions are recorded to that disk; below {needed} bytes none begins, so that running ones can end well",
        fix="free space on that disk, or move `data_dir`; recordings leave it once the auth service has stored them",
    ),
    "REC-IMPOSSIBLE": Page(
        what="this session cannot be recorded, so it does not begin: {problem}",
        why="your roles say that no session goes unrecorded (`record_session: strict`)",
        fix="ask an administrator to look at the node's log and at the disk of its `data_dir`",
    ),
    "REC-LOST": Page(
        what="this session is ended, because it can no longer be recorded: {problem}",
        why="your roles say that no session goes unrecorded (`record_session: strict`)",
        fix="ask an administrator to look at the node's log and at the disk of its `data_dir`",
    ),
    "REC-NO-KEY": Page(
        what="there is no key yet to seal recordings to",
        why="the node learns the key from the auth service when it connects",
        fix="wait until the node has reached the auth service: `tctl get session_recording_config` shows the key",
    ),
    "REC-MISSTORED": Page(
        what="chunk {number} of recording {session} was stored as other bytes than were sent",
        why="disk or memory of the auth service may be faulty; the node keeps its copy and sends it again",
        fix="check the disk of the auth service's `data_dir` and its memory",
    ),
    # At the auth service
    "REC-SESSION": Page(
        what="{session!r} is not the id of a session",
        why="sessions are named by UUIDs in lower case",
        fix="take the id from `tctl recordings ls`",
    ),
    "REC-GAP": Page(
        what="chunk {number} of recording {session} cannot follow: {expected} are stored",
        why="a recording is stored without gaps",
        fix="nothing is to be done: the node sends the recording again from its beginning",
    ),
    "REC-DIFFERS": Page(
        what="another chunk {number} of recording {session} is stored",
        why="what is stored is never replaced",
        fix="compare the stored file with the one set aside in the node's `log/upload/corrupted`, and report it",
    ),
    "REC-CLOSED": Page(
        what="recording {session} is complete with {chunks} chunks",
        why="nothing is added to a recording that its node has completed",
        fix="compare the stored file with the one set aside in the node's `log/upload/corrupted`, and report it",
    ),
    "REC-SYNC": Page(
        what="the Auth Service did not take the recording within {seconds} seconds",
        why="with `mode: node-sync` or `proxy-sync` what is recorded counts when the Auth Service has it",
        fix="check the connection to the Auth Service; with `record_session: {{ssh: best_effort}}` sessions go on, and "
        "with `mode: node` they do not wait",
    ),
    "REC-NOT-YOURS": Page(
        what="recording {session} belongs to another server",
        why="a service stores recordings of its own sessions alone",
        fix="this is a defect or an attack: keep the log and report it",
    ),
    "REC-TOO-LARGE": Page(
        what="recording {session} would be larger than {limit} bytes",
        why="one session shall not fill the disk of the auth service",
        fix="the rest stays on the node, in `log/upload/corrupted`",
    ),
    "REC-INCOMPLETE": Page(
        what="recording {session} is not as its node says: {stored} chunks are stored, {said} were sent",
        why="a recording is closed when every chunk is stored and their chain is whole",
        fix="nothing is to be done: the node sends the recording again from its beginning",
    ),
    "REC-PURPOSE": Page(
        what="unknown purpose {purpose!r}",
        why="the audit log says what a recording was taken for: {known}",
        fix="use one of these words",
    ),
    "REC-NO-SEARCH": Page(
        what="this auth service does not search screens",
        why="it was started without an index of recordings",
        fix="use `tctl recordings ls`, and look at the recording itself",
    ),
    "REC-CONFIG-FILE": Page(
        what="session_recording_config is managed by static configuration",
        why="`auth_service.session_recording` in the auth service's file says how sessions are recorded",
        fix="change it there and restart, or remove the key there, restart, and use `tctl edit` from then on",
    ),
}
