"""INDEX-*: the index of what stood on the screens of recordings."""

from teleport.base.catalogue import Page

PAGES = {
    "INDEX-DAMAGED": Page(
        what="the index of a recording cannot be read: {problem}",
        why="the file beside the recording was changed or cut, or comes from another cluster",
        fix="remove the file *.idx of that recording: it is made again; the recording itself is not touched",
    ),
    "INDEX-NOT-DRAWN": Page(
        what="a recording could not be drawn: {problem}",
        why="drawing runs in a process of its own with bounds for memory and time, and this recording broke them",
        fix="play the recording to see what it holds; to have it tried again, remove its file *.idx and restart",
    ),
    "INDEX-NO-KEY": Page(
        what="the key of the index of recordings vanished while it was made",
        why="another process changed the store at the same moment",
        fix="search again",
    ),
    "INDEX-TEXT": Page(
        what="this text cannot be looked for: {problem}",
        why="a search looks for one text of 1 to {limit} characters within a line of a screen",
        fix='for example: tsh recordings search "permission denied"',
    ),
}
