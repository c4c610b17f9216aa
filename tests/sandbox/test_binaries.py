"""What is missing is said before anything starts, with the command that installs it."""

import pytest

from tidegate.errors import UsageError
from tidegate.sandbox.binaries import require_libpython


def test_a_missing_libpython_is_named_before_triton_hangs_on_it() -> None:
    require_libpython()
    with pytest.raises(
        UsageError, match=r"libpython9\.9\.so\.1\.0 is missing; apt-get install libpython9\.9"
    ):
        require_libpython("9.9")
