"""A Docker Engine (or Podman) at the other end of docker-py. Knows no git and no registry client."""
