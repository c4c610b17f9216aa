"""A running tritonserver whose model is loaded again and again, each time with another config.

The load API's `config` parameter overrides config.pbtxt without touching a file
(https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_model_repository.md). The
model that was loaded before goes on serving when a new config does not load.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from tidegate.adapters.model_config_text import to_message
from tidegate.adapters.tritonserver import READY_S, Loaded, serving
from tidegate.core.model_config import ModelConfig
from tidegate.core.model_config.resizing import setting_of
from tidegate.core.served_config import readable
from tidegate.errors import UnavailableError


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloading:
    """The server, and the model as the last config that loaded has it."""

    model: Loaded

    def load(self, config: ModelConfig) -> str:
        """Load the model with this config; the server's reason when it does not, '' when it serves it.

        Raises UnavailableError when the server says nothing, or goes on serving another config.
        """
        from google.protobuf.json_format import MessageToJson

        url = f"{self.model.http}/v2/repository/models/{self.model.name}/load"
        try:
            told = readable(config, self.model.version())
            override = MessageToJson(to_message(told), preserving_proto_field_name=True)
            answer = httpx.post(url, json={"parameters": {"config": override}}, timeout=READY_S)
        except httpx.HTTPError as error:
            said = str(error) or type(error).__name__
            raise UnavailableError(
                f"Triton does not answer while it loads {config.name}: {said}"
            ) from error
        if not answer.is_success:
            return _reason(answer)
        self.require_served(config)
        return ""

    def require_served(self, config: ModelConfig) -> None:
        """What is measured must be what was asked for. Raises UnavailableError."""
        served, asked = setting_of(self.model.config()), setting_of(config)
        if served != asked:
            raise UnavailableError(
                f"Triton serves {config.name} with {served}, not {asked}, after it said that it loaded that; "
                "try again"
            )


def _reason(answer: httpx.Response) -> str:
    try:
        said = str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        said = answer.text
    return " ".join(said.split())[:300] or f"HTTP {answer.status_code}"


@contextlib.contextmanager
def reloading(repository: Path, model: str) -> Iterator[Reloading]:
    """A server on loopback with this one model, ended with the block. Raises as `tritonserver.serving`."""
    arguments = ("--model-control-mode=explicit", f"--load-model={model}")
    with serving(repository, model, arguments=arguments) as loaded:
        yield Reloading(model=loaded)
