"""The model on its way from the registry to a repository that Triton reads."""

from typing import Literal

from pydantic import Field

from tidegate.documents.base import Document, Finding, Strict
from tidegate.documents.words import Word


class Candidate(Document):
    """resolve: one immutable model version, and those served with it by their names in the server."""

    kind: Literal["Candidate"] = "Candidate"
    uri: str
    requested_uri: str
    run_id: str = ""
    flavors: tuple[str, ...]
    artifact_uri: str
    signature: str = ""
    created_ms: int | None = None
    registered_by: str = Field(default="", description="the user that MLflow names")
    companions: dict[str, "Candidate"] = Field(default_factory=dict)


class TreeFile(Strict):
    """One file of a tree: path relative with forward slashes, size in bytes, sha256 hex."""

    path: str
    size: int = Field(ge=0)
    sha256: str


class FetchedModel(Document):
    """fetch: the downloaded files of the version and their digest.

    Those of its companions are among them, below `companions/<name>/`.
    """

    kind: Literal["FetchedModel"] = "FetchedModel"
    flavor: str
    files: tuple[TreeFile, ...]
    tree_digest: str
    companions: dict[str, "FetchedModel"] = Field(default_factory=dict)


class Tensor(Strict):
    """A tensor of the optimised graph. dtype in Triton's words without TYPE_ (FP32, INT64, STRING …);
    shape with -1 for symbolic axes, the batch axis included."""

    name: str
    dtype: str
    shape: tuple[int, ...]


class OutputParity(Strict):
    """How one output compares with the source model on the golden inputs."""

    output: str
    word: Word
    compared: int = Field(ge=0, description="values compared")
    max_abs_error: float | None = None
    max_rel_error: float | None = None
    mismatch_ratio: float | None = None
    cosine: float | None = None
    max_ulp: int | None = Field(
        default=None, description="representable numbers between the two, at most"
    )
    agreement: float | None = Field(
        default=None, description="share of equal labels; of scores, of rows with the same largest"
    )
    agreement_lower: float | None = Field(default=None, description="95 % lower bound of it")
    message: str


class Parity(Strict):
    """The parity gate's evidence."""

    word: Word
    reference: str = Field(description="what the optimised model was compared with")
    golden: str = Field(description="where the golden inputs came from")
    golden_digest: str
    rows: int = Field(ge=0)
    outputs: tuple[OutputParity, ...]
    checks: tuple[OutputParity, ...] = Field(
        default=(), description="beyond golden rows: inputs at the edges, sizes of batches"
    )
    first_layer: str = Field(default="", description="of a FAIL: where the two graphs part")


class ShapeRange(Strict):
    """Shapes of one input that a profile of a plan is good for, batch axis included."""

    min: tuple[int, ...]
    opt: tuple[int, ...]
    max: tuple[int, ...]


class Engine(Strict):
    """A TensorRT plan: where it loads, what made it, and what its inspector tells."""

    builder: Literal["python", "trtexec", "by hand"]
    tensorrt: str = Field(description="the version in the plan's own first bytes")
    version_compatible: bool = False
    gpu: str = Field(default="", description="the driver's name of the GPU that it was built on")
    compute_capability: str = ""
    gpu_memory_mib: int = Field(default=0, ge=0)
    hardware: Literal["exact", "same_compute_capability", "ampere_plus"] = "exact"
    key: str = Field(
        default="", description="graph x GPU x TensorRT x flags; '' where none was built"
    )
    reused: bool = Field(default=False, description="an earlier build with the same key")
    seconds: float | None = Field(default=None, description="of the build; null where none was")
    size_bytes: int = Field(ge=0)
    memory_bytes: int | None = Field(default=None, description="of one execution context")
    profiles: tuple[dict[str, ShapeRange], ...] = ()
    layers: int | None = Field(default=None, description="null where the inspector tells nothing")
    kinds: dict[str, int] = Field(default_factory=dict, description="layers by kind")
    precisions: dict[str, int] = Field(default_factory=dict, description="outputs by precision")
    formats: dict[str, int] = Field(default_factory=dict, description="outputs by memory format")


