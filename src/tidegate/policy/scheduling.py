"""How requests of one sequence are kept together, and which versions of the folder are served."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tidegate.policy.section import Section

Signal = Literal["start", "ready", "end", "correlation_id"]
OF_OLDEST = ("max_candidates", "preferred_batch_sizes")


class SequenceBatching(Section):
    """Requests of one correlation id meet one instance; in place of the dynamic batcher.

    Types are the graph's own. A signal or a state is an input of the graph that no client sends.
    """

    strategy: Literal["direct", "oldest"] = Field(
        default="direct",
        description="direct: each sequence keeps a slot of the batch. oldest: sequences share batches",
    )
    max_idle_us: int = Field(
        default=1_000_000, ge=1, description="A sequence that is silent for longer has ended"
    )
    max_queue_delay_us: int = Field(default=0, ge=0)
    max_candidates: int = Field(
        default=0, ge=0, description="oldest: sequences at a time, by instance; 0 = max_batch_size"
    )
    preferred_batch_sizes: tuple[int, ...] = Field(default=(), strict=False, description="oldest")
    signals: dict[Signal, str] = Field(
        default_factory=dict, description="The input of the graph that takes each"
    )
    states: dict[str, str] = Field(
        default_factory=dict,
        description="What the server keeps between requests: input -> output; zeros at first",
    )

    @model_validator(mode="after")
    def _of_its_strategy(self) -> Self:
        said = [name for name in OF_OLDEST if getattr(self, name)]
        if self.strategy == "direct" and said:
            raise ValueError(f"{said[0]} is of strategy oldest; drop it, or say so")
        return self

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for names in ([*self.signals.values(), *self.states], list(self.states.values())):
            twice = next((name for name in names if names.count(name) > 1), "")
            if twice:
                raise ValueError(f"{twice!r} is named twice; each signal and state has its own")
        return self

    @property
    def inputs(self) -> frozenset[str]:
        """Inputs of the graph that the server fills in."""
        return frozenset((*self.signals.values(), *self.states))

    @property
    def outputs(self) -> frozenset[str]:
        """Outputs of the graph that the server keeps."""
        return frozenset(self.states.values())


class VersionPolicy(Section):
    """Which of the versions that have a folder are served: one of the three. A release publishes one."""

    latest: int = Field(default=0, ge=0, description="The newest so many")
    specific: tuple[Annotated[int, Field(ge=1, strict=True)], ...] = Field(default=(), strict=False)
    all: bool = False

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum((self.latest > 0, bool(self.specific), self.all)) != 1:
            raise ValueError("say one of latest: 1, specific: [7] and all: true")
        return self
