"""The rules that find out why a revision does not get ready, from what the cluster shows. Pure.

Behind them: Knative shows a crash only from the last termination of a pod's main container, and an
init container's failure not before the progress deadline (knative/serving pkg/reconciler/revision/
reconcile_resources.go:88-131); KServe's modelStatus keeps `Pending` for image pulls and scheduling, takes a
restart after a storage blip for a failed load, and never clears lastFailureInfo (kserve pkg/apis/serving/
v1beta1/inference_service_status.go:730-830). So the pods are looked at, and lastFailureInfo alone is nothing.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from math import inf

from tidegate.core.diagnosis import Diagnosis, Reason
from tidegate.core.last_words import has_load_failure, last_words
from tidegate.core.symptoms import STORAGE_INITIALIZER, Container, Said, Symptoms

BLIP_S = 10.0  # a container that ended is tried again
PULL_S = 20.0  # a registry that did not answer is asked again
MOUNT_S = 30.0  # a secret or a volume may come a moment after the pod
CAPACITY_S = 40.0  # other pods may leave
SEEN_THRICE = 2  # restarts after which a container has failed three times


def diagnose(symptoms: Symptoms) -> Diagnosis | None:
    """The first certain diagnosis, else the first suspicion; None when nothing shows.

    After the progress deadline a suspicion is certain: what was suspected has kept it down all along.
    """
    found = [diagnosis for rule in RULES if (diagnosis := rule(symptoms))]
    late = _deadline(symptoms)
    if late:
        found = [replace(diagnosis, persist_s=0.0) for diagnosis in found] or [late]
    chosen = next((d for d in found if d.certain), None) or next(iter(found), None)
    return replace(chosen, unseen=symptoms.unseen) if chosen else None


def webhook_rejection(said: str) -> Diagnosis | None:
    """The API's answer to a write of ours, when an admission webhook or the schema refused it."""
    if not any(word in said for word in _REFUSED):
        return None
    return Diagnosis(reason=Reason.WEBHOOK_REJECTED, words=_line(said))


# -- rules: the spec

_REFUSED = ("admission webhook", "denied the request", "HTTP 422", "violates PodSecurity")
_UNANSWERED = "failed calling webhook"
_NO_RUNTIME = ("NoSupportingRuntime", "RuntimeNotRecognized", "RuntimeDisabled")


def _rejected(symptoms: Symptoms) -> Diagnosis | None:
    """New warnings are about our spec; a condition may still be about the one before."""
    for said in symptoms.warnings:
        if _UNANSWERED in said:
            return _suspect(Reason.WEBHOOK_REJECTED, said, MOUNT_S)
        if any(word in said for word in _REFUSED):
            return _certain(Reason.WEBHOOK_REJECTED, said)
    refusal = symptoms.refusal
    if refusal.reason == "ReconcileFailed" and any(w in refusal.message for w in _REFUSED):
        return _suspect(Reason.WEBHOOK_REJECTED, refusal.message, BLIP_S)
    return None


def _no_runtime(symptoms: Symptoms) -> Diagnosis | None:
    if symptoms.transition != "InvalidSpec" or symptoms.failure.reason not in _NO_RUNTIME:
        return None
    if symptoms.failure.message in symptoms.warnings:
        return _certain(Reason.RUNTIME_NOT_FOUND, symptoms.failure.message)
    return _suspect(Reason.RUNTIME_NOT_FOUND, symptoms.failure.message, BLIP_S)


# -- rules: before a container runs

_PULLS = (
    "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError",
    "RegistryUnavailable", "SignatureValidationFailed",
)  # fmt: skip
_NEVER_PULLED = re.compile(
    r"not found|manifest unknown|name unknown|denied|unauthorized|forbidden|no basic auth"
    r"|InvalidImageName|ErrImageNeverPull",
    re.IGNORECASE,
)
_UNCREATED = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
_UNMOUNTED = ("FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox")