class Package(Strict):
    """An AOTInductor package: what compiled it, and the machines that it runs on."""

    torch: str = Field(description="the version that compiled it, by the package's own word")
    device: Literal["cpu", "cuda"]
    cpu: Literal["avx2", "avx512", "native"] = Field(description="instructions that it may hold")
    vectors: str = Field(description="the vectors of its kernels, as torch names them")
    machine: str = Field(description="architecture, such as x86_64")
    gpu: str = Field(default="", description="the driver's name of the GPU; '' = none")
    compute_capability: str = ""
    compiler: str = Field(description="its own first line")
    key: str = Field(description="program x torch x compiler x machine x policy")
    reused: bool = Field(default=False, description="an earlier build with the same key")
    seconds: float = Field(description="of the compilation")
    size_bytes: int = Field(ge=0)


class StepDown(Strict):
    """A target that was wanted and did not come about."""

    wanted: str
    reason: str


class OptimizedModel(Document):
    """optimize: the graph to serve, proven equal to its source.

    The tree beside it holds the model as its backend reads it (`model.onnx` and its external data, or a file
    of the backend's own), and `golden.npz`: the golden inputs as `input.<name>` and the source model's
    answers as `output.<name>`, first axis rows. Companions lie below `companions/<name>/`, each such a tree;
    where they make an ensemble, `golden.npz` is of the whole, and `golden-model.npz` of the model itself.
    """

    kind: Literal["OptimizedModel"] = "OptimizedModel"
    target: str
    backend: str = Field(default="onnxruntime", description="Triton's name of what serves it")
    tree_digest: str
    model_file: str
    opset: int = Field(description="0 where it is no ONNX graph")
    ir_version: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    labels: tuple[str, ...] = ()
    parameters: dict[str, str] = Field(
        default_factory=dict, description="what the backend must be told of this model"
    )
    parity: Parity
    precision: Literal["source", "fp16", "bf16", "int8", "fp8"] = "source"
    accelerator: Literal["", "tensorrt", "cuda"] = Field(
        default="", description="the execution provider of ONNX Runtime on a GPU; '' = none"
    )
    profiles: tuple[dict[str, ShapeRange], ...] = Field(
        default=(), description="shapes that accelerator tensorrt builds its engines for"
    )
    engine: Engine | None = None
    package: Package | None = None
    steps_down: tuple[StepDown, ...] = Field(
        default=(),
        description="optimize.fallback: what was tried before this, and why it is not that",
    )
    tools: dict[str, str] = Field(default_factory=dict, description="name -> version")
    companions: dict[str, "OptimizedModel"] = Field(default_factory=dict)


class RepositoryModel(Strict):
    """One model of a repository that holds several."""

    name: str
    role: Literal["main", "pre", "post", "beside", "ensemble"]
    backend: str = Field(description="ensemble: none of its own")
    version: str
    source: str = Field(description="the model version, or the folder of code in it")
    digest: str = Field(description="of the MLmodel file, or of the code")
    inputs: tuple[Tensor, ...] = Field(default=(), description="as a client sends them")
    sequential: bool = Field(default=False, description="as ModelRepository.sequential")
    unasked: str = Field(
        default="", description="beside: why one request and its answer cannot be had of it"
    )


class ModelRepository(Document):
    """configure: what is served. The tree beside it IS the root of it: a Triton model repository, or by
    `format` the folder of one model that KServe's own server loads.

    `triton_model` is what clients ask: the model, or the ensemble that it is in.
    """

    kind: Literal["ModelRepository"] = "ModelRepository"
    format: Literal["triton", "sklearn", "xgboost", "lightgbm"] = "triton"
    protocol: Literal["v1", "v2"] = "v2"
    triton_model: str
    triton_version: str = Field(description="'' where another server serves it")
    model_version: str = Field(description="Triton's version directory = the registry version")
    backend: str
    max_batch_size: int = Field(ge=0)
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    digest: str
    gpu: str = Field(
        default="", description="the GPU that a plan was built on; '' = not bound to one"
    )
    compute_capability: str = Field(default="", description="its own")
    findings: tuple[Finding, ...] = ()
    models: tuple[RepositoryModel, ...] = Field(
        default=(), description="all of them, where there are more than one"
    )
    sequential: bool = Field(
        default=False, description="a request must name the sequence that it is of"
    )


class Published(Document):
    """publish: the immutable place the repository can be read from."""

    kind: Literal["Published"] = "Published"
    repository: ModelRepository
    storage_uri: str = Field(pattern=r"/$")
    uploaded: bool
