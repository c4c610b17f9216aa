"""How far a build is, from the phases that TensorRT's progress monitor tells; they nest. Pure."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One phase that has begun and not ended: `done` of `steps`."""

    name: str
    steps: int
    done: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The phases that are under way, the outermost first."""

    phases: tuple[Phase, ...] = ()

    def started(self, name: str, parent: str, steps: int) -> "Progress":
        """A phase begins within its parent, '' = within none; what was under way inside of it is over."""
        outer = self._until(parent) if parent else ()
        return Progress(phases=(*outer, Phase(name=name, steps=max(1, steps))))

    def stepped(self, name: str, step: int) -> "Progress":
        """Step number `step` of a phase, from 0, is done."""
        phases = tuple(
            replace(p, done=min(p.steps, max(p.done, step + 1))) if p.name == name else p
            for p in self.phases
        )
        return Progress(phases=phases)

    def finished(self, name: str) -> "Progress":
        """A phase is over."""
        names = [phase.name for phase in self.phases]
        return Progress(phases=self.phases[: names.index(name)]) if name in names else self

    @property
    def share(self) -> float:
        """Of the outermost phase, 0 to 1: each inner one is a step of the one around it."""
        share, width = 0.0, 1.0
        for phase in self.phases:
            share += width * phase.done / phase.steps
            width /= phase.steps
        return min(1.0, share)

    @property
    def shown(self) -> str:
        """The names, outermost first."""
        return " > ".join(phase.name for phase in self.phases)

    def _until(self, name: str) -> tuple[Phase, ...]:
        names = [phase.name for phase in self.phases]
        return self.phases[: names.index(name) + 1] if name in names else ()
