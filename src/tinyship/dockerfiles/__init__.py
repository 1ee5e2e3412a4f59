"""What a Dockerfile says without being built: its stages, the images that it names, the files that it takes."""
