"""The pod that stands for a revision's server: its manifest, and its status from the runtime. Pure."""

from collections.abc import Iterable
from dataclasses import replace

from tidegate.core.quantity import amount
from tidegate.sandbox import kserve_command, router_command
from tidegate.sandbox.api.kinds import Json
from tidegate.sandbox.controllers import components
from tidegate.sandbox.controllers.objects import reference
from tidegate.sandbox.controllers.template import SOURCE
from tidegate.sandbox.controllers.troubles import (
    CONFIG_ERROR,
    IMAGE_PULL,
    NO_NODE,
    OUT_OF_MEMORY,
    STORAGE_FAILED,
    STORAGE_INITIALIZER,
)
from tidegate.sandbox.interfaces import Program, RevisionSpec, RevisionStatus

UNSTARTED = (IMAGE_PULL, CONFIG_ERROR)
REVISION = "serving.knative.dev/revision"
TRANSFORMER = "transformer-container"
_INIT, _MAIN = STORAGE_INITIALIZER, "kserve-container"


def labels(revision: Json) -> dict[str, str]:
    """What Knative and KServe put on a pod, the predictor's own labels among it."""
    meta = revision["metadata"]
    own = {
        REVISION: meta["name"],
        "serving.knative.dev/revisionUID": meta["uid"],
        "app": meta["name"],
    }
    found: dict[str, str] = dict(meta.get("labels", {}))
    return found | own


def manifest(revision: Json) -> Json:
    """The pod without status; its name is generated, as a Deployment would."""
    meta = revision["metadata"]
    uri = meta.get("annotations", {}).get(SOURCE, "")
    return {
        "metadata": {
            "generateName": f"{meta['name']}-deployment-", "labels": labels(revision),
            "annotations": meta.get("annotations", {}), "ownerReferences": [reference(revision)],
        },
        "spec": containers_for(revision["spec"]["containers"], uri),
    }  # fmt: skip


def containers_for(containers: list[Json], uri: str) -> Json:
    """The containers of a pod, with the one that fetches the model before them, if there is one."""
    if not uri:
        return {"containers": containers}
    init = {"name": _INIT, "image": "kserve/storage-initializer", "args": [uri, "/mnt/models"]}
    return {"initContainers": [init], "containers": containers}


def spec(revision: Json) -> RevisionSpec:
    """What the runtime has to know."""
    meta, found = revision["metadata"], labels(revision)
    if router_command.LABEL in found:
        return _of_router(revision, found)
    if found.get("component", components.PREDICTOR) != components.PREDICTOR:
        return _of_component(revision, found)
    container = next(iter(revision["spec"]["containers"]))
    return RevisionSpec(
        namespace=meta["namespace"], name=meta["name"],
        service=found["serving.knative.dev/service"],
        inferenceservice=found.get("serving.kserve.io/inferenceservice", ""),
        storage_uri=meta.get("annotations", {}).get(SOURCE, ""), labels=found,
        format=kserve_command.format_of(str(container.get("image", ""))), args=own_args(container),
        env={e["name"]: str(e.get("value", "")) for e in container.get("env", [])},
        memory_bytes=memory_limit(container), program=program(revision["spec"]["containers"]),
    )  # fmt: skip


def _of_component(revision: Json, found: dict[str, str]) -> RevisionSpec:
    """A transformer or an explainer of its own: one program, which asks the predictor by its name."""
    meta, (container,) = revision["metadata"], revision["spec"]["containers"]
    namespace, isvc = meta["namespace"], found["serving.kserve.io/inferenceservice"]
    names = (isvc, *(components.service_name(isvc, one) for one in components.ALL))
    return RevisionSpec(
        namespace=namespace, name=meta["name"], service=found["serving.knative.dev/service"],
        inferenceservice=isvc, storage_uri="", labels=found, memory_bytes=memory_limit(container),
        program=alone(container, [f"{name}.{namespace}" for name in names]),
    )  # fmt: skip


def _of_router(revision: Json, found: dict[str, str]) -> RevisionSpec:
    """The router of an InferenceGraph, which asks the services of its steps by their names."""
    meta, (container,) = revision["metadata"], revision["spec"]["containers"]
    return RevisionSpec(
        namespace=meta["namespace"], name=meta["name"], service=found["serving.knative.dev/service"],
        inferenceservice="", storage_uri="", labels=found, memory_bytes=memory_limit(container),
        program=router_command.program(container),
    )  # fmt: skip


def alone(container: Json, reaches: Iterable[str]) -> Program:
    """The one program of a component's pod; `reaches` are the names in the cluster that it may ask."""
    return replace(_program(container), is_alone=True, reaches=tuple(reaches))


def program(containers: list[Json]) -> Program | None:
    """The transformer beside the model: the container with the pod's port (CONST:499-500)."""
    found = next((c for c in containers if c.get("name") == TRANSFORMER), None)
    return _program(found) if found else None


