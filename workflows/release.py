"""The release as Argo workflows: the same line of steps as pipelines/release.py, drawn with Hera.

`make generate` writes the YAML beside this file. What differs from the Kubeflow drawing: a suspended node
asks for the approval, a mutex queues the releases, and only exit 75 is tried again.
"""

from collections.abc import Sequence

from hera.workflows import (
    DAG,
    ClusterWorkflowTemplate,
    Counter,
    EmptyDirVolume,
    Gauge,
    Label,
    Parameter,
    Suspend,
    Workflow,
    WorkflowTemplate,
)
from hera.workflows.models import (
    Mutex,
    PodGC,
    Synchronization,
    TTLStrategy,
    ValueFrom,
    WorkflowTemplateRef,
)

from tidegate.core.approval import UNDECIDED
from tidegate.orchestrators.stores import RUN, Bucket, Claim, Store
from tidegate.orchestrators.surroundings import GPU_COUNT, GPU_RESOURCE, images
from tidegate.orchestrators.templates import template
from tidegate.orchestrators.wiring import Drawn, File, own, task
from tidegate.steps.registry import steps

NAME = "tidegate-release"
STEPS = (
    "resolve", "fetch", "optimize", "configure", "publish", "deploy", "load_test", "gate",
    "await_approval", "promote", "roll_back", "report", "conclude", "guard",
)  # fmt: skip
DECIDED = "inputs.parameters.verdict == 'PASS' ? tasks.promote.{0} : tasks['roll-back'].{0}"
ASKED = "inputs.parameters.approval == 'manual' && inputs.parameters.verdict == 'PASS'"


# -- the line of steps


def release_dag(store: Store) -> DAG:
    """Resolve to conclude; one branch, on the word after the approval."""
    inputs = [Parameter(name="policy"), *optional("model_uri", "namespace")]
    with DAG(name="release", inputs=inputs) as dag:
        resolved = task(
            store, "resolve", policy=own("policy"), model_uri=own("model_uri"),
            namespace=own("namespace"), release_id=RUN,
        )  # fmt: skip
        settled: dict[str, str | File] = {"policy_document": resolved.file("policy_document")}
        deployed, optimized, loaded, gated = _judged(store, resolved, settled)
        owned = settled | {"release_id": RUN}
        asked = task(
            store, "ask", verdict=gated.value("verdict"), approval=resolved.value("approval"),
            approval_timeout_s=resolved.value("approval_timeout_s"),
        )  # fmt: skip
        approved = task(
            store, "await-approval", verdict_document=gated.file("verdict_document"),
            decision=asked.value("decision"), **owned,
        )  # fmt: skip
        judged = owned | {"verdict_document": approved.file("approved_document")}
        decided = task(
            store, "decide", verdict=approved.value("verdict"),
            deployment=deployed.file("deployment"), **judged,
        )  # fmt: skip
        ended = {"outcome": decided.value("outcome"), "reason": decided.value("reason")}
        reported = task(
            store, "report", candidate=resolved.file("candidate"),
            optimized=optimized.file("optimized"), deployment=deployed.file("deployment"),
            load_report=loaded.file("load_report"), **judged, **ended,
        )  # fmt: skip
        task(store, "conclude", after=(reported.name,), **settled, **ended)
    return dag


def _judged(
    store: Store, resolved: Drawn, settled: dict[str, str | File]
) -> tuple[Drawn, Drawn, Drawn, Drawn]:
    """From the model in the registry to the gate's word: deployed, optimized, loaded, gated."""
    owned = settled | {"release_id": RUN}
    fetched = task(store, "fetch", candidate=resolved.file("candidate"), **settled)
    optimized = task(
        store, "optimize", fetched=fetched.file("fetched"), model_tree=fetched.file("model_tree"),
        **settled,
    )  # fmt: skip
    model = optimized.file("optimized_model")
    configured = task(
        store, "configure", optimized=optimized.file("optimized"), optimized_model=model, **settled
    )
    published = task(
        store, "publish", repository_document=configured.file("repository_document"),
        repository=configured.file("repository"), **settled,
    )  # fmt: skip
    deployed = task(store, "deploy", published=published.file("published"), **owned)
    deployment = deployed.file("deployment")
    loaded = task(store, "load-test", deployment=deployment, optimized_model=model, **owned)
    gated = task(
        store, "gate", load_report=loaded.file("load_report"), deployment=deployment, **owned
    )
    return deployed, optimized, loaded, gated


def ask_dag(store: Store) -> DAG:
    """Suspends the workflow for a person, where the policy wants one and the gate said PASS."""
    inputs = [Parameter(name=name) for name in ("verdict", "approval", "approval_timeout_s")]
    told = f"{ASKED} ? tasks.hold.outputs.parameters.decision : ''"
    outputs = [Parameter(name="decision", value_from=ValueFrom(expression=told))]
    with DAG(name="ask", inputs=inputs, outputs=outputs) as dag:
        when = f"{own('approval')} == manual && {own('verdict')} == PASS"
        task(store, "hold", when=when, approval_timeout_s=own("approval_timeout_s"))
    return dag


