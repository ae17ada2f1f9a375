"""KIND-*: documents of resources."""

from teleport.base.catalogue import Page

PAGES = {
    "KIND-MISSING": Page(
        what="the document has no kind",
        why="every resource says what it is in its first field",
        fix="add a line such as `kind: role`",
    ),
    "KIND-UNKNOWN": Page(
        what=(
            "unsupported resource: {kind!r} - resources should be expressed as 'type/name', "
            "for example 'connector/github'"
        ),
        why="no kind of this cluster has that name",
        fix="run `tctl api-resources` for the list of kinds",
    ),
    "KIND-VERSION": Page(
        what="unrecognized {kind} version: {version}",
        why="this kind is known in the versions {known}",
        fix="change `version` to one of them",
    ),
    "KIND-FIELD": Page(
        what="{kind}: {problem}",
        why="the document does not have the shape of this kind",
        fix="compare it with `tctl get {kind}` or the reference page of the kind",
    ),
}
