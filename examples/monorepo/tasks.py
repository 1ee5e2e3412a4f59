"""Ship the shop: `invoke --list` shows how."""

import tinyship

ns = tinyship.collection()
