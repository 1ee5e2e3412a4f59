"""Ship greeter: `invoke --list` shows how."""

import tinyship

ns = tinyship.collection()
