"""Which tags a release gets, which of them may move, and which are promises."""
