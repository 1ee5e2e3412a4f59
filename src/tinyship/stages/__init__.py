"""base, build, release, push, clean: data in, data out."""