def hold() -> Suspend:
    """Approve or reject by resuming the node with a decision; time passes as undecided."""
    decision = ValueFrom(supplied={}, default=UNDECIDED)
    return Suspend(
        name="hold",
        duration=own("approval_timeout_s"),
        inputs=[
            Parameter(name="approval_timeout_s"),
            Parameter(name="decision", default=UNDECIDED, enum=["approve", "reject", UNDECIDED]),
        ],
        outputs=[Parameter(name="decision", value_from=decision)],
    )


def decide_dag(store: Store) -> DAG:
    """Promote on PASS, roll back on every other word."""
    files = ("deployment", "policy_document", "verdict_document")
    inputs = [*map(store.passed, files), Parameter(name="verdict"), Parameter(name="release_id")]
    outputs = [
        Parameter(
            name=name,
            value_from=ValueFrom(expression=DECIDED.format(f"outputs.parameters.{name}")),
        )
        for name in ("outcome", "reason")
    ]
    judged: dict[str, str | File] = {
        "verdict_document": File("", "verdict_document"),
        "policy_document": File("", "policy_document"),
        "release_id": own("release_id"),
    }
    with DAG(name="decide", inputs=inputs, outputs=outputs) as dag:
        verdict = own("verdict")
        deployment = File("", "deployment")
        task(store, "promote", when=f"{verdict} == PASS", deployment=deployment, **judged)
        task(store, "roll-back", when=f"{verdict} != PASS", **judged)
    return dag


def exit_dag(store: Store) -> DAG:
    """Runs whatever became of the workflow, but for `argo terminate`; sweep is for that."""
    with DAG(name="exit") as dag:
        task(store, "guard", release_id=RUN, namespace="{{workflow.parameters.namespace}}")
    return dag


# -- the documents


def optional(*names: str) -> list[Parameter]:
    """Parameters that may be left out."""
    return [Parameter(name=name, default="") for name in names]


def arguments(store: Store) -> list[Parameter]:
    """What a run is given; everything but the policy has a value."""
    chosen = {
        "model_uri": "",
        "namespace": "",
        "queue": "default",
        **{f"{kind}_image": image for kind, image in images().items()},
        "optimize_image": images()["steps"],
        "gpu_resource": GPU_RESOURCE,
        "gpu_count": GPU_COUNT,
        **({"claim": "tidegate"} if isinstance(store, Claim) else {}),
    }
    given = [Parameter(name=name, value=value) for name, value in chosen.items()]
    return [Parameter(name="policy", description="The policy, by reference: see resolve"), *given]


def templates(store: Store, names: Sequence[str] = STEPS) -> list[object]:
    """Every template of a release."""
    known = steps()
    return [
        release_dag(store), ask_dag(store), hold(), decide_dag(store), exit_dag(store),
        *(template(known[name], store) for name in names),
    ]  # fmt: skip


def housekeeping(store: Store) -> dict[str, object]:
    """What every kind of workflow has: a queue, an end to its pods and records, and its numbers."""
    status = Label(key="status", value="{{workflow.status}}")
    return {
        "on_exit": "exit",
        "synchronization": Synchronization(
            mutexes=[Mutex(name="tidegate-{{workflow.parameters.queue}}")]
        ),
        "ttl_strategy": TTLStrategy(
            seconds_after_success=604800, seconds_after_failure=2592000
        ),
        "pod_gc": PodGC(strategy="OnPodSuccess", delete_delay_duration="600s"),
        "archive_logs": store.keeps_logs,
        "volumes": [*store.volumes(), EmptyDirVolume(name="tmp")],
        "labels": {"app.kubernetes.io/part-of": "tidegate"},
        "metrics": [
            Gauge(
                name="tidegate_run_seconds", help="How long a run of tidegate took.", labels=[status],
                value="{{workflow.duration}}", realtime=False,
            ),
            Counter(
                name="tidegate_runs_total", help="Runs of tidegate that ended.", labels=[status],
                value="1",
            ),
        ],
    }  # fmt: skip


def workflow_template(
    store: Store, name: str = NAME, kind: type[WorkflowTemplate] = WorkflowTemplate
) -> WorkflowTemplate:
    """The release, to be started from `argo submit --from`, the UI, or a schedule."""
    return kind(
        name=name,
        entrypoint="release",
        arguments=arguments(store),
        templates=templates(store),
        **housekeeping(store),
    )


def submission() -> Workflow:
    """For `argo submit`: one run of the template, its policy to be filled in."""
    return Workflow(
        generate_name=f"{NAME}-",
        workflow_template_ref=WorkflowTemplateRef(name=NAME),
        arguments=[
            Parameter(name="policy", value="configmap:default/tidegate-policy"),
            Parameter(name="model_uri", value=""),
        ],
    )


def documents() -> dict[str, Workflow]:
    """File name -> workflow."""
    return {
        "release.yaml": workflow_template(Bucket()),
        "release-cluster.yaml": workflow_template(Bucket(), kind=ClusterWorkflowTemplate),
        "release-on-claim.yaml": workflow_template(Claim(), name=f"{NAME}-on-claim"),
        "submit.yaml": submission(),
    }
