"""The whole way: a checkpoint that transformers saved, compressed, measured, served."""

import json
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
import torch
from accelerate import Accelerator
from documented import documented_weight
from program import Ended, save_checkpoint, save_speech, sottovoce
from rich.console import Console
from safetensors.numpy import load_file
from tiny import FAMILIES, RATE, noise, tiny_model
from torch import Tensor
from transformers import HubertModel, Wav2Vec2FeatureExtractor

from sottovoce import Recogniser, compare, evaluate, load, read_recipe, transcribe
from sottovoce.artifact.tied_projection import tied_names
from sottovoce.loading import load_checkpoint
from sottovoce.models.families import family_of
from sottovoce.record import RunRecord
from sottovoce.scoring import Transcripts
from sottovoce.search.joint import JointObjective
from sottovoce.speech.corpora import read_corpus
from sottovoce.training.batch import TrainingSpeech
from sottovoce.training.loop import train, update_count
from sottovoce.training.state import WorkFolder
from sottovoce.training.teacher import CachedTeacher

QUICK = ("--steps", 4, "--evaluations", 1, "--seconds-per-batch", 1.5)
BITS = 3.0
OF_FAMILY = {"whisper": ("--no-unlabelled",)}
"""An untrained decoder writes nothing that could teach."""
POSITIONS = ("rel_attn_embed", "gru_rel_pos", "pos_bias", "self_attn.bias_", "distance_embedding")

READ_BY_TRANSFORMERS = """
import sys
from pathlib import Path
import torch
import sottovoce
from transformers import AutoModelForCTC, AutoModelForSpeechSeq2Seq

torch.set_num_threads(1)
folder = Path(sys.argv[1])
speech = torch.load(folder / "noise.pt", weights_only=False)
logits = {}
for artifact in sorted(folder.glob("*/small")):
    decodes = artifact.parent.name == "whisper"
    model = (AutoModelForSpeechSeq2Seq if decodes else AutoModelForCTC).from_pretrained(artifact)
    with torch.no_grad():
        logits[artifact.parent.name] = model(**speech[artifact.parent.name]).logits
torch.save(logits, folder / "logits.pt")
"""


@dataclass(frozen=True)
class Journey:
    """A tiny recogniser of one family, and what `compress` made of it.

    Attributes:
        start: the checkpoint; the copy that was compressed is deleted.
        small: what `compress` wrote.
        ended: how the command ended.
    """

    family: str
    start: Path
    speech: Path
    small: Path
    ended: Ended

    @property
    def config(self) -> dict[str, Any]:
        return json.loads((self.small / "config.json").read_text())

    @property
    def plan(self) -> dict[str, dict[str, Any]]:
        return self.config["quantization_config"]["plan"]

    @property
    def record(self) -> RunRecord:
        return RunRecord.from_json(json.loads((self.small / "metrics.json").read_text()))

    @property
    def tensors(self) -> dict[str, np.ndarray]:
        return load_file(self.small / "model.safetensors")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("journey")


@pytest.fixture(scope="module")
def speech(folder: Path) -> Path:
    return save_speech(folder / "speech")


@pytest.fixture(scope="module")
def journeys(folder: Path, speech: Path, one_thread: None) -> dict[str, Journey]:
    made = {}
    for family in FAMILIES:
        start = save_checkpoint(folder / family / "start", family)
        source, small = folder / family / "source", folder / family / "small"
        shutil.copytree(start, source)
        ended = sottovoce(
            *("compress", source, "--train", speech, "--dev", speech, "--out", small),
            *("--bits", BITS, *QUICK, *OF_FAMILY.get(family, ())),
        )
        shutil.rmtree(source)
        made[family] = Journey(family, start, speech, small, ended)
    return made


@pytest.fixture(params=FAMILIES)
def journey(request: pytest.FixtureRequest, journeys: dict[str, Journey]) -> Journey:
    return journeys[request.param]


def _slow_but(fast: Sequence[str], *more: str) -> list[Any]:
    """A test's parameters, every family with `more`; those that are not fast are marked slow."""
    return [
        pytest.param(family, *more, marks=[] if family in fast else [pytest.mark.slow])
        for family in FAMILIES
    ]


