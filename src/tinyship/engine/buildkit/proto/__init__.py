"""Messages of BuildKit's API, generated from the `.proto` files beside this one: only the fields that are used here.

`./dev protos` generates them afresh.
"""
