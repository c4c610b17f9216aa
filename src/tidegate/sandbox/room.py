"""How many servers of models one machine runs, and what is said of one more."""

import os

from tidegate.sandbox.interfaces import RevisionStatus

PER_CORE = 4


def most_servers() -> int:
    """The bound of this machine: enough for an incumbent, a candidate and a way back of two pods each."""
    return PER_CORE * len(os.sched_getaffinity(0))


def allocatable() -> dict[str, str]:
    """What the one node offers to pods: this machine's cores and memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cores = len(os.sched_getaffinity(0))
    return {"cpu": str(cores), "memory": f"{memory // 2**20}Mi", "pods": str(PER_CORE * cores)}


def refusal(running: int, most: int) -> RevisionStatus | None:
    """What the scheduler says of a pod for which there is no room; None when there is."""
    if running < most:
        return None
    text = (
        f"0/1 nodes are available: 1 Too many pods: the sandbox runs at most {most} servers "
        f"({PER_CORE} for each core of this machine); lower min_replicas or max_replicas"
    )
    return RevisionStatus(phase="Pending", reason="Unschedulable", message=text)