def _compressed(out: Path, source: Path, speech: Path, *options: object) -> RunRecord:
    ended = sottovoce(
        *("compress", source, "--train", speech, "--dev", speech, "--out", out, *QUICK, *options)
    )
    assert ended.status == 0, ended.err
    return RunRecord.from_json(json.loads((out / "metrics.json").read_text()))


def _plain(values: Any) -> Any:
    """As JSON has it: tuples are lists."""
    return json.loads(json.dumps(values))


def test_the_folder_is_complete_and_nothing_else_is_left(journey: Journey) -> None:
    assert journey.ended.status == 0, journey.ended.err
    vocabulary = {"parakeet_ctc": ["tokenizer.json"]}.get(journey.family, ["vocab.json"])
    if journey.family == "whisper":
        vocabulary = ["tokenizer.json", "generation_config.json"]
    assert {path.name for path in journey.small.iterdir()} == {
        *("config.json", "model.safetensors"),
        *("processor_config.json", "tokenizer_config.json", *vocabulary),
        *("README.md", "metrics.json", "recipe.toml", "report.html"),
        *("reference.trn", "compressed.trn"),
    }
    beside = {path.name for path in journey.small.parent.iterdir()}
    assert beside - {"vocabulary"} == {"small", "start"}
    assert journey.config["quantization_config"]["quant_method"] == "sottovoce"
    assert journey.config["architectures"] == [type(tiny_model(journey.family)).__name__]
    assert "Report:" in journey.ended.out
    assert "report.html" in journey.ended.out
    assert re.search(r"the encoder's matrices take [\d.]+ bits a weight", journey.ended.out)
    assert read_recipe(str(journey.small / "recipe.toml")).bits == BITS


def test_the_record_reads_back(journey: Journey) -> None:
    stored = json.loads((journey.small / "metrics.json").read_text())
    assert _plain(journey.record.to_json()) == stored
    assert journey.record.command.startswith("sottovoce compress ")
    overlap, *nothing = journey.record.notes  # the start point is untrained
    assert "test on speech that was not learnt from" in overlap
    hopeless = journey.record.systems[0].wer >= 1
    assert ["recognises nothing" in note for note in nothing] == [True] * hopeless
    for note in journey.record.notes:
        assert f"warning: {note}" in journey.ended.err
    assert [point.step for point in journey.record.history] == [1, 2, 3, 4]


@pytest.mark.parametrize("journey", _slow_but(("wav2vec2", "wav2vec2-bert")), indirect=True)
def test_pass_2_goes_on_from_pass_1_with_its_plan(journey: Journey, tmp_path: Path) -> None:
    options = ("--bits", BITS, "--finetune", "learnt", *OF_FAMILY.get(journey.family, ()))
    record = _compressed(tmp_path / "small", journey.start, journey.speech, *options)
    assert [point.step for point in record.history] == [1, 2, 3, 4, 5, 6, 7, 8]
    seconds = [point.seconds for point in record.history]
    assert seconds == sorted(seconds)
    assert record.recipe["finetune"] == "learnt"
    once = {row.layer: row.bits for row in journey.record.layers}
    assert {row.layer: row.bits for row in record.layers} == once
    twice = load_file(tmp_path / "small" / "model.safetensors")
    assert any((twice[name] != one).any() for name, one in journey.tensors.items())


def test_audio_alone_is_enough_to_train_on(journey: Journey, tmp_path: Path) -> None:
    if journey.family in OF_FAMILY:
        pytest.skip("see test_whisper.py")
    audio = tmp_path / "audio"
    audio.mkdir()
    for path in journey.speech.parent.glob("*.wav"):
        shutil.copy(path, audio)
    command = ("compress", journey.start, "--train", audio, "--dev", journey.speech)
    small = tmp_path / "small"
    refused = sottovoce(*command, "--out", small, *QUICK)
    assert (refused.status, small.exists()) == (2, False)
    assert "--unlabelled" in refused.err
    ended = sottovoce(*command, "--out", small, *QUICK, "--unlabelled")
    assert ended.status == 0, ended.err
    assert json.loads((small / "metrics.json").read_text())["recipe"]["unlabelled"] is True


