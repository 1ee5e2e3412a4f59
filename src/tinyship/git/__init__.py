"""What git says of a project: its commit, its tags, its versions, and what changed."""