def _image(symptoms: Symptoms) -> Diagnosis | None:
    for said in symptoms.troubles:
        if said.reason == "ContainerMissing":  # Knative could not resolve the image to a digest
            return _certain(Reason.IMAGE_PULL, said.message)
    waiting = (container.waiting for container in symptoms.containers())
    stuck = next((said for said in (*waiting, *symptoms.troubles) if said.reason in _PULLS), None)
    if stuck is None:
        return None
    event = symptoms.event("Failed", saying="pull image")
    told = event.message if event else stuck.message
    words = f"{stuck.reason}: {told}"
    is_final = _NEVER_PULLED.search(words)
    return _suspect(Reason.IMAGE_PULL, words, 0.0 if is_final else PULL_S)


def _config(symptoms: Symptoms) -> Diagnosis | None:
    for container in symptoms.containers():
        if container.waiting.reason in _UNCREATED:
            words = f"{container.waiting.reason}: {container.waiting.message}"
            return _suspect(Reason.CONFIG_ERROR, words, BLIP_S)
    event = symptoms.event(*_UNMOUNTED)
    begun = any(c.is_running or c.is_ready or c.ended for c in symptoms.containers())
    done = any(c.is_init and not c.waiting.reason for c in symptoms.containers())
    if event and symptoms.pods and not begun and not done:
        return _suspect(Reason.CONFIG_ERROR, f"{event.reason}: {event.message}", MOUNT_S)
    return None


def _unschedulable(symptoms: Symptoms) -> Diagnosis | None:
    shown = [pod.unscheduled for pod in symptoms.pods if pod.unscheduled]
    said = next((s for s in (*shown, *symptoms.troubles) if s.reason == "Unschedulable"), None)
    if said is None:
        return None
    news = symptoms.event("TriggeredScaleUp", "NotTriggerScaleUp")
    words = f"{said.message} ({news.message})" if news else said.message
    is_growing = news is not None and news.reason == "TriggeredScaleUp"
    return _suspect(Reason.UNSCHEDULABLE, words, inf if is_growing else CAPACITY_S)


def _uncreated(symptoms: Symptoms) -> Diagnosis | None:
    """The pod itself was refused: by the quota, by a webhook, or for what it names."""
    event = None if symptoms.pods else symptoms.event("FailedCreate")
    shown = [Said(reason=event.reason, message=event.message)] if event else []
    failed = (said for said in (*symptoms.troubles, *shown) if said.reason == "FailedCreate")
    message = next(failed, Said()).message
    if not message:
        return None
    if "exceeded quota" in message:
        return _suspect(Reason.QUOTA, message, CAPACITY_S)
    is_refused = any(word in message for word in (*_REFUSED, _UNANSWERED))
    reason = Reason.WEBHOOK_REJECTED if is_refused else Reason.CONFIG_ERROR
    return _suspect(reason, message, MOUNT_S)


def _evicted(symptoms: Symptoms) -> Diagnosis | None:
    """A Deployment makes another pod, so only the newest pod's fate counts."""
    newest = symptoms.pods[0] if symptoms.pods else None
    if newest is None or newest.phase != "Failed" or not newest.said.reason:
        return None
    return _suspect(Reason.EVICTED, f"{newest.said.reason}: {newest.said.message}", PULL_S)


# -- rules: containers that ended

_NEVER_FETCHED = re.compile(
    r"No ?Such ?(Bucket|Key|File)|AccessDenied|Access Denied|InvalidAccessKeyId"
    r"|SignatureDoesNotMatch|Unable to locate credentials|No model found|not found|does not exist"
    r"|\b40[134]\b|Forbidden|Unauthorized|Cannot recognize storage",
    re.IGNORECASE,
)


_KNATIVES = "Container failed with: "  # what Knative puts before a container's last words


def _storage(symptoms: Symptoms) -> Diagnosis | None:
    """An init container that failed. It is started again at once, then after 10 s, 20 s, 40 s, ..."""
    for container in symptoms.containers():
        if not container.is_init or not container.ended:
            continue
        words = _with_exit(symptoms, container)
        storage = STORAGE_INITIALIZER in container.name
        reason = Reason.STORAGE_INITIALIZER if storage else Reason.CONFIG_ERROR
        is_killed = container.ended.reason == "OOMKilled"
        if is_killed or container.restarts >= SEEN_THRICE or _NEVER_FETCHED.search(words):
            return _certain(reason, words)
        return _suspect(reason, words, inf if container.is_running else BLIP_S)
    return None