@pytest.mark.parametrize(
    ("journey", "measure"),
    [
        # Hessians are differentiated twice, which each family's operators must allow.
        *((family, "hessian") for family in FAMILIES),
        *(_slow_but(("wav2vec2", "wavlm", "parakeet_ctc"), "kl")),
        *(_slow_but(("hubert", "wav2vec2-conformer", "wav2vec2-bert"), "nas")),
    ],
    indirect=["journey"],
)
def test_a_plan_may_come_from_a_stage_of_its_own(
    journey: Journey, tmp_path: Path, measure: str
) -> None:
    options = ("--bits", BITS, "--plan-by", measure, "--sensitivity-batches", 1)
    options += OF_FAMILY.get(journey.family, ())
    record = _compressed(tmp_path / "small", journey.start, journey.speech, *options)
    assert BITS - 0.3 < record.systems[-1].nominal_bits <= BITS
    assert len({row.bits for row in record.layers}) > 1
    assert all(row.expected_bits is None for row in record.layers)
    assert [point.step for point in record.history] == [1, 2, 3, 4]
    assert record.seconds > record.history[-1].seconds


def test_8_bit_cnns_are_stored_and_told(journey: Journey, tmp_path: Path) -> None:
    small = tmp_path / "small"
    options = ("--bits", BITS, "--cnn-bits", 8, "--finetune", "learnt")
    options += OF_FAMILY.get(journey.family, ())
    record = _compressed(small, journey.start, journey.speech, *options)
    tensors = load_file(small / "model.safetensors")
    for row in record.cnns:
        codes, scale = tensors[f"{row.layer}.codes"], tensors[f"{row.layer}.scale"]
        assert codes.shape == row.shape
        assert row.bytes == codes.nbytes + scale.nbytes
        assert f"{row.layer}.weight" not in tensors
    family = family_of(journey.family)
    assert {row.layer for row in record.cnns} == family.cnns(tiny_model(journey.family)).keys()
    # What is still in floating point has one dimension; these have two.
    floats = {name for name, one in tensors.items() if one.dtype == np.float32 and one.ndim > 1}
    assert all(any(part in name for part in POSITIONS) for name in floats)

    before, after = journey.record.systems[-1], record.systems[-1]
    assert after.bytes < before.bytes
    assert (after.nominal_bits, after.effective_bits) == (
        before.nominal_bits,
        before.effective_bits,
    )
    assert "8 bits a weight" in (small / "README.md").read_text()
    shown = "".join(line.split(" ")[0] for line in sottovoce("inspect", small).out.splitlines())
    assert all(row.layer in shown for row in record.cnns)  # long names go on in the next line


def test_sizes_and_bits_are_those_on_disk(journey: Journey) -> None:
    before, after = journey.record.systems
    rows = {row.layer: row for row in journey.record.layers}
    assert rows.keys() == journey.plan.keys() - {row.layer for row in journey.record.cnns}
    weights = {name: math.prod(row.shape) for name, row in rows.items()}
    total = sum(weights.values())

    nominal = sum(weights[name] * journey.plan[name]["bits"] for name in rows) / total
    assert after.nominal_bits == pytest.approx(nominal)
    assert BITS - 0.3 < nominal <= BITS
    tensors = journey.tensors
    stored = {
        name: tensors[f"{name}.codes"].nbytes + tensors[f"{name}.scale"].nbytes for name in rows
    }
    assert {name: row.bytes for name, row in rows.items()} == stored
    assert after.effective_bits == pytest.approx(8 * sum(stored.values()) / total)

    assert after.bytes == (journey.small / "model.safetensors").stat().st_size
    start = load_file(journey.start / "model.safetensors")
    assert before.bytes == 4 * sum(one.size for one in start.values())
    assert before.nominal_bits == before.effective_bits == 32
    for name, row in rows.items():
        assert row.shape == start[f"{name}.weight"].shape[:2]
        assert math.prod(row.shape) == start[f"{name}.weight"].size


