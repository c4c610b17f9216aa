"""For the whole suite. Hypothesis: no deadline, since a loaded machine is not a bug; the same draws in CI.

A shell that starts the suite in the background has it ignore Ctrl-C, and what it starts would too.
"""

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("local"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`make test` looks for tests that need the machine alone in tests/evidence only: it is quicker."""
    for item in items:
        if item.get_closest_marker("alone") and item.path.parent.name != "evidence":
            raise pytest.UsageError(
                f"{item.nodeid}: a test marked alone belongs into tests/evidence"
            )
