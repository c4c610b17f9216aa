"""Which of transformers' models have an answer of a fixed form. Pure.

An encoder reads a whole text at once and answers once. What writes text asks itself again for each token, by
a loop and a cache that no single graph has.
https://huggingface.co/docs/transformers/main/en/main_classes/pipelines
"""

from collections.abc import Mapping

# A pipeline's task (MLflow's `task`) -> how the name of a class ends that answers it.
HEADS: Mapping[str, str] = {
    "text-classification": "ForSequenceClassification",
    "sentiment-analysis": "ForSequenceClassification",
    "token-classification": "ForTokenClassification",
    "ner": "ForTokenClassification",
    "feature-extraction": "Model",
}
REMEDY = "serve it by its own runtime, or export what you need of it and log that as onnx"


def complaint(task: str, kind: str, *, adapted: bool) -> str:
    """Why a model of this task and class is not converted, or ''.

    Args:
        task: The pipeline's, as MLflow noted it down.
        kind: Name of the model's class.
        adapted: Its weights are an adapter's (PEFT), whose base model is elsewhere.
    """
    head = HEADS.get(task)
    if head is None:
        return (
            f"has task {task or 'of no name'}, which is not converted: only {', '.join(HEADS)} have an "
            f"answer of a fixed form; {REMEDY}"
        )
    if not kind.endswith(head):
        return (
            f"is a {kind or 'model of no class'}, task {task} is answered by a class named ...{head}; "
            "log it with the task that it was made for"
        )
    if adapted:
        return (
            "is an adapter without its base model; merge it (merge_and_unload()) and log the whole"
        )
    return ""


def labels(task: str, names: Mapping[int, str]) -> tuple[str, ...]:
    """Names of the classes of a whole text, in the order of its scores; tokens have a row of scores each."""
    if HEADS.get(task) != HEADS["text-classification"]:
        return ()
    return tuple(str(names[index]) for index in sorted(names))
