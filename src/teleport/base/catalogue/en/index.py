"""INDEX-*: the index of what stood on the screens of recordings."""

from teleport.base.catalogue import Page

PAGES = {
    "INDEX-DAMAGED": Page(
        what="the index of a recording cannot be read: {problem}",
        why="the file beside the recording was changed or cut, or comes from another cluster",
        fix="remove the file *.idx of that recording: it is made again; the recording itself is not touched",
    ),
}
