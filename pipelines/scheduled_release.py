"""Retrain, register, release: the pipeline for a recurring run. Nothing new is nothing done, and green.

The training is yours: an image with tidegate's wheel in it, and a command (see the component `train`).
"""

from kfp import dsl

from pipelines.release import RUN, draw
from tidegate.orchestrators.surroundings import GPU_COUNT, GPU_RESOURCE, images
from tidegate.orchestrators.tasks import Run, task


@dsl.pipeline(name="tidegate-release-if-due")
def release_if_due(
    due: str,
    policy: str,
    model_uri: str,
    namespace: str,
    steps_image: str,
    loadtest_image: str,
    optimize_image: str,
    gpu_resource: str,
    gpu_count: str,
):
    """The release, where the trigger said YES.

    A pipeline of its own: kfp's local runner (2.17) looks for what a condition names among the inputs of
    the DAG that it is in, and skips the branch without a word when that is an output of a task beside it.
    """
    chosen = {"steps": steps_image, "loadtest": loadtest_image, "optimize": optimize_image}
    run = Run(chosen, gpu_resource, gpu_count)
    with dsl.If(due == "YES", name="new"):
        draw(run, policy, model_uri, namespace)


@dsl.pipeline(
    name="tidegate-scheduled-release",
    display_name="tidegate scheduled release",
    description="Trains, and releases what came of it, once for each new version.",
)
def scheduled_release(
    policy: str,
    trainer_image: str,
    train_command: str,
    namespace: str = "",
    steps_image: str = images()["steps"],
    loadtest_image: str = images()["loadtest"],
    optimize_image: str = images()["steps"],
    gpu_resource: str = GPU_RESOURCE,
    gpu_count: str = GPU_COUNT,
):
    """Train and release.

    Args:
        policy: The policy, by reference: configmap:<namespace>/<name>[/<key>], model:<artifact path>
            or base64:<text>.
        trainer_image: Your own: the training code, and tidegate.
        train_command: By a shell; it writes the model URI to $TIDEGATE_MODEL_URI_FILE.
        namespace: Overrides the policy's namespace.
        steps_image: What the steps run in; name it by its digest, so that caching is safe.
        loadtest_image: What the load test runs in.
        optimize_image: What optimize runs in; the tensorrt image for optimize.target tensorrt.
        gpu_resource: The kind of GPU for the steps that use one, the training included.
        gpu_count: How many of them; 0 for none.
    """
    chosen = {
        "steps": steps_image,
        "loadtest": loadtest_image,
        "optimize": optimize_image,
        "trainer": trainer_image,
    }
    run = Run(chosen, gpu_resource, gpu_count)
    with dsl.ExitHandler(task(run, "guard", release_id=RUN, namespace=namespace), name="release"):
        trained = task(run, "train", command=train_command, release_id=RUN)
        triggered = task(
            run,
            "trigger",
            policy=policy,
            release_id=RUN,
            model_uri=trained.outputs["model_uri"],
            namespace=namespace,
        )
        release_if_due(
            due=triggered.outputs["due"],
            policy=policy,
            model_uri=triggered.outputs["pinned_uri"],
            namespace=namespace,
            steps_image=steps_image,
            loadtest_image=loadtest_image,
            optimize_image=optimize_image,
            gpu_resource=gpu_resource,
            gpu_count=gpu_count,
        ).set_display_name("release if due")
