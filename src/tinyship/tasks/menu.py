"""The tasks that there are: what a listing shows of each, and the module that has it.

A mount is made of this table alone, so that the modules of tasks that do not run are never loaded. A test holds it
against them.
"""

from __future__ import annotations

PARTS = {
    "base": (
        "The base images: build, import or pull them.",
        (
            ("base", "make", "Build, import or pull the base images."),
            ("base", "list", "Show the base images: size, age, made from what."),
            ("pins", "update", "Pin base images to what their registries have now."),
            ("pins", "outdated", "Show which base images are old, and in which releases."),
        ),
    ),
    "build": (
        "The build image: compile in it, test in it, look around in it.",
        (
            ("build", "make", "Compile in a container, copy the artifacts back."),
            ("build", "test", "Run the project's tests in the build image."),
            ("build", "shell", "Open a shell in the build image."),
        ),
    ),
    "release": (
        "The tiny image that ships: make it, run it, see that it works.",
        (
            ("release", "make", "Make the release image, and what it stands on."),
            ("release", "run", "Run the released image in the foreground."),
            ("release", "smoke", "Run the released image and wait until it works."),
            ("preflight", "check", "Check all that a release and its push depend on."),
            ("preflight", "plan", "Show what a release and its push would do."),
            ("records", "show", "Show the last release of each image."),
            ("records", "list", "List the releases that are known, the newest first."),
            ("records", "notes", "Tell what changed since the last release."),
            ("records", "graph", "Show what releases contain and stand on."),
            ("records", "schema", "Print the JSON Schema of the record."),
        ),
    ),
    "push": (
        "Publishing: send to the registries exactly what the record names.",
        (
            ("push", "send", "Push the released image, and record its digests."),
            ("promote", "promote", "Let another tag, or another repository, have an image."),
        ),
    ),
    "clean": (
        "Cleaning up: only what this project made, never another's, and never before a table has said what and why.",
        (
            ("clean", "leftovers", "Remove artifacts, ended containers and unnamed images."),
            ("clean", "images", "Remove old releases from the engine."),
            ("clean", "all", "Remove everything that this project made."),
            ("clean", "cache", "Remove old build cache from the engine."),
            ("withdraw", "registry", "Remove old images from the registries of `push.to`."),
        ),
    ),
    "size": (
        "What the images weigh.",
        (
            ("size", "table", "Show what the images in the engine weigh."),
            ("size", "history", "Show what each release weighed, the first one first."),
            ("look", "explain", "Show where an image's bytes are, and what to do."),
            ("look", "diff", "Show what differs between two images."),
            ("look", "remote", "Show what a pull would transfer, without pulling."),
            ("look", "report", "Write a page of pictures of an image's bytes."),
        ),
    ),
    "config": (
        "The settings in force: show them, and what there are.",
        (
            ("config", "show", "Show the settings in force, and where each is from."),
            ("config", "schema", "Print the JSON Schema of the settings."),
        ),
    ),
}
"""By the name of each collection: what it is about, and its tasks: module, name, and first
line of help. The first of them runs where only the collection is named."""

OF_PROGRAM = (("init", "init", "Write tasks.py, invoke.yaml and what else is missing."),)
"""What the program ``tinyship`` has besides, as above."""
