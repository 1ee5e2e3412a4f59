"""Ship a service, and deploy it: `invoke --list` shows how."""

import deploy
from invoke import Collection

import tinyship

ns = tinyship.collection()
ns.add_collection(Collection.from_module(deploy))
