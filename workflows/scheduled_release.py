"""Retrain, register, release, by a CronWorkflow: the same as pipelines/scheduled_release.py, with Hera."""

from hera.workflows import DAG, CronWorkflow, Parameter, Workflow, WorkflowTemplate
from hera.workflows.models import WorkflowTemplateRef

from tidegate.orchestrators.stores import RUN, Bucket, Store
from tidegate.orchestrators.surroundings import TRAINER
from tidegate.orchestrators.wiring import own, task
from workflows.release import STEPS, arguments, housekeeping, optional, templates

NAME = "tidegate-scheduled-release"


def scheduled_dag(store: Store) -> DAG:
    """Nothing new is nothing done."""
    inputs = [
        Parameter(name="policy"),
        Parameter(name="train_command"),
        *optional("namespace"),
    ]
    with DAG(name="scheduled", inputs=inputs) as dag:
        trained = task(store, "train", command=own("train_command"), release_id=RUN)
        given = {"policy": own("policy"), "namespace": own("namespace")}
        triggered = task(
            store, "trigger", release_id=RUN, model_uri=trained.value("model_uri"), **given
        )
        due = f"{triggered.value('due')} == YES"
        uri = triggered.value("pinned_uri")
        task(store, "release", when=due, model_uri=uri, **given)
    return dag


def scheduled_template(store: Store) -> WorkflowTemplate:
    """The release with a training before it; the trainer's image has no value of ours."""
    own_values = [
        Parameter(name="trainer_image", description="Your own: training code, and tidegate"),
        Parameter(name="train_command", description="By a shell; see the component train"),
    ]
    common = [p for p in arguments(store) if p.name != "model_uri"]
    return WorkflowTemplate(
        name=NAME,
        entrypoint="scheduled",
        arguments=[*common, *own_values],
        templates=[scheduled_dag(store), *templates(store, (*STEPS, "train", "trigger"))],
        **housekeeping(store),
    )


def cron() -> CronWorkflow:
    """Sundays at three; a run that is late waits for nobody, and one that still runs is not joined."""
    return CronWorkflow(
        name=NAME,
        schedules=["0 3 * * 0"],
        timezone="UTC",
        concurrency_policy="Forbid",
        starting_deadline_seconds=3600,
        successful_jobs_history_limit=4,
        failed_jobs_history_limit=4,
        workflow_template_ref=WorkflowTemplateRef(name=NAME),
        arguments=[
            Parameter(name="policy", value="configmap:default/tidegate-policy"),
            Parameter(name="trainer_image", value=TRAINER),
            Parameter(
                name="train_command",
                value='python3 trainer.py --output "$TIDEGATE_MODEL_URI_FILE"',
            ),
        ],
    )


def documents() -> dict[str, Workflow]:
    """File name -> workflow."""
    return {"scheduled-release.yaml": scheduled_template(Bucket()), "cron.yaml": cron()}
