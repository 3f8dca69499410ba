"""The stages of a run, and where each keeps its state: in the run, or shared with others."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sottovoce.plan import Plan
from sottovoce.recipe import Recipe
from sottovoce.training.state import WorkFolder

_OF_PASS_2 = {"finetune": "none", "kl_finetune": 0.0, "students_finetune": "none"}
_UNTAUGHT = {"teacher": "none", "kl_mixed": 0.0, "kl_frozen": 0.0, "kl_students": 0.0}


@dataclass(frozen=True)
class Stages:
    """Where the stages of a run from these inputs are kept.

    Attributes:
        inputs: what determines a run beside its recipe: the start point and the speech.
        audio: the training speech to the byte, which a stage that is shared depends on as well.
        cache: keeps stages after the run, for others that begin with the same; None for none.
    """

    inputs: Mapping[str, str]
    audio: str
    cache: Path | None

    def pass_1(self, work: WorkFolder, recipe: Recipe, plan: Plan | None) -> WorkFolder:
        """Of Pass 1, which is the same whatever Pass 2 follows."""
        if self.cache is None:
            return work
        first = _without_pass_2(recipe, searching=plan is None)
        own = {"plan": plan.to_json() if plan else None, "recipe": first}
        settings = {**self.inputs, "audio": self.audio, **own}
        return WorkFolder.shared(self.cache, "pass 1", settings)

    def uniform(self, work: WorkFolder, recipe: Recipe) -> WorkFolder:
        """Of a uniform model, which is the same for every plan that is chosen by it."""
        if self.cache is None:
            return work.part(f"uniform {recipe.bits:g}")
        return self.pass_1(work, recipe, None)


def _without_pass_2(recipe: Recipe, *, searching: bool) -> Mapping[str, object]:
    """Pass 1's dials; a teacher that only Pass 2 listens to is none, whatever its weights."""
    first = recipe.replaced(_OF_PASS_2)
    if not first.taught(1, searching=searching):
        first = first.replaced(_UNTAUGHT)
    return first.to_record()
