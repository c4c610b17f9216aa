"""Writes record.json: what Feast's own feature server answers to each question. `make record-feast`."""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.feast.customers import FEATURES, IDS, NO_AMOUNT, OLD, UNKNOWN
from tests.feast.server import FEAST, FeatureServer

RECORD = Path(__file__).with_name("record.json")


def by_name(*ids: object, names: tuple[str, ...] = FEATURES) -> dict[str, Any]:
    entities = {"customer_id": [*ids]}
    return {"features": [*names], "entities": entities, "full_feature_names": True}


def by_service(*ids: object, service: str = "fraud") -> dict[str, Any]:
    entities = {"customer_id": [*ids]}
    return {"feature_service": service, "entities": entities, "full_feature_names": True}


QUESTIONS = {
    "one": by_name(IDS[0]),
    "three": by_name(IDS[2], IDS[0], IDS[2]),
    "by service": by_service(IDS[2], IDS[0]),
    "as text": by_name(str(IDS[0])),
    "unknown": by_name(IDS[0], UNKNOWN),
    "null": by_name(NO_AMOUNT),
    "old": by_name(OLD),
    "no such feature": by_name(IDS[0], names=("orders:sum",)),
    "no such view": by_name(IDS[0], names=("baskets:sum",)),
    "no such service": by_service(IDS[0], service="frauds"),
    "no id": by_name("a"),
    "another entity": by_name(IDS[0]) | {"entities": {"user_id": [IDS[0]]}},
}


def main() -> None:
    """Ask, and keep what was said word for word."""
    version = subprocess.run([FEAST, "version"], capture_output=True, text=True, check=True).stdout
    with tempfile.TemporaryDirectory() as folder, FeatureServer(Path(folder)) as server:
        answers = {name: server.ask(asked) for name, asked in QUESTIONS.items()}
    told = {
        name: {"asked": QUESTIONS[name], "status": one.status_code, "answer": one.json()}
        for name, one in answers.items()
    }
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(one)}" for name, one in told.items())
    number = version.split('"')[1]
    RECORD.write_text(f'{{\n "feast": "{number}",\n "answers": {{\n{lines}\n }}\n}}\n')


if __name__ == "__main__":
    main()