def _as_documented(journey: Journey) -> Recogniser:
    """The recogniser that the page on the format describes, computed by transformers alone."""
    packed, model = journey.tensors, tiny_model(journey.family)
    state = {name: torch.from_numpy(one) for name, one in packed.items()}
    for name, one in journey.plan.items():
        shape = model.get_submodule(name).weight.shape
        weight = documented_weight(packed, name, one, shape[1])
        # a pointwise convolution has a third dimension, which is 1
        state[f"{name}.weight"] = torch.from_numpy(weight).view(shape)
        del state[f"{name}.codes"], state[f"{name}.scale"]
    tied = tied_names(model)
    if tied is not None:  # one weight, stored once
        state[f"{tied[0]}.weight"] = state[f"{tied[1]}.weight"]
    model.load_state_dict(state)
    model.requires_grad_(requires_grad=False)  # torch sums WavLM's projections in another order
    start = load(journey.start)
    return Recogniser(model.eval(), start.processor, start.family)


@torch.inference_mode()
def _logits(recogniser: Recogniser) -> Tensor:
    targets = [recogniser.head.sample_targets[:9]] * 2
    return recogniser.logits(recogniser.features([noise(0.5), noise(0.3, seed=1)], targets))


def _statistics(recogniser: Recogniser) -> dict[str, list[float]]:
    """Of the batch norms, which a Conformer's convolutions have."""
    buffers = recogniser.model.named_buffers()
    return {name: one.flatten().tolist() for name, one in buffers if "running" in name}


def test_the_folder_is_the_network_that_was_trained(journey: Journey, tmp_path: Path) -> None:
    """The same training once more, from its recipe; its network is what the folder computes."""
    recipe = read_recipe(str(journey.small / "recipe.toml"))
    recogniser, console = load_checkpoint(journey.start), Console(quiet=True)
    spoken = TrainingSpeech(read_corpus(journey.speech), recogniser)
    heard = spoken.heard(recipe, recipe.taught(update_count(spoken, recipe), searching=True))
    teacher = CachedTeacher.computed(
        recogniser, spoken, recipe.seconds_per_batch, tmp_path / "teacher", console, heard
    )
    objective = JointObjective(recogniser, recipe, Accelerator(), teacher)
    history = train(objective, spoken, recipe, WorkFolder(tmp_path), lambda _: 0.0, console)
    assert objective.whole_plan().to_json() == journey.plan
    assert [one.loss for one in history] == [one.loss for one in journey.record.history]
    with objective.deployed() as trained:
        expected = _logits(trained)

    assert torch.equal(_logits(load(journey.small)), expected)
    assert _statistics(load(journey.small)) == _statistics(load(journey.start))
    assert torch.equal(_logits(_as_documented(journey)), expected)
    assert not torch.equal(_logits(load(journey.start)), expected)


def _inputs(journey: Journey) -> dict[str, Tensor]:
    extractor = load(journey.start).processor.feature_extractor
    inputs = dict(extractor(noise(0.5), sampling_rate=RATE, return_tensors="pt"))
    if journey.family == "whisper":
        inputs["decoder_input_ids"] = torch.tensor([[257, 258, 64]])
    return inputs


def test_transformers_reads_it_in_a_fresh_process(
    journeys: dict[str, Journey], folder: Path
) -> None:
    speech = {family: _inputs(journey) for family, journey in journeys.items()}
    torch.save(speech, folder / "noise.pt")
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", READ_BY_TRANSFORMERS, str(folder)]
    subprocess.run(command, check=True, cwd=root)
    computed = torch.load(folder / "logits.pt")
    assert sorted(computed) == sorted(FAMILIES)
    for family, journey in journeys.items():
        with torch.no_grad():
            expected = _as_documented(journey).model(**speech[family]).logits
        assert torch.equal(computed[family], expected), family


