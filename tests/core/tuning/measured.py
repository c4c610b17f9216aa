"""A machine that was measured: each setting of a small network, as `make bench-tune` swept them on 2 cores.

An MLP 16-32-4 on Triton 2.51, p99 within 10 ms: batches of 16 that wait until they are full answer most, and
neither that batch without the wait nor the wait with a larger batch says so.
"""

import random

from tidegate.core.tuning.space import Space
from tidegate.documents import CurvePoint, Setting, Trial
from tidegate.documents.tuning import Origin

SPACE = Space(
    max_batch_size=(1, 2, 4, 8, 16, 32),
    instances=(1, 2, 4),
    threads=(1, 2),
    queue_delay_us=(0, 500, 2000),
    most_threads=4,
)
LIMIT_MS = 10.0
# (instances, threads, delay): for each batch the requests a second, and how many were in flight
MEASURED = {
    (1, 1, 0): ((3249, 2), (2975, 4), (4030, 8), (4943, 16), (5374, 32), (5753, 32)),
    (1, 1, 500): ((0, 0), (3072, 4), (3801, 8), (3650, 16), (5717, 32), (5886, 32)),
    (1, 1, 2000): ((0, 0), (2447, 4), (3979, 8), (4557, 16), (5476, 32), (4482, 32)),
    (2, 1, 0): ((4923, 4), (6900, 8), (7164, 16), (6999, 24), (9226, 32), (8029, 32)),
    (2, 1, 500): ((0, 0), (6220, 8), (8138, 16), (7331, 24), (8945, 32), (8746, 32)),
    (2, 1, 2000): ((0, 0), (5737, 8), (7503, 16), (7793, 32), (10081, 48), (3811, 24)),
    (1, 2, 0): ((3218, 2), (3050, 4), (4112, 8), (4757, 16), (5721, 32), (5107, 32)),
    (1, 2, 500): ((0, 0), (2800, 4), (4220, 8), (5036, 16), (4795, 32), (5443, 32)),
    (1, 2, 2000): ((0, 0), (3073, 4), (3666, 8), (4966, 16), (5416, 32), (4831, 32)),
    (4, 1, 0): ((4663, 8), (5857, 16), (6327, 24), (6180, 24), (6473, 24), (7119, 24)),
    (4, 1, 500): ((0, 0), (5596, 16), (7612, 32), (7045, 16), (8764, 32), (8635, 32)),
    (4, 1, 2000): ((0, 0), (6437, 16), (6512, 24), (7314, 32), (8098, 32), (8209, 48)),
    (2, 2, 0): ((4314, 4), (6722, 8), (8206, 16), (7383, 24), (7983, 32), (7524, 24)),
    (2, 2, 500): ((0, 0), (6827, 8), (7153, 16), (7687, 32), (9472, 32), (8683, 32)),
    (2, 2, 2000): ((0, 0), (6403, 8), (8498, 16), (9671, 32), (10115, 48), (7997, 48)),
}


def trial(setting: Setting, origin: Origin, drawn: random.Random, noise: float) -> Trial:
    """What it measured, with the noise of a short measurement; half the variance for a finalist."""
    line = MEASURED[setting.instances, setting.threads, setting.queue_delay_us]
    rps, concurrency = line[SPACE.max_batch_size.index(setting.max_batch_size)]
    spread = noise / (2**0.5 if origin == "finalist" else 1)
    level = CurvePoint(
        concurrency=concurrency, duration_s=1.0, requests=1000, errors=0, wrong=0,
        throughput_rps=rps * drawn.lognormvariate(0, spread), p50_ms=5.0, p95_ms=7.0, p99_ms=8.0,
        keeps_limit=True,
    )  # fmt: skip
    return Trial(setting=setting, origin=origin, levels=(level,))


def best_rps() -> float:
    """Of every setting, without noise."""
    return max(rps for line in MEASURED.values() for rps, _ in line)