def _program(found: Json) -> Program:
    probe = (found.get("readinessProbe") or {}).get("httpGet") or {}
    ports = found.get("ports") or [{"containerPort": 8080}]
    return Program(
        container=found["name"],
        argv=(*(found.get("command") or ()), *(found.get("args") or ())),
        port=int(ports[0]["containerPort"]),
        env={e["name"]: str(e.get("value", "")) for e in found.get("env") or []},
        ready_path=str(probe.get("path", "")),
    )


def memory_limit(container: Json) -> int | None:
    """`resources.limits.memory` in bytes; None without one above 0 that can be read."""
    limits = (container.get("resources") or {}).get("limits") or {}
    found = amount(limits.get("memory", ""))
    return int(found) if found and found > 0 else None


def own_args(container: Json) -> tuple[str, ...]:
    """The InferenceService's arguments: the runtime's own name ports and paths of a container."""
    fixed = ("tritonserver", "--model-store", "--grpc-port", "--http-port", "--allow-grpc",
             "--allow-http")  # fmt: skip
    return tuple(a for a in container.get("args", []) if a.partition("=")[0] not in fixed)


def status(seen: RevisionStatus, spec: Json) -> Json:
    """The pod's status as the scheduler and the kubelet would write it.

    The official client insists on the images.
    """
    if seen.reason in NO_NODE:
        return {"phase": "Pending", "conditions": [_unscheduled(seen)]}
    names = [_MAIN, *(c["name"] for c in spec["containers"][1:])]
    images = [{"image": c.get("image", ""), "imageID": ""} for c in spec["containers"]]
    every = [image | _main(name, seen) for name, image in zip(names, images, strict=True)]
    ready = "True" if seen.phase == "Ready" else "False"
    return {
        "phase": "Running" if seen.phase in {"Loading", "Ready"} else "Pending",
        "podIP": "127.0.0.1",
        "conditions": [
            {"type": "PodScheduled", "status": "True"},
            {"type": "Ready", "status": ready},
        ],
        "containerStatuses": every,
    } | _initialized(seen, spec)


def _initialized(seen: RevisionStatus, spec: Json) -> Json:
    if not spec.get("initContainers"):
        return {}
    is_done = seen.phase in {"Loading", "Ready"}
    init = _container(_INIT, _init_state(seen), seen, is_ready=is_done)
    return {"initContainerStatuses": [_image(spec, "initContainers") | init]}


def _unscheduled(seen: RevisionStatus) -> Json:
    return {
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": seen.message,
    }  # fmt: skip


def _image(spec: Json, field: str) -> Json:
    image = next(iter(spec[field])).get("image", "")
    return {"image": image, "imageID": ""}


def _container(name: str, state: Json, seen: RevisionStatus, *, is_ready: bool) -> Json:
    found: Json = {"name": name, "ready": is_ready, "restartCount": 0, "state": state}
    is_culprit = name == (_INIT if seen.reason == STORAGE_FAILED else seen.container or _MAIN)
    if is_culprit and seen.restarts:
        found |= {"restartCount": seen.restarts, "lastState": {"terminated": _ended(seen)}}
    return found


def _main(name: str, seen: RevisionStatus) -> Json:
    """One of the pod's own containers; the others run while one has crashed."""
    is_culprit = name == (seen.container or _MAIN)
    has_crashed = seen.phase == "Failed" and seen.reason not in {STORAGE_FAILED, *UNSTARTED}
    state = {"running": {}} if has_crashed and not is_culprit else _main_state(seen)
    is_ready = seen.phase == "Ready" or (has_crashed and not is_culprit)
    return _container(name, state, seen, is_ready=is_ready)


def _init_state(seen: RevisionStatus) -> Json:
    if seen.phase in {"Pending", "Stopped"} and seen.reason not in {IMAGE_PULL, CONFIG_ERROR}:
        return {"waiting": {"reason": "PodInitializing"}}
    if seen.phase == "Initializing":
        return {"running": {}}
    if seen.phase == "Failed" and seen.reason == STORAGE_FAILED:
        return _failed(seen)
    return {"terminated": {"reason": "Completed", "exitCode": 0}}


def _main_state(seen: RevisionStatus) -> Json:
    if seen.reason == IMAGE_PULL:
        return {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}
    if seen.reason == CONFIG_ERROR:
        return {"waiting": {"reason": "CreateContainerConfigError", "message": seen.message}}
    if seen.phase in {"Loading", "Ready"}:
        return {"running": {}}
    if seen.phase == "Failed" and seen.reason != STORAGE_FAILED:
        return _failed(seen)
    return {"waiting": {"reason": "PodInitializing"}}


def _failed(seen: RevisionStatus) -> Json:
    if seen.restarts:
        return {"waiting": {"reason": "CrashLoopBackOff", "message": seen.message}}
    return {"terminated": _ended(seen)}


def _ended(seen: RevisionStatus) -> Json:
    reason = "OOMKilled" if seen.reason == OUT_OF_MEMORY else "Error"
    return {"reason": reason, "exitCode": exit_code(seen), "message": seen.message}


def exit_code(seen: RevisionStatus) -> int:
    """The code a container would show: a signal is 128 + its number, a failure without a code is 1."""
    if seen.exit_code is None:
        return 1
    return 128 - seen.exit_code if seen.exit_code < 0 else seen.exit_code
