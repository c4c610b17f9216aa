"""The documents of one release, as the steps before the report write them."""

import random
from typing import Any

import yaml

from tidegate.documents import (
    Arm,
    ArmSummary,
    Block,
    Candidate,
    Capacity,
    ConfigText,
    CurvePoint,
    Deployment,
    Finding,
    Generator,
    Incumbent,
    LiveLook,
    LoadReport,
    ModelRepository,
    OptimizedModel,
    OutputParity,
    Parity,
    Refusal,
    Report,
    Result,
    Subject,
    Tensor,
    TrafficStep,
    Verdict,
    Word,
)
from tidegate.policy import Policy

SUBJECT = Subject(model="digits", version="7", digest=f"sha256:{'a' * 64}")
BEGAN = 1_760_000_000.0
SENT = 60  # requests per block when nobody answers
TENSOR = Tensor(name="x", dtype="FP32", shape=(-1, 64))


def policy(**sections: Any) -> Policy:
    """A p99 of at most 25 ms; told to nobody."""
    base: dict[str, Any] = {
        "name": "digits",
        "model": {"uri": "models:/digits/7"},
        "slo": {"objectives": [{"kind": "latency", "limit_ms": 25.0}, {"kind": "errors"}]},
        "report": {"mlflow": False},
    }
    return Policy.model_validate(base | sections)


def candidate(subject: Subject = SUBJECT, **changes: Any) -> Candidate:
    """What resolve pinned."""
    known = Candidate(
        subject=subject,
        uri="models:/digits/7",
        requested_uri="models:/digits@challenger",
        run_id="0123abc",
        flavors=("sklearn", "python_function"),
        artifact_uri="mlflow-artifacts:/0/models/m-1/artifacts",
        created_ms=1_759_999_000_000,
        registered_by="ada",
    )
    return known.model_copy(update=changes)


def parity(word: Word = Word.PASS) -> Parity:
    """Labels that agree, and a probability that has no agreement."""
    label = OutputParity(
        output="label", word=word, compared=450, mismatch_ratio=0.0, agreement=0.998,
        agreement_lower=0.9934, message="0.998 of labels agree, 0.995 wanted",
    )  # fmt: skip
    probability = OutputParity(
        output="probability", word=Word.PASS, compared=4500, max_abs_error=2.4e-7,
        max_rel_error=3.9e-7, cosine=0.9999999, message="largest difference 2.4e-07",
    )  # fmt: skip
    return Parity(
        word=word, reference="the scikit-learn model", golden="golden.npz",
        golden_digest=f"sha256:{'b' * 64}", rows=450, outputs=(label, probability),
    )  # fmt: skip


def optimized(subject: Subject = SUBJECT) -> OptimizedModel:
    """What optimize made."""
    return OptimizedModel(
        subject=subject, target="onnxruntime", tree_digest=f"sha256:{'c' * 64}",
        model_file="model.onnx", opset=18, ir_version=8, inputs=(TENSOR,), outputs=(TENSOR,),
        parity=parity(), tools={"onnx": "1.20.0", "skl2onnx": "1.19.0"},
    )  # fmt: skip


def deployment(subject: Subject = SUBJECT) -> Deployment:
    """The candidate at 0 % beside an incumbent."""
    repository = ModelRepository(
        subject=subject, triton_model="digits", triton_version="2.51", model_version="7",
        backend="onnxruntime", max_batch_size=16, inputs=(TENSOR,), outputs=(TENSOR,),
        digest=f"sha256:{'d' * 64}",
        findings=(Finding(name="lint: dims", word=Word.PASS, message="as it should be"),),
    )  # fmt: skip
    return Deployment(
        subject=subject, release_id="r7", name="digits", namespace="default", mode="Knative",
        repository=repository, storage_uri="s3://models/digits/dddd/",
        candidate_revision="digits-predictor-00002", candidate_host="latest-digits.example.com",
        production_host="digits.example.com",
        incumbent=Incumbent(
            revision="digits-predictor-00001", storage_uri="s3://models/digits/1111/", predictor={}
        ),
        incumbent_host="prev-digits.example.com", isvc_uid="uid",
    )  # fmt: skip


