"""Sequences: their signals, their batches, and what the server keeps between two requests.

Source: core's model_config_utils.cc (GetBooleanSequenceControlProperties, GetTypedSequenceControlProperties)
and sequence_state.cc; each verdict as Triton 2.51 gave it.
"""

from collections import Counter
from collections.abc import Iterator

from tidegate.core.lint.subject import Judged, Repository, Rule
from tidegate.core.model_config.scheduling import Control, ModelSequenceBatching, State
from tidegate.core.model_config.sequences import CORRELATED

CORRID = "CONTROL_SEQUENCE_CORRID"
VALUES = ("int32_false_true", "fp32_false_true", "bool_false_true")


def _signals(r: Repository) -> str:
    sequence = r.config.sequence_batching
    if sequence is None:
        return ""
    pairs = [(one.name, control) for one in sequence.control_input for control in one.control]
    kinds, names = (
        Counter(c.kind for _, c in pairs),
        Counter(o.name for o in sequence.control_input),
    )
    if "" in names:
        return "a control_input has no name; name the input that takes the signal"
    if twice := next((one for one, count in (kinds + names).items() if count > 1), ""):
        return f"control_input has {twice} more than once; each signal has one input of its own"
    return next((wrong for name, one in pairs if (wrong := _signal(name, one))), "")


def _signal(name: str, control: Control) -> str:
    said = [field for field in VALUES if getattr(control, field)]
    if control.kind == CORRID:
        fits = control.data_type in CORRELATED and not said
        wanted = f"set data_type alone, to one of {', '.join(CORRELATED)}"
    else:
        fits = len(said) == 1 and len(getattr(control, said[0])) == 2
        wanted = f"set one of {', '.join(VALUES)}, to two values"
    return "" if fits else f"control_input {name!r}: {control.kind} is of no one type; {wanted}"


def _batches(r: Repository) -> str:
    sequence, size = r.config.sequence_batching, max(0, r.config.max_batch_size)
    if sequence is None:
        return ""
    preferred = sequence.oldest.preferred_batch_size if sequence.oldest else ()
    if strays := [one for one in preferred if not 1 <= one <= size]:
        return f"sequence_batching prefers batches of {strays[0]}, not within 1..{size}"
    share = sequence.direct.minimum_slot_utilization if sequence.direct else 0.0
    return "" if 0 <= share <= 1 else f"minimum_slot_utilization {share:g} is not within 0..1"


def _initial_states(r: Repository) -> str:
    """Judged by the server when the first instance starts."""
    states = r.config.sequence_batching.state if r.config.sequence_batching else ()
    return next((wrong for one in states if (wrong := _initial(one, r))), "")


def _initial(state: State, r: Repository) -> str:
    for one in state.initial_state:
        where = f"state {state.input_name!r}: initial_state"
        if not one.name:
            return f"{where} has no name; give it one"
        if -1 in one.dims or one.dims != state.dims:
            return f"{where} has dims {list(one.dims)}, the state {list(state.dims)}; write fixed, equal ones"
        if one.data_type != state.data_type:
            return f"{where} is {one.data_type}, the state {state.data_type}; make them equal"
        if (
            one.data_file
            and r.files is not None
            and f"initial_state/{one.data_file}" not in r.files
        ):
            return f"{where} is read from initial_state/{one.data_file}, which is not there"
    return ""


def _kept_apart(r: Repository) -> str:
    """What is a signal or a state, and an input of clients too, gets whatever comes last."""
    sequence = r.config.sequence_batching
    if sequence is None:
        return ""
    if not (sequence.direct or sequence.oldest):
        return "sequence_batching names no strategy; write direct { } or oldest { }"
    if sequence.oldest and sequence.oldest.max_candidate_sequences < 1:
        return "max_candidate_sequences below 1 takes no sequence; set how many share an instance"
    clients = {tensor.name for tensor in r.config.tensors}
    kept = list(_kept(sequence))
    for name in kept:
        if not name or name in clients or kept.count(name) > 1:
            return f"state or signal {name!r} has no tensor of its own; name each once, apart from inputs"
    return ""


def _kept(sequence: ModelSequenceBatching) -> Iterator[str]:
    yield from (one.name for one in sequence.control_input if one.name)
    for state in sequence.state:
        yield from (state.input_name, state.output_name)


RULES = (
    Rule(name="sequence signals", check=_signals, judged=Judged.LOG),
    Rule(name="sequence batches", check=_batches, judged=Judged.LOG),
    Rule(name="sequence start", check=_initial_states, judged=Judged.ANSWER),
    Rule(name="sequence tensors", check=_kept_apart, judged=Judged.SILENT),
)