def _out_of_memory(symptoms: Symptoms) -> Diagnosis | None:
    for container in _servers(symptoms):
        if container.ended and container.ended.reason == "OOMKilled":
            return _certain(Reason.OUT_OF_MEMORY, _with_exit(symptoms, container))
    return None


def _model_load(symptoms: Symptoms) -> Diagnosis | None:
    """Triton ends when a model does not load; with --exit-on-error=false it goes on, never ready."""
    for container in _servers(symptoms):
        if not has_load_failure(symptoms.words(container)):
            continue
        if container.ended:
            return _certain(Reason.MODEL_LOAD, _with_exit(symptoms, container))
        return _suspect(Reason.MODEL_LOAD, last_words(symptoms.words(container)), PULL_S)
    return None


def _crash_loop(symptoms: Symptoms) -> Diagnosis | None:
    """Any other end of a server. Knative speaks of an exit also while the server loads again."""
    blamed = any(said.reason.startswith("ExitCode") for said in symptoms.troubles)
    for container in _servers(symptoms):
        if not container.ended:
            continue
        words = _with_exit(symptoms, container)
        if container.restarts >= SEEN_THRICE or (blamed and not container.is_running):
            return _certain(Reason.CRASH_LOOP, words)
        return _suspect(Reason.CRASH_LOOP, words, inf if container.is_running else BLIP_S)
    return None


def _hidden(symptoms: Symptoms) -> Diagnosis | None:
    """Pods that may not be read: what Knative and KServe pass on. KServe's words may be of an older failure,
    so where pods can be read and there are none, they count for nothing."""
    if symptoms.pods:
        return None
    for said in symptoms.troubles:
        if said.reason.startswith("ExitCode"):
            words = said.message.removeprefix(_KNATIVES)
            return _certain(_ended_by(words), f"{said.reason}: {last_words(words.splitlines())}")
    if symptoms.unseen and symptoms.transition == "BlockedByFailedLoad":
        words = symptoms.failure.message
        is_storage = _NEVER_FETCHED.search(words) and not has_load_failure(words.splitlines())
        reason = Reason.STORAGE_INITIALIZER if is_storage else _ended_by(words)
        return _suspect(reason, last_words(words.splitlines()), BLIP_S)
    return None


def _ended_by(words: str) -> Reason:
    return Reason.MODEL_LOAD if has_load_failure(words.splitlines()) else Reason.CRASH_LOOP


def _deadline(symptoms: Symptoms) -> Diagnosis | None:
    for said in symptoms.troubles:
        if said.reason == "ProgressDeadlineExceeded":
            return _certain(Reason.PROGRESS_DEADLINE, said.message or said.reason)
    return None


RULES: tuple[Callable[[Symptoms], Diagnosis | None], ...] = (
    _rejected, _no_runtime, _image, _config, _storage, _out_of_memory, _model_load, _crash_loop,
    _unschedulable, _uncreated, _evicted, _hidden,
)  # fmt: skip


def _servers(symptoms: Symptoms) -> list[Container]:
    return [c for c in symptoms.containers() if not c.is_init and not c.is_ready]


def _with_exit(symptoms: Symptoms, container: Container) -> str:
    """How it ended, and its last words."""
    ended = container.ended
    said = last_words(symptoms.words(container)) or "no last words"
    how = f"{ended.reason or 'ended'}, exit code {ended.exit_code}" if ended else "running"
    return f"{container.name} ({how}): {said}"


def _certain(reason: Reason, words: str) -> Diagnosis:
    return _suspect(reason, words, 0.0)


def _suspect(reason: Reason, words: str, persist_s: float) -> Diagnosis:
    return Diagnosis(reason=reason, words=_line(words), persist_s=persist_s)


def _line(text: str) -> str:
    return " ".join(text.split()) or "the cluster gives no words for it"