def test_evaluate_finds_what_the_record_says(journey: Journey, tmp_path: Path) -> None:
    ended = sottovoce(
        *("evaluate", journey.small, "--data", journey.speech, "--out", tmp_path / "scores")
    )
    assert ended.status == 0, ended.err
    after = journey.record.systems[-1]
    assert f"WER {100 * after.wer:.2f}%" in ended.out
    found = json.loads((tmp_path / "scores" / "score.json").read_text())
    for field in ("wer", "substitutions", "deletions", "insertions", "words"):
        assert found[field] == asdict(after)[field], field
    for ours, theirs in (("reference", "reference"), ("compressed", "hypothesis")):
        assert (
            Transcripts.read_trn(journey.small / f"{ours}.trn").utterances
            == Transcripts.read_trn(tmp_path / "scores" / f"{theirs}.trn").utterances
        )
    assert journey.record.history[-1].wer == after.wer
    assert evaluate(journey.small, journey.speech).score.wer == after.wer


def test_compare_finds_what_the_record_says(journey: Journey) -> None:
    (told,) = journey.record.comparisons
    found = compare(journey.start, journey.small, journey.speech)
    for field in ("test", "segments", "z", "p", "detectable", "verdict", "sentence"):
        assert getattr(found, field) == getattr(told, field), field
    ended = sottovoce("compare", journey.start, journey.small, "--data", journey.speech)
    assert ended.status == 0, ended.err
    assert ended.out.splitlines()[1] == told.sentence
    assert told.sentence in journey.ended.out
    saved = journey.small / "compressed.trn"
    mixed = sottovoce("compare", journey.start, saved, "--data", journey.speech)
    assert mixed.out == ended.out
    same = sottovoce("compare", saved, saved, "--data", journey.small / "reference.trn")
    assert "0 segments" in same.out or "Z = 0.000" in same.out


def test_inspect_shows_every_layer_and_the_totals(journeys: dict[str, Journey]) -> None:
    journey = journeys["hubert"]
    ended = sottovoce("inspect", journey.small)
    assert ended.status == 0, ended.err
    before, after = journey.record.systems
    last = ended.out.splitlines()[-1]
    assert f"{after.nominal_bits:.2f} nominal bits, {after.effective_bits:.2f} effective" in last
    assert f"{before.bytes / after.bytes:.2f}×" in last
    assert f"{len(journey.plan)} layers" in ended.out


def test_transcribe_takes_other_formats_and_rates(
    journeys: dict[str, Journey], tmp_path: Path
) -> None:
    journey = journeys["wavlm"]
    samples, _ = soundfile.read(journey.speech.parent / "7.wav", dtype="int16")
    flac, wav = tmp_path / "same.flac", tmp_path / "telephone.wav"
    soundfile.write(flac, samples, RATE)
    stereo = np.stack([noise(0.6, seed=1), noise(0.6, seed=2)], axis=1)
    soundfile.write(wav, stereo, 8000, subtype="FLOAT")
    ended = sottovoce("transcribe", journey.small, flac, wav)
    assert ended.status == 0, ended.err

    known = Transcripts.read_trn(journey.small / "compressed.trn").utterances["u7"][1]
    resampled = soxr.resample(stereo.mean(axis=1), 8000, RATE)
    (other,) = load(journey.small).recognise([resampled])
    first, second = (line.split("\t") for line in ended.out.splitlines())
    assert (first[0], first[1].split()) == (str(flac), list(known))
    assert second == [str(wav), other]
    assert sottovoce("transcribe", journey.small, wav).out == f"{other}\n"
    assert list(transcribe(journey.small, [str(wav)])) == [(wav, other)]

    whole = sottovoce("transcribe", journey.small, wav, "--chunk", "1.2", "--context", "0.2")
    assert whole.out == f"{other}\n"
    chunks = sottovoce("transcribe", journey.small, wav, "--chunk", "0.5", "--context", "0.1")
    assert (chunks.status, chunks.err) == (0, "")
    assert chunks.out != whole.out


