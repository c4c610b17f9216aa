"""The release as a Kubeflow pipeline: one line of steps, one branch on the word, one exit handler.

Compile with `make generate`; the committed release.yaml is what the Kubeflow UI gets and what
`tidegate release` runs on one machine.
"""

from kfp import dsl

from tidegate.orchestrators.surroundings import GPU_COUNT, GPU_RESOURCE, images
from tidegate.orchestrators.tasks import Run, name_branches, task

RUN = dsl.PIPELINE_JOB_ID_PLACEHOLDER


def draw(run: Run, policy: object, model_uri: object, namespace: object) -> None:
    """Resolve to conclude; one branch, on the word after the approval."""
    resolved = task(
        run, "resolve", policy=policy, release_id=RUN, model_uri=model_uri, namespace=namespace
    )
    settled = {"policy_document": resolved.outputs["policy_document"]}
    deployed, optimized, loaded, gated = _judged(run, resolved, settled)
    deployment = deployed.outputs["deployment"]
    owned = settled | {"release_id": RUN}
    approved = task(
        run, "await_approval", verdict_document=gated.outputs["verdict_document"], **owned
    )
    judged = owned | {"verdict_document": approved.outputs["approved_document"]}
    with dsl.If(approved.outputs["verdict"] == "PASS", name="passed"):
        promoted = task(run, "promote", deployment=deployment, **judged)
    with dsl.Else(name="otherwise"):
        name_branches("verdict")
        returned = task(run, "roll_back", **judged)
    ended = {
        name: dsl.OneOf(promoted.outputs[name], returned.outputs[name])
        for name in ("outcome", "reason")
    }
    reported = task(
        run,
        "report",
        candidate=resolved.outputs["candidate"],
        optimized=optimized.outputs["optimized"],
        deployment=deployment,
        load_report=loaded.outputs["load_report"],
        **judged,
        **ended,
    )
    task(run, "conclude", **settled, **ended).after(reported)


def _judged(
    run: Run, resolved: dsl.PipelineTask, settled: dict[str, object]
) -> tuple[dsl.PipelineTask, dsl.PipelineTask, dsl.PipelineTask, dsl.PipelineTask]:
    """From the model in the registry to the gate's word: deployed, optimized, loaded, gated."""
    owned = settled | {"release_id": RUN}
    fetched = task(run, "fetch", candidate=resolved.outputs["candidate"], **settled).outputs
    optimized = task(
        run, "optimize", fetched=fetched["fetched"], model_tree=fetched["model_tree"], **settled
    )
    model = optimized.outputs["optimized_model"]
    configured = task(
        run, "configure", optimized=optimized.outputs["optimized"], optimized_model=model, **settled
    ).outputs
    published = task(
        run,
        "publish",
        repository_document=configured["repository_document"],
        repository=configured["repository"],
        **settled,
    )
    deployed = task(run, "deploy", published=published.outputs["published"], **owned)
    deployment = deployed.outputs["deployment"]
    loaded = task(run, "load_test", deployment=deployment, optimized_model=model, **owned)
    report = loaded.outputs["load_report"]
    gated = task(run, "gate", load_report=report, deployment=deployment, **owned)
    return deployed, optimized, loaded, gated


@dsl.pipeline(
    name="tidegate-release",
    display_name="tidegate release",
    description="Releases one MLflow model version to KServe and Triton behind evidence.",
)
def release(
    policy: str,
    model_uri: str = "",
    namespace: str = "",
    steps_image: str = images()["steps"],
    loadtest_image: str = images()["loadtest"],
    optimize_image: str = images()["steps"],
    gpu_resource: str = GPU_RESOURCE,
    gpu_count: str = GPU_COUNT,
):
    """Release a model.

    Args:
        policy: The policy, by reference: configmap:<namespace>/<name>[/<key>], model:<artifact path>
            or base64:<text>.
        model_uri: Overrides the policy's model.uri; models:/name@alias, models:/name/version or runs:/…
        namespace: Overrides the policy's namespace.
        steps_image: What the steps run in; name it by its digest, so that caching is safe.
        loadtest_image: What the load test runs in.
        optimize_image: What optimize runs in; the tensorrt image for optimize.target tensorrt.
        gpu_resource: The kind of GPU for the steps that use one: nvidia.com/gpu, a MIG slice such as
            nvidia.com/mig-1g.10gb, or a shared one such as nvidia.com/gpu.shared.
        gpu_count: How many of them; 0 for a CPU target.
    """
    chosen = {"steps": steps_image, "loadtest": loadtest_image, "optimize": optimize_image}
    run = Run(chosen, gpu_resource, gpu_count)
    with dsl.ExitHandler(task(run, "guard", release_id=RUN, namespace=namespace), name="release"):
        draw(run, policy, model_uri, namespace)