def load(subject: Subject = SUBJECT, *, pairs: int = 20, answered: int = 60) -> LoadReport:
    """ABBA blocks of log-normal latencies; with answered=0 nobody answered."""
    dice = random.Random(7)
    arms = {Arm.CANDIDATE: 1.05, Arm.BASELINE: 1.0}
    blocks, latencies = [], {arm: list[float]() for arm in arms}
    sent = answered or SENT
    for pair in range(pairs):
        order = [Arm.CANDIDATE, Arm.BASELINE]
        for n, arm in enumerate(order if pair % 2 else reversed(order)):
            drawn = [dice.lognormvariate(arms[arm], 0.55) for _ in range(answered)]
            latencies[arm] += drawn
            blocks.append(_block(arm, pair, BEGAN + 60 + 20 * pair + 10 * n, drawn, sent))
    return LoadReport(
        subject=subject, release_id="r7", started_s=BEGAN + 55, ended_s=BEGAN + 70 + 20 * pairs,
        protocol="http", candidate=_summary(Arm.CANDIDATE, latencies[Arm.CANDIDATE], pairs * sent),
        baseline=_summary(Arm.BASELINE, latencies[Arm.BASELINE], pairs * sent), blocks=tuple(blocks),
        generator=Generator(lag_p99_ms=3.2, cpu_share=0.1, delivered_ratio=1.0, saturated=False),
        fairness="both replicas carried 50 requests/s", fair=True,
        reduced=f"{pairs} block pairs of {answered} requests", curve=curve(), capacity=capacity(),
    )  # fmt: skip


def curve() -> tuple[CurvePoint, ...]:
    """Throughput that grows to a knee at about 400 a second, latency that grows beyond it."""
    levels = [
        (1, 190.0, 5.1),
        (2, 330.0, 6.4),
        (4, 398.0, 12.3),
        (8, 406.0, 26.0),
        (16, 401.0, 71.0),
    ]
    return tuple(
        CurvePoint(
            concurrency=level, duration_s=5.0, requests=int(5 * rate), errors=0, wrong=0,
            throughput_rps=rate, p50_ms=0.62 * p99, p95_ms=0.9 * p99, p99_ms=p99,
            keeps_limit=p99 < 25 if abs(p99 - 25) > 2 else None,
        )
        for level, rate, p99 in levels
    )  # fmt: skip


def capacity() -> Capacity:
    """What the curve comes to."""
    return Capacity(
        rate_rps=398.0, replicas=1, quantile=0.99, limit_ms=25.0, is_lower_bound=False,
        message="398 requests/s of one replica keep p99 within 25 ms",
    )  # fmt: skip


def _block(arm: Arm, pair: int, started_s: float, drawn: list[float], sent: int) -> Block:
    p50, p95, p99 = quantiles(drawn)
    return Block(
        arm=arm, pair=pair, started_s=started_s, duration_s=10.0, offered=sent, delivered=sent,
        errors=sent - len(drawn), wrong=0, p50_ms=p50, p95_ms=p95, p99_ms=p99,
    )  # fmt: skip


def _summary(arm: Arm, drawn: list[float], sent: int) -> ArmSummary:
    p50, p95, p99 = quantiles(drawn)
    return ArmSummary(
        arm=arm, host=f"{arm}.example.com", revision=f"digits-predictor-0000{2 - (arm == 'baseline')}",
        requests=sent, errors=sent - len(drawn), wrong=0, rate_rps=6.0,
        total_rate_rps=50.25, p50_ms=p50, p95_ms=p95, p99_ms=p99, max_ms=max(drawn, default=None),
        latencies_ms=tuple(drawn),
    )  # fmt: skip


def quantiles(drawn: list[float]) -> tuple[float | None, ...]:
    """p50, p95 and p99; None of nothing."""
    ordered = sorted(drawn)
    return tuple(ordered[int(q * len(ordered))] if ordered else None for q in (0.5, 0.95, 0.99))


def verdict(subject: Subject = SUBJECT, word: Word = Word.PASS) -> Verdict:
    """Three findings, one of which has no numbers."""
    findings = (
        Finding(
            name="p99 latency", word=word, observed=9.891, lower=8.77, upper=12.4, limit=25.0,
            unit="ms", samples=1200, message="p99 9.9 ms <= 25 ms: 1 of 1200 requests over the limit",
        ),
        Finding(
            name="p50 vs incumbent", word=Word.PASS, observed=1.052, lower=1.021, upper=1.084,
            limit=1.1, unit="x", samples=20,
            message="p50 is 1.05x the incumbent's 2.7 ms over 20 block pairs (allowed 1.10)",
        ),
        Finding(
            name="failed inferences", word=Word.PASS, observed=0.0, limit=0.0, message="0 <= 0",
            query='sum(nv_inference_request_failure{serving_knative_dev_revision="r"})',
        ),
        Finding(name="p95", word=Word.INCONCLUSIVE, message="not judged", blocking=False),
    )  # fmt: skip
    reason = findings[0].message
    return Verdict(
        subject=subject, release_id="r7", stage="load test", word=word, reason=reason,
        findings=findings,
    )  # fmt: skip


def refusal(step: str, subject: Subject = SUBJECT, **evidence: Any) -> Refusal:
    """What a step writes that refuses."""
    reason = f"{step} does not want this model"
    return Refusal(subject=subject, step=step, word=Word.FAIL, reason=reason, **evidence)


