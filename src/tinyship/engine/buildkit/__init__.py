"""BuildKit, spoken over the connection that docker-py has: no CLI, no plugin. Knows no releases and no tasks."""
