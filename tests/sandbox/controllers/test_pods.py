"""What the sandbox reads of a pod's container."""

import pytest

from tidegate.sandbox.controllers.pods import memory_limit


@pytest.mark.parametrize(
    ("limit", "bytes_"), [("1e9", 10**9), ("2Gi", 2**31), ("0", None), ("-1", None), ("some", None)]
)
def test_a_memory_limit_is_read_as_kubernetes_reads_a_quantity(
    limit: str, bytes_: int | None
) -> None:
    assert memory_limit({"resources": {"limits": {"memory": limit}}}) == bytes_
