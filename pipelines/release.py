"""The release as a Kubeflow pipeline: one line of steps, one branch on the gate's word, one exit handler.

Compile with `make generate`; the committed release.yaml is what the Kubeflow UI gets and what
`tidegate release` runs on one machine.
"""

from pathlib import Path

from kfp import compiler, dsl, kubernetes

from tidegate.config import VARIABLES
from tidegate.orchestrators.components import components
from tidegate.steps.registry import steps

STEP = components()
CACHEABLE = {name for name, step in steps().items() if step.cacheable}
# Read by the steps, never decided by them; a ConfigMap `tidegate` in the pipeline's namespace.
ENVIRONMENT = {
    VARIABLES[field]: VARIABLES[field]
    for field in ("mlflow_tracking_uri", "prometheus_url", "ingress_url", "storage_uri")
}


def task(name: str, **arguments: object) -> dsl.PipelineTask:
    """One step of the release, with its caching, its name in the UI and its environment."""
    created = STEP[name](**arguments)
    created.set_caching_options(name in CACHEABLE)
    created.set_display_name(name.replace("_", "-"))
    kubernetes.use_config_map_as_env(
        created, config_map_name="tidegate", config_map_key_to_env=ENVIRONMENT
    )
    return created


@dsl.pipeline(
    name="tidegate-release",
    display_name="tidegate release",
    description="Releases one MLflow model version to KServe and Triton behind evidence.",
)
def release(policy: str, model_uri: str = "", namespace: str = ""):
    """Release a model.

    Args:
        policy: The policy, by reference: configmap:<namespace>/<name>[/<key>], model:<artifact path>
            or base64:<text>.
        model_uri: Overrides the policy's model.uri.
        namespace: Overrides the policy's namespace.
    """
    run = dsl.PIPELINE_JOB_ID_PLACEHOLDER
    with dsl.ExitHandler(task("guard", release_id=run, namespace=namespace), name="release"):
        resolved = task(
            "resolve", policy=policy, release_id=run, model_uri=model_uri, namespace=namespace
        )
        settled = {"policy_document": resolved.outputs["policy_document"]}
        owned = settled | {"release_id": run}
        fetched = task("fetch", candidate=resolved.outputs["candidate"], **settled)
        optimized = task(
            "optimize",
            fetched=fetched.outputs["fetched"],
            model_tree=fetched.outputs["model_tree"],
            **settled,
        )
        configured = task(
            "configure",
            optimized=optimized.outputs["optimized"],
            optimized_model=optimized.outputs["optimized_model"],
            **settled,
        )
        published = task(
            "publish",
            repository_document=configured.outputs["repository_document"],
            repository=configured.outputs["repository"],
            **settled,
        )
        deployed = task("deploy", published=published.outputs["published"], **owned)
        loaded = task(
            "load_test",
            deployment=deployed.outputs["deployment"],
            optimized_model=optimized.outputs["optimized_model"],
            **owned,
        )
        gated = task(
            "gate",
            load_report=loaded.outputs["load_report"],
            deployment=deployed.outputs["deployment"],
            **owned,
        )
        judged = owned | {"verdict_document": gated.outputs["verdict_document"]}
        with dsl.If(gated.outputs["verdict"] == "PASS", name="passed"):
            promoted = task("promote", deployment=deployed.outputs["deployment"], **judged)
        with dsl.Else(name="otherwise"):
            returned = task("roll_back", **judged)
        outcome = dsl.OneOf(promoted.outputs["outcome"], returned.outputs["outcome"])
        reason = dsl.OneOf(promoted.outputs["reason"], returned.outputs["reason"])
        reported = task(
            "report",
            candidate=resolved.outputs["candidate"],
            optimized=optimized.outputs["optimized"],
            deployment=deployed.outputs["deployment"],
            load_report=loaded.outputs["load_report"],
            outcome=outcome,
            reason=reason,
            **judged,
        )
        task("conclude", outcome=outcome, reason=reason, **settled).after(reported)


if __name__ == "__main__":
    compiler.Compiler().compile(release, str(Path(__file__).with_suffix(".yaml")))
