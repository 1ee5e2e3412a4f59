"""The sizes of an image as a page to look at, and as a comment on a change. Text is returned, nothing is read."""
