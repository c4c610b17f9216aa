"""Batches, queues, priorities and sequences."""

from tidegate.core.lint.subject import Judged, Repository, Rule


def _batch_size(r: Repository) -> str:
    size = r.config.max_batch_size
    return f"max_batch_size {size}; use 0 or more" if size < 0 else ""


def _idle_batcher(r: Repository) -> str:
    if r.config.dynamic_batching is None or r.config.max_batch_size != 0:
        return ""
    return "dynamic_batching with max_batch_size 0 does nothing; drop it or allow batches"


def _preferred(r: Repository) -> str:
    batching, size = r.config.dynamic_batching, r.config.max_batch_size
    for preferred in batching.preferred_batch_size if batching else ():
        if not 1 <= preferred <= max(0, size):
            return f"preferred_batch_size {preferred} is not within 1..{size}"
    return ""


def _priority(r: Repository) -> str:
    """Levels are 1 to priority_levels, and then one of them is the default."""
    batching = r.config.dynamic_batching
    if batching is None:
        return ""
    level, levels = batching.default_priority_level, batching.priority_levels
    if levels and not 1 <= level <= levels:
        return f"default_priority_level {level} is not within 1..{levels}; set it"
    strays = [one for one in batching.priority_queue_policy if not 1 <= one <= levels]
    return f"priority_queue_policy names level {strays[0]} of {levels}" if strays else ""


def _ordering(r: Repository) -> str:
    batching = r.config.dynamic_batching
    if batching is None or not batching.preserve_ordering or batching.priority_levels < 2:
        return ""
    return f"preserve_ordering with {batching.priority_levels} priority levels; keep one of the two"


def _one_scheduler(r: Repository) -> str:
    """They are one oneof: of two, the text cannot even be written."""
    config = r.config
    chosen = [
        name
        for name, one in (
            ("dynamic_batching", config.dynamic_batching),
            ("sequence_batching", config.sequence_batching),
            ("ensemble_scheduling", config.ensemble_scheduling),
        )
        if one is not None
    ]
    return f"{' and '.join(chosen)} exclude each other; keep one" if len(chosen) > 1 else ""


RULES = (
    Rule(name="one scheduler", check=_one_scheduler, judged=Judged.LOG),
    Rule(name="batch size", check=_batch_size, judged=Judged.LOG),
    Rule(name="idle batcher", check=_idle_batcher, judged=Judged.SILENT),
    Rule(name="preferred batch size", check=_preferred, judged=Judged.LOG),
    Rule(name="priority", check=_priority, judged=Judged.LOG),
    Rule(name="ordering", check=_ordering, judged=Judged.LOG),
)
