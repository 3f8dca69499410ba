"""The stages of a run: where each keeps its state, and what they all are given."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from accelerate import Accelerator
from rich.console import Console

from sottovoce.commands.scored_systems import evaluate_recogniser
from sottovoce.config.recipe import Recipe, Training
from sottovoce.models.recogniser import Recogniser
from sottovoce.quantization.plan import Plan
from sottovoce.record import TrainingPoint
from sottovoce.speech.corpus import Corpus
from sottovoce.training.batch import TrainingSpeech
from sottovoce.training.loop import Objective, train
from sottovoce.training.state import WorkFolder
from sottovoce.training.teacher import CachedTeacher

_OF_PASS_2 = {"finetune": "none", "kl_finetune": 0.0, "students_finetune": "none"}
_UNTAUGHT = {"teacher": "none", "kl_mixed": 0.0, "kl_frozen": 0.0, "kl_students": 0.0}


@dataclass(frozen=True)
class Stages:
    """Where the stages of a run from these inputs are kept.

    Attributes:
        inputs: what determines a run beside its recipe: the start point and the speech.
        audio: the training speech to the byte, which a stage that is shared depends on as well.
        cache: keeps stages after the run, for others that begin with the same; None for none.
        work: the run's own folder.
    """

    inputs: Mapping[str, str]
    audio: str
    cache: Path | None
    work: WorkFolder

    @property
    def teacher(self) -> Path:
        """The folder of a cached teacher's outputs."""
        return (self.cache or self.work.path) / "teacher"

    def pass_1(self, recipe: Recipe, plan: Plan | None) -> WorkFolder:
        """Of Pass 1, which is the same whatever Pass 2 follows."""
        if self.cache is None:
            return self.work
        first = _without_pass_2(recipe, searching=plan is None)
        own = {"plan": plan.to_json() if plan else None, "recipe": first}
        settings = {**self.inputs, "audio": self.audio, **own}
        return WorkFolder.shared(self.cache, "pass 1", settings)

    def uniform(self, recipe: Recipe) -> WorkFolder:
        """Of a uniform model, which is the same for every plan that is chosen by it."""
        if self.cache is None:
            return self.work.part(f"uniform {recipe.bits:g}")
        return self.pass_1(recipe, None)


@dataclass(frozen=True)
class Context:
    """What every stage that trains is given, whatever it trains.

    Attributes:
        evaluation: speech that training is watched on.
        teacher: cached; None where the recipe has none.
    """

    speech: TrainingSpeech
    evaluation: Corpus
    accelerator: Accelerator
    teacher: CachedTeacher | None
    stages: Stages
    console: Console

    def train(
        self, objective: Objective, recipe: Training, work: WorkFolder
    ) -> tuple[TrainingPoint, ...]:
        """Train to the end, from the beginning or from where `work` left off; as `loop.train`."""
        return train(objective, self.speech, recipe, work, self._dev_wer, self.console)

    def _dev_wer(self, recogniser: Recogniser) -> float:
        return evaluate_recogniser(recogniser, self.evaluation, "evaluating", self.console).wer


def _without_pass_2(recipe: Recipe, *, searching: bool) -> Mapping[str, object]:
    """Pass 1's options; a teacher that only Pass 2 listens to is none, whatever its weights."""
    first = recipe.replaced(_OF_PASS_2)
    if not first.taught(1, searching=searching):
        first = first.replaced(_UNTAUGHT)
    return first.to_record()
