"""KServe's own model server with one model, on a port of loopback: python model_server.py <port>."""

import asyncio
import sys
from typing import Any

from kserve import Model
from kserve.model_repository import ModelRepository
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.model_repository_extension import ModelRepositoryExtension
from kserve.protocol.rest.server import RESTServer


class Mean(Model):  # type: ignore[misc]
    """The mean of each instance; explained by how much each value adds to it."""

    def __init__(self) -> None:
        super().__init__("mean")
        self.ready = True

    def preprocess(self, payload: Any, headers: Any = None) -> Any:
        return [[float(value) for value in one] for one in payload["instances"]]

    def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:
        return [sum(one) / len(one) for one in payload]

    def explain(self, payload: Any, headers: Any = None) -> Any:
        return [[value / len(one) for value in one] for one in payload]

    def postprocess(self, result: Any, headers: Any = None, response_headers: Any = None) -> Any:
        return {"predictions": result}


def main(port: int) -> None:
    """Serve until the end; on loopback alone, which KServe's own command cannot."""
    repository = ModelRepository()
    repository.update(Mean())
    server = RESTServer(
        "kserve.model_server:app",
        DataPlane(model_registry=repository),
        ModelRepositoryExtension(model_registry=repository),
        port,
    )
    server.config.host = "127.0.0.1"
    asyncio.run(server.start())


if __name__ == "__main__":
    main(int(sys.argv.pop()))
