"""Optimisation profiles: for which shapes a plan is built, and whether a request fits one of them.

An axis that the graph fixes is fixed. The batch axis, where there is one, goes from 1 to the server's largest
batch. Any other free axis spans the sizes that golden rows were seen with; no plan is built for what was
never seen.
https://docs.nvidia.com/deeplearning/tensorrt/latest/inference-library/work-dynamic-shapes.html
"""

from collections.abc import Mapping, Sequence

from tidegate.core.model_config.building import is_batchable
from tidegate.documents import ShapeRange, Tensor
from tidegate.errors import DocumentError
from tidegate.policy import ShapeRange as Wanted
from tidegate.policy import TensorRt

Shape = tuple[int, ...]
Profile = Mapping[str, ShapeRange]
WHAT = "optimize.tensorrt.profiles"


def profiles(
    inputs: tuple[Tensor, ...],
    outputs: tuple[Tensor, ...],
    observed: Mapping[str, Sequence[Shape]],
    wanted: TensorRt,
    max_batch_size: int,
    preferred: tuple[int, ...] = (),
) -> tuple[Profile, ...]:
    """The profiles of a graph, () where no axis is free.

    It is tuned for the policy's batch, else the largest that the batcher prefers, else the largest there is.
    `observed`: input -> shapes of one row, the row axis left out. Raises DocumentError for a profile of the
    policy that the graph does not have, and for a free axis that nothing says a size of.
    """
    free = tuple(tensor for tensor in inputs if -1 in tensor.shape)
    if wanted.profiles:
        return tuple(_checked(at, p, inputs, free) for at, p in enumerate(wanted.profiles))
    if not free:
        return ()
    largest = max(1, max_batch_size) if is_batchable(inputs, outputs) else 1
    best = min(wanted.opt_batch_size or max(preferred, default=largest), largest)
    return ({t.name: _range(t, observed.get(t.name, ()), best, largest) for t in free},)


def largest_batch(found: Sequence[Profile], batchable: bool) -> int:
    """The largest batch that Triton would take from the profiles; 0 where there is no batch axis."""
    if not batchable:
        return 0
    return max((min(r.max[0] for r in profile.values()) for profile in found if profile), default=0)


def complaint(profile: Profile, shapes: Mapping[str, Shape]) -> str:
    """Which input has a shape that the profile is not built for, '' where each fits."""
    for name, shape in shapes.items():
        span = profile.get(name)
        if span is None:
            continue
        if len(shape) != len(span.min):
            return f"input {name} has {len(shape)} axes, the profile {len(span.min)}"
        for axis, (low, size, high) in enumerate(zip(span.min, shape, span.max, strict=True)):
            if not low <= size <= high:
                return f"axis {axis} of input {name} is {size}, the profile is for {low} to {high}"
    return ""


def takes(found: Sequence[Profile], row: Mapping[str, Shape]) -> bool:
    """Whether some profile takes one row of these shapes, the row axis left out; without profiles all are."""
    return not found or any(
        all(
            low <= size <= high
            for name, shape in row.items()
            if (span := profile.get(name)) is not None
            for low, size, high in zip(span.min[1:], shape, span.max[1:], strict=True)
        )
        for profile in found
    )


def _range(tensor: Tensor, rows: Sequence[Shape], best: int, largest: int) -> ShapeRange:
    spans = [_axis(tensor, axis, rows, best, largest) for axis in range(len(tensor.shape))]
    low, middle, high = zip(*spans, strict=True)
    return ShapeRange(min=low, opt=middle, max=high)


def _axis(
    tensor: Tensor, axis: int, rows: Sequence[Shape], best: int, largest: int
) -> tuple[int, int, int]:
    size = tensor.shape[axis]
    if size != -1:
        return size, size, size
    if axis == 0:
        return 1, best, largest
    seen = sorted(row[axis - 1] for row in rows if len(row) == len(tensor.shape) - 1)
    if not seen or seen[0] < 1:
        raise DocumentError(
            f"axis {axis} of input {tensor.name} is free and no golden row has a size of it; "
            f"write {WHAT}"
        )
    return seen[0], seen[len(seen) // 2], seen[-1]


def _checked(
    at: int, profile: Mapping[str, Wanted], inputs: tuple[Tensor, ...], free: tuple[Tensor, ...]
) -> Profile:
    known = {tensor.name: tensor for tensor in inputs}
    for tensor in free:
        if tensor.name not in profile:
            raise DocumentError(f"{WHAT}.{at} has no {tensor.name!r}, which has free axes; add it")
    for name, span in profile.items():
        if name not in known:
            raise DocumentError(f"{WHAT}.{at}.{name}: the graph has {', '.join(known)}")
        _check_axes(f"{WHAT}.{at}.{name}", span, known[name].shape)
    return {n: ShapeRange(min=s.min, opt=s.opt, max=s.max) for n, s in profile.items()}


def _check_axes(where: str, span: Wanted, shape: Shape) -> None:
    if len(span.min) != len(shape):
        raise DocumentError(
            f"{where} has {len(span.min)} axes, the graph's is {list(shape)}; give each axis a size"
        )
    for axis, size in enumerate(shape):
        given = {span.min[axis], span.opt[axis], span.max[axis]}
        if size != -1 and given != {size}:
            raise DocumentError(
                f"{where}: axis {axis} is {max(given)}, the graph fixes it to {size}; write {size}"
            )
