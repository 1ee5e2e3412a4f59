"""This project's own tasks; `./dev` runs them on a fresh machine."""