def journal(result: Result) -> dict[str, Any]:
    """Staged, moved in three steps, and back again unless it was promoted."""
    shares = [(0, "STAGE", 0.0), (10, "SHIFT", 500.0), (50, "SHIFT", 800.0), (100, "SHIFT", 1100.0)]
    acts = [
        {
            "kind": kind, "percent": percent, "why": f"to {percent} %",
            "intended_s": BEGAN + at, "confirmed_s": BEGAN + at + 4,
        }
        for percent, kind, at in shares
    ]  # fmt: skip
    steps = tuple(
        TrafficStep(
            at_s=BEGAN + at + 280, percent=percent, revision="digits-predictor-00002",
            word=Word.PASS, message="no SLO is violated", requests=40 * percent, p50_ms=2.9,
            p95_ms=7.1, p99_ms=None if percent == 10 else 11.2, looks=looks(at, percent),
            findings=live_findings(40 * percent),
        )
        for percent, kind, at in shares[1:]
    )  # fmt: skip
    traffic = {"digits-predictor-00002": 100}
    if result is not Result.PROMOTED:
        back = {"kind": "RESTORE", "percent": 0, "why": "give back", "intended_s": BEGAN + 1400}
        acts.append(
            back | {"confirmed_s": None if result is Result.ROLLBACK_FAILED else BEGAN + 1410}
        )
        traffic = {"digits-predictor-00001": 100}
    ended = {
        "schema_version": 1, "kind": "Outcome", "subject": SUBJECT.model_dump(mode="json"),
        "release_id": "r7", "result": result.value, "reason": "so", "traffic": traffic,
        "steps": [step.model_dump(mode="json") for step in steps],
    }  # fmt: skip
    template = yaml.safe_load(PREDICTOR.format(replicas=2, digest="dddd"))
    return {
        "acts": acts, "outcome": ended, "alias": "alias champion names version 7", "template": template,
    }  # fmt: skip


def live_findings(requests: int) -> tuple[Finding, ...]:
    """What the live gate said of a share: a ratio, a quantile between two edges, and a count."""
    return (
        Finding(
            name="live traffic", word=Word.PASS, observed=requests, limit=100.0, samples=requests,
            message=f"{requests} candidate requests in 280 s",
        ),
        Finding(
            name="live errors", word=Word.PASS, observed=0.0005, lower=0.0001, upper=0.0042,
            limit=0.001, samples=requests, message="live requests answered 5xx, limit 0.001",
        ),
        Finding(
            name="live p99 latency", word=Word.PASS, observed=11.2, lower=10.0, unit="ms",
            limit=25.0, samples=requests, message="live p99: 3 requests over 25 ms",
        ),
    )  # fmt: skip


def looks(at: float, percent: int) -> tuple[LiveLook, ...]:
    """Too few requests at first, then enough."""
    words = [Word.INCONCLUSIVE] * 3 + [Word.PASS] * 5
    return tuple(
        LiveLook(
            at_s=BEGAN + at + 35 * n, word=word, requests=5 * n * percent,
            p99_ms=10.5 + (n * percent) % 7 if n else None,
            message={1: "only 0 of 100 candidate requests so far", 4: "no SLO is violated"}.get(n, ""),
        )
        for n, word in enumerate(words, 1)
    )  # fmt: skip


PREDICTOR = """minReplicas: {replicas}
model:
  modelFormat:
    name: triton
  protocolVersion: v2
  resources:
    limits:
      memory: 2Gi
  runtime: tidegate-triton
  storageUri: s3://models/digits/{digest}/
"""
CONFIG = """name: "digits"
backend: "onnxruntime"
max_batch_size: {batch}
input {{ name: "x" data_type: TYPE_FP32 dims: 64 }}
output {{ name: "label" data_type: TYPE_INT64 dims: 1 reshape {{ }} }}
instance_group {{ count: 1 kind: KIND_CPU }}
dynamic_batching {{ }}
"""


def configs() -> tuple[ConfigText, ...]:
    """The template and one config.pbtxt, each with a few changes."""
    return (
        ConfigText(
            name="InferenceService spec.predictor",
            incumbent=PREDICTOR.format(replicas=1, digest="1111"),
            candidate=PREDICTOR.format(replicas=2, digest="dddd"),
        ),
        ConfigText(
            name="digits/config.pbtxt",
            incumbent=CONFIG.format(batch=8),
            candidate=CONFIG.format(batch=16),
        ),
    )


def report(result: Result = Result.PROMOTED, **changes: Any) -> Report:
    """The whole release in one document."""
    known = Report(
        subject=SUBJECT, release_id="r7", result=result,
        reason="digits version 7 serves all of production as digits-predictor-00002",
        candidate=candidate(), optimized=optimized(), parity=parity(), deployment=deployment(), load=load(),
        verdict=verdict(), journal=journal(result), seconds={"load_test": 415.0, "traffic": 1104.0},
        configs=configs(), tools={"tidegate": "0.1.0", "Python": "3.11.7"},
    )  # fmt: skip
    return known.model_copy(update=changes)
