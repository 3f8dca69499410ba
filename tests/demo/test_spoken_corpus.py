import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from sottovoce.demo import espeak
from sottovoce.demo.corpus import speak_corpus
from sottovoce.demo.sentences import FILLERS, MOST_SENTENCES, TEMPLATES, draw_sentences
from sottovoce.demo.voices import ACCENTS, DEV_VARIANTS, DEV_VOICES, TRAIN_VARIANTS, TRAIN_VOICES
from sottovoce.errors import InputError

pytest.importorskip("espeakng_loader", reason="the demo's extra is not installed")

SMALL = {"hours_train": 0.02, "hours_dev": 0.01}


@dataclass(frozen=True)
class Spoken:
    folder: Path
    train: list[dict[str, Any]]
    dev: list[dict[str, Any]]


def read(manifest: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in manifest.read_text().splitlines()]


@pytest.fixture(scope="module")
def spoken(tmp_path_factory) -> Spoken:
    folder = tmp_path_factory.mktemp("demo") / "corpus"
    corpus = speak_corpus(folder, **SMALL, seed=3)
    return Spoken(folder, read(corpus.train), read(corpus.dev))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def test_no_dev_voice_and_no_dev_sentence_is_trained_on(spoken):
    for what in ("speaker", "text"):
        train, dev = ({line[what] for line in part} for part in (spoken.train, spoken.dev))
        assert train
        assert dev
        assert not train & dev
    assert not set(TRAIN_VARIANTS) & set(DEV_VARIANTS)
    assert {line["speaker"] for line in spoken.train} <= set(TRAIN_VOICES)
    assert {line["speaker"] for line in spoken.dev} <= set(DEV_VOICES)


def test_each_dev_speaker_has_a_timbre_of_its_own():
    assert len({voice.split("+")[1] for voice in DEV_VOICES}) == len(DEV_VOICES)
    assert {voice.split("+")[0] for voice in DEV_VOICES} == set(ACCENTS)


def test_manifests_tell_the_truth_about_their_audio(spoken):
    for line in spoken.train + spoken.dev:
        info = soundfile.info(spoken.folder / line["audio_filepath"])
        assert (info.samplerate, info.channels, info.format) == (16000, 1, "FLAC")
        assert line["duration"] == info.frames / 16000
        assert 1 < line["duration"] < 8
    identities = [line["id"] for line in spoken.train + spoken.dev]
    assert len(set(identities)) == len(identities)


def test_hours_are_about_those_asked_for(spoken):
    for part, hours in ((spoken.train, 0.02), (spoken.dev, 0.01)):
        seconds = sum(line["duration"] for line in part)
        assert seconds == pytest.approx(hours * 3600, rel=0.25)
    record = json.loads((spoken.folder / "corpus.json").read_text())
    assert record["train"]["utterances"] == len(spoken.train)
    assert record["dev"]["words"] == sum(len(line["text"].split()) for line in spoken.dev)


def test_audio_is_loud_enough_never_clipped_and_has_a_noise_floor(spoken):
    for line in spoken.dev:
        audio, _ = soundfile.read(spoken.folder / line["audio_filepath"])
        assert 0.05 < np.abs(audio).max() < 0.75
        frames = audio[: len(audio) // 160 * 160].reshape(-1, 160).std(axis=1)
        assert frames.min() > 1e-4


def test_a_fresh_process_speaks_the_same_corpus_bit_for_bit(tmp_path):
    script = (
        "import sys; from sottovoce.demo.corpus import speak_corpus;"
        "speak_corpus(sys.argv[1], hours_train=0.005, hours_dev=0.005, seed=7)"
    )
    folders = (tmp_path / "first", tmp_path / "second")
    root = Path(__file__).parents[2]
    for folder in folders:
        subprocess.run([sys.executable, "-c", script, folder], check=True, cwd=root)
    first, second = map(contents, folders)
    assert len(first) == 3 + 2 * 7
    assert first == second


def test_a_later_corpus_has_the_same_texts_and_voices_and_nearly_the_same_audio(spoken, tmp_path):
    again = speak_corpus(tmp_path / "corpus", **SMALL, seed=3)
    for lines, manifest in ((spoken.train, again.train), (spoken.dev, again.dev)):
        repeated = read(manifest)
        assert [(line["text"], line["speaker"]) for line in lines] == [
            (line["text"], line["speaker"]) for line in repeated
        ]
        for line, repeat in zip(lines, repeated, strict=True):
            assert line["duration"] == pytest.approx(repeat["duration"], abs=0.1)


def test_another_seed_speaks_other_sentences(spoken, tmp_path):
    other = speak_corpus(tmp_path / "corpus", **SMALL, seed=4)
    assert [line["text"] for line in read(other.dev)] != [line["text"] for line in spoken.dev]


def test_a_finished_corpus_is_used_again_and_never_mistaken_for_another(spoken):
    before = (spoken.folder / "train.jsonl").stat().st_mtime_ns
    assert speak_corpus(spoken.folder, **SMALL, seed=3).train == spoken.folder / "train.jsonl"
    assert (spoken.folder / "train.jsonl").stat().st_mtime_ns == before
    with pytest.raises(InputError, match="name another folder or delete"):
        speak_corpus(spoken.folder, **SMALL, seed=4)


@pytest.mark.parametrize("content", [None, "{}", "not JSON"])
def test_a_folder_that_holds_something_else_is_left_alone(tmp_path, content):
    (tmp_path / "thesis.txt").write_text("precious")
    if content is not None:
        (tmp_path / "corpus.json").write_text(content)
    before = contents(tmp_path)
    with pytest.raises(InputError, match="holds no spoken corpus"):
        speak_corpus(tmp_path, **SMALL)
    assert contents(tmp_path) == before


def test_nothing_is_left_behind_when_speaking_fails(tmp_path, monkeypatch):
    monkeypatch.setattr("sottovoce.demo.corpus.DEV_VOICES", ("en-us+nobody",))
    with pytest.raises(InputError, match="no voice"):
        speak_corpus(tmp_path / "corpus", **SMALL)
    assert not list(tmp_path.iterdir())


def test_without_the_package_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(InputError, match=r"pip install 'sottovoce\[demo\]'"):
        speak_corpus(tmp_path / "corpus", **SMALL)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"hours_train": 0}, "hours_train"),
        ({"hours_dev": float("nan")}, "hours_dev"),
        ({"seed": -1}, "seed"),
        ({"hours_train": 1000}, "sentences"),
        ({"hours_dev": float("inf")}, "hours_dev"),
    ],
)
def test_arguments_out_of_range_are_refused_by_name(tmp_path, arguments, name):
    with pytest.raises(InputError, match=name):
        speak_corpus(tmp_path / "corpus", **arguments)


