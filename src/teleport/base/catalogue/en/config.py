"""CONFIG-*: keys and values of teleport.yaml."""

from teleport.base.catalogue import Page

PAGES = {
    "CONFIG-NOT-A-MAP": Page(
        what="{source}: this is not a configuration file",
        why="a configuration file is one YAML document: a map of sections such as teleport and auth_service",
        fix="compare it with examples/teleport.yaml",
    ),
    "CONFIG-VERSION": Page(
        what="version must be one of v1, v2, v3",
        why="the file says {version}, a version of the format that this build does not know",
        fix="write `version: v3`",
    ),
    "CONFIG-NO-VERSION": Page(
        what="the configuration file has no version; it is read as {version}",
        why="the version decides which keys exist and what their defaults are",
        fix="write `version: {version}` as its first line",
    ),
    "CONFIG-NOT-SUPPORTED": Page(
        what="{key} is not supported yet; supported: {supported}",
        why="no code of this build acts on that value, so accepting it would promise what does not happen",
        fix="remove the key, or use a supported value",
    ),
    "CONFIG-NOT-SUPPORTED-KEYS": Page(
        what="{problems}",
        why="no code of this build acts on these values, so accepting them would promise what does not happen",
        fix="remove the keys, or use supported values",
    ),
    "CONFIG-PROBLEMS": Page(
        what="{problems}",
        why="the configuration file has several faults; nothing was started",
        fix="correct each place named above",
    ),
    "CONFIG-VALUE": Page(
        what="unknown {what} {value}",
        why="the choice is: {known}",
        fix="use one of them",
    ),
    "CONFIG-PATH": Page(
        what="{key}: {value} is not a usable path",
        why="a path names a file for as long as the process runs, whatever directory it was started in",
        fix="write the path in full, beginning with /",
    ),
    "CONFIG-NOBODY": Page(
        what="auth_service.authentication.local_auth: no, and no other way to sign in",
        why="with the type `local` people sign in as local users, whom this forbids",
        fix="remove local_auth",
    ),
    "CONFIG-NO-SECOND-FACTOR": Page(
        what="second factors are not enforced by this build: people sign in with a password alone",
        why="auth_service.authentication does not say what the second factor is, and this build has none",
        fix="write `second_factor: off` under auth_service.authentication to say that you know",
    ),
}
