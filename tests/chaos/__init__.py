"""SIGKILL at every API write of a release: `make chaos`. pytest tries only the harness itself."""
