"""A head that nobody knows: what trains, measures and packs asks no head which it is."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from rich.console import Console
from torch import Tensor

import sottovoce
from sottovoce.config.recipe import Recipe
from sottovoce.models.features import Features, Targets
from sottovoce.models.recogniser import Recogniser
from sottovoce.search.joint import JointObjective
from sottovoce.sensitivity.measures import MEASURES
from sottovoce.speech.corpus import Corpus
from sottovoce.speech.free_text import FreeText
from sottovoce.text.normalisers import MAKERS
from sottovoce.training.batch import TrainingSpeech
from sottovoce.training.loop import Update
from sottovoce.training.teacher import CachedTeacher

MakeRecogniser = Callable[..., Recogniser]
ROOMS = ("training", "search", "sensitivity", "ptq", "artifact", "scoring", "report", "commands")


_AS_IT_IS = FreeText("none", MAKERS["none"]({}))


@dataclass(frozen=True)
class CountsLetters:
    """One position an utterance: a distribution over how many letters its transcript has."""

    labels: FreeText = _AS_IT_IS
    hears_whole_recordings: bool = False
    teaches_itself: bool = False
    kept_labels: int | None = 3
    sample_targets: tuple[int, ...] = (1,)

    def targets(self, text: str, utterance: str) -> tuple[int, ...]:
        return (len(text),)

    def is_doubtful(self, targets: Sequence[int], log_probability: float) -> bool:
        return False

    def misfit(self, targets: Sequence[int], frames: int, seconds: float) -> str | None:
        return None

    def prepare(
        self,
        recogniser: Recogniser,
        features: Features,
        targets: Targets | None,
    ) -> Features:
        counts = tuple(targets or [(0,)] * len(features.frames))
        return replace(features, targets=counts, decoder_inputs=torch.zeros(len(counts), 1))

    def at_positions(self, logits: Tensor, features: Features) -> Tensor:
        heard = features.frame_mask[:, : logits.shape[1]].unsqueeze(2)
        return (logits * heard).sum(1, keepdim=True) / heard.sum(1, keepdim=True)

    def task_loss(self, logits: Tensor, features: Features) -> Tensor:
        counts = torch.tensor([count for (count,) in features.targets])
        return torch.nn.functional.cross_entropy(logits[:, 0], counts)

    def texts(self, recogniser: Recogniser, features: Features) -> list[str | None]:
        found = self.at_positions(recogniser.logits(features), features)
        return ["a" * int(row.argmax()) for row in found]


@pytest.fixture
def counting(make_recogniser: MakeRecogniser) -> Recogniser:
    recogniser = make_recogniser()
    recogniser.head = CountsLetters()
    return recogniser


@pytest.mark.parametrize("name", ["default", "paper", "paper-sampled"])
def test_it_is_trained_jointly_by_any_recipe(
    counting: Recogniser, corpus: Corpus, tmp_path: Path, name: str
) -> None:
    recipe = sottovoce.read_recipe(name).replaced({"bits": 4.0, "fused": False})
    speech = TrainingSpeech(corpus, counting)
    console = Console(quiet=True)
    teacher = CachedTeacher.computed(counting, speech, 10.0, tmp_path, console)
    objective = JointObjective(counting, recipe, Accelerator(), teacher)
    batch = next(speech.batches(recipe, 0))
    for index in (0, 7):  # the plan is learnt, then frozen
        assert objective.update(batch, Update(index, 8))["loss"] > 0
    assert objective.importance.log_alpha.grad is not None
    with objective.deployed() as deployed:
        assert all(text is not None for text in deployed.recognise(list(batch.waveforms)))


@pytest.mark.parametrize("measure", sorted(MEASURES))
def test_its_layers_have_sensitivities(counting: Recogniser, corpus: Corpus, measure: str) -> None:
    recipe = Recipe(bits=6.0)
    batch = next(TrainingSpeech(corpus, counting).batches(recipe, 0))
    names = counting.family.shapes(counting.model)
    weights = {name: counting.model.get_submodule(name).weight.detach() for name in names}
    matrices = {
        bits: {name: (weight * 2**bits).round() / 2**bits for name, weight in weights.items()}
        for bits in (2.0, 8.0)
    }
    costs = MEASURES[measure](counting, matrices, [batch], recipe)
    assert costs.shape == (len(names), 2)


def test_no_room_names_a_head() -> None:
    package = Path(sottovoce.__file__).parent
    named = re.compile(r"CtcHead|AttentionDecoder|isinstance\([\w.]*head\b")
    files = [file for room in ROOMS for file in (package / room).rglob("*.py")]
    assert len(files) > 50
    assert not [file.name for file in files if named.search(file.read_text())]
