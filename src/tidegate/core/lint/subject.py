"""What is linted: a model's config, the files beside it, its graph, and the server it is for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tidegate.core.model_config import ModelConfig
from tidegate.documents import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The target: its version, and what is known of its machine; None = not known, so not judged."""

    version: tuple[int, int]
    gpus: int | None = None
    backends: frozenset[str] | None = None
    arguments: tuple[str, ...] = ()
    tensorrt: str = ""  # of its image; '' = not known
    torch: str = ""  # likewise


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A TensorRT plan: the version in its bytes, and its profiles' largest batch (0: no batch axis)."""

    version: str
    max_batch_size: int
    version_compatible: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """An AOTInductor package: the torch that compiled it, and the device that it is for."""

    torch: str
    device: str = "cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """An ONNX graph as it lies in the version folder; batch_symbols name axis 0 by tensor."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    opset: int
    ir_version: int
    batch_symbols: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """One model of a repository; `others` are the configs of the models that an ensemble calls.

    `files` are paths below the model's folder; None = not looked at.
    """

    config: ModelConfig
    folder: str
    versions: tuple[int, ...]
    server: Server
    graph: Graph | None = None
    plan: Plan | None = None
    package: Package | None = None
    files: frozenset[str] | None = None
    others: Mapping[str, ModelConfig] = field(default_factory=dict)


class Judged(StrEnum):
    """What the real server does about it when nobody lints."""

    ANSWER = "refused, and the answer says why"
    LOG = "refused, and only the log says why"
    SILENT = "accepted in silence"
    CRASH = "refused, or the server ends with a segmentation fault"
    BACKEND = "refused by the backend when it loads"
    ELSEWHERE = "refused by another version of the server"


Check = Callable[[Repository], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A check says what is wrong and what to do, '' when nothing is."""

    name: str
    check: Check
    judged: Judged