def test_every_voice_speaks():
    for voice in (*DEV_VOICES, *TRAIN_VOICES[:: len(ACCENTS) + 1]):
        samples = espeak.speak("seven", voice)
        assert samples.dtype == np.float32
        assert 0.2 < len(samples) / espeak.SAMPLE_RATE < 2
        assert 0.03 < np.abs(samples).max() <= 1


def test_rate_pitch_and_voice_are_heard():
    text = "the heavy black clock is near the river"
    slow, fast = espeak.speak(text, "en-us", rate=110), espeak.speak(text, "en-us", rate=220)
    assert len(slow) > 1.6 * len(fast)
    low, high = espeak.speak(text, "en-us", pitch=10), espeak.speak(text, "en-us", pitch=90)
    assert fundamental(high) > 1.3 * fundamental(low)
    assert fundamental(espeak.speak(text, "en-us+f3")) > 1.3 * fundamental(
        espeak.speak(text, "en-us+m1")
    )


def fundamental(samples: np.ndarray) -> float:
    """Strongest periodicity between 60 and 250 Hz."""
    spectrum = np.abs(np.fft.rfft(samples, 2 * len(samples))) ** 2
    periodicity = np.fft.irfft(spectrum)
    shortest, longest = espeak.SAMPLE_RATE // 250, espeak.SAMPLE_RATE // 60
    return espeak.SAMPLE_RATE / (shortest + int(periodicity[shortest:longest].argmax()))


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("", {}, "nothing to say"),
        ("hello", {"voice": "en-us+nobody"}, "no voice 'en-us\\+nobody'"),
        ("hello", {"voice": "atlantean"}, "no voice 'atlantean'"),
        ("hello", {"rate": 20}, "80 to 450"),
        ("hello", {"pitch": 100}, "0 to 99"),
    ],
)
def test_what_cannot_be_spoken_is_refused(text, settings, message):
    with pytest.raises(InputError, match=message):
        espeak.speak(text, **{"voice": "en-us", **settings})


def test_sentences_are_distinct_plain_and_avoid_those_they_should():
    known = draw_sentences(300, np.random.default_rng(0))
    more = draw_sentences(300, np.random.default_rng(0), avoid=known)
    assert len({*known, *more}) == 600
    for sentence in known + more:
        assert 6 <= len(sentence.split()) <= 11
        assert set(sentence) <= set("abcdefghijklmnopqrstuvwxyz' ")
        assert sentence == " ".join(sentence.split())


def test_every_word_of_the_grammar_is_in_use():
    drawn = " ".join(draw_sentences(3000, np.random.default_rng(1))).split()
    grammar = " ".join(TEMPLATES + tuple(filler for slot in FILLERS.values() for filler in slot))
    plain = {word for word in grammar.split() if "{" not in word}
    assert set(drawn) == plain
    assert set("".join(drawn)) == set("abcdefghijklmnopqrstuvwxyz'")


def test_more_sentences_than_the_grammar_gives_are_refused():
    with pytest.raises(InputError, match="fewer hours"):
        draw_sentences(MOST_SENTENCES + 1, np.random.default_rng(0))