@pytest.mark.parametrize(
    "options",
    [
        ("--recipe", "paper"),
        ("--recipe", "paper-sampled"),
        ("--recipe", "paper-no-kl"),
        ("--eta", 0.01),
        ("--bits", 3, "--search-granularity", "module"),
        ("--bits", 3, "--search-granularity", "block"),
        ("--bits", 3.7, "--candidates", "2,3,4,5,6,8"),
        ("--bits", 3, "--students", "all", "--teacher", "live", "--train-front-end", "--augment"),
        ("--bits", 2, "--grid-at-2-bits", "full", "--scale-granularity", "tensor"),
    ],
    ids=lambda options: " ".join(map(str, options)),
)
def test_every_way_of_searching_is_delivered(
    journeys: dict[str, Journey], tmp_path: Path, options: tuple[object, ...]
) -> None:
    start, speech = journeys["hubert"].start, journeys["hubert"].speech
    out = tmp_path / "small"
    record = _compressed(out, start, speech, *options)
    recipe = read_recipe(str(out / "recipe.toml"))
    assert _plain(recipe.to_record()) == record.recipe
    assert (recipe.bits is None) == ("--eta" in options)
    if recipe.bits is not None:
        assert record.systems[-1].nominal_bits <= recipe.bits
    for row in record.layers:
        assert row.bits in recipe.candidates
        assert row.granularity == recipe.scale_granularity
        assert row.grid == (recipe.grid_at_2_bits if row.bits == 2 else recipe.grid)
    shared: dict[object, set[int]] = {}
    for row in record.layers:
        module = (row.depth, row.matrix.startswith("feed-forward"))
        sharing = {"matrix": row.layer, "module": module, "block": row.depth}
        shared.setdefault(sharing[recipe.search_granularity], set()).add(row.bits)
    assert all(len(widths) == 1 for widths in shared.values())
    ended = sottovoce("evaluate", out, "--data", speech)
    assert f"WER {100 * record.systems[-1].wer:.2f}%" in ended.out


def test_bits_on_the_command_line_replace_a_recipes_eta(
    journeys: dict[str, Journey], tmp_path: Path
) -> None:
    journey = journeys["hubert"]
    (tmp_path / "mine.toml").write_text("eta = 0.01\n")
    record = _compressed(
        *(tmp_path / "small", journey.start, journey.speech),
        *("--recipe", tmp_path / "mine.toml", "--bits", 3),
    )
    assert record.recipe["bits"] == 3
    assert "eta" not in record.recipe


def test_a_backbone_is_fine_tuned_compressed_and_held_against_another(
    journeys: dict[str, Journey], speech: Path, tmp_path: Path
) -> None:
    backbone = tmp_path / "backbone"
    model: HubertModel = tiny_model("hubert").hubert
    model.save_pretrained(backbone)
    Wav2Vec2FeatureExtractor().save_pretrained(backbone)
    started = tmp_path / "started"
    given = ("--train", speech, "--dev", speech)
    ended = sottovoce("finetune", backbone, *given, "--out", started, *QUICK)
    assert ended.status == 0, ended.err
    assert "has no CTC head" in ended.err
    measured = json.loads((started / "metrics.json").read_text())["system"]
    assert ended.out.startswith(f"{started}: WER {100 * measured['wer']:.2f}%")
    assert sorted(load(started).labels.written.values()) == ["", "", " ", "a", "b", "c"]
    assert not Path(f"{started}.unfinished").exists()

    tuned = tmp_path / "tuned"
    ended = sottovoce(
        *("finetune", journeys["hubert"].start, *given, "--out", tuned, *QUICK),
        *("--learning-rate", 1e-2),
    )
    assert ended.status == 0, ended.err
    before = load_file(journeys["hubert"].start / "model.safetensors")
    after = load_file(tuned / "model.safetensors")
    assert before.keys() == after.keys()
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert "lm_head.weight" in changed
    assert not any("feature_extractor" in name for name in changed)

    record = _compressed(tmp_path / "small", started, speech, "--bits", 3, "--baseline", tuned)
    names = [system.name for system in record.systems]
    assert names == ["input checkpoint", "tuned (full precision)", "compressed"]
    assert record.systems[0].wer == measured["wer"]
    assert [one.baseline for one in record.comparisons] == names[:2]
    for baseline, told in zip((started, tuned), record.comparisons, strict=True):
        assert compare(baseline, tmp_path / "small", speech).sentence == told.sentence
