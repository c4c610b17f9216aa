"""The customers of examples/transformer's feature repository: what Feast has of them, and the rows."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

IDS = tuple(range(1001, 1201))
NO_AMOUNT, OLD, UNKNOWN = 2001, 2002, 9
DAYS = 3  # how old what Feast has of OLD is
FEATURES = ("orders:amount_30d", "risk:chargebacks", "orders:count_30d", "risk:age_days")
"""In the order of the model's columns, which is neither that of the views nor the one Feast answers in."""


def rows() -> npt.NDArray[np.float32]:
    """Of IDS, a column for each of FEATURES; the same ones each time."""
    random = np.random.default_rng(7)
    columns = (
        random.gamma(2, 60, len(IDS)).round(2),
        random.poisson(0.6, len(IDS)),
        random.poisson(5, len(IDS)),
        random.uniform(1, 900, len(IDS)).round(1),
    )
    made: npt.NDArray[np.float32] = np.stack(columns, axis=1).astype(np.float32)
    return made


def write(path: Path) -> None:
    """The file that Feast materializes, with one customer whose amount is null and one long not seen."""
    import pandas as pd

    table = pd.DataFrame(rows(), columns=[name.partition(":")[2] for name in FEATURES])
    table = table.astype({"chargebacks": "int64", "count_30d": "int64", "age_days": "float64"})
    table["customer_id"], table["event_timestamp"] = IDS, datetime.now(UTC)
    others = table[:2].assign(customer_id=(NO_AMOUNT, OLD))
    others.loc[0, "amount_30d"] = None
    others.loc[1, "event_timestamp"] -= timedelta(days=DAYS)
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.concat([table, others]).to_parquet(path)
