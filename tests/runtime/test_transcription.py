import tracemalloc
from collections.abc import Callable, Sequence
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fakes import Convolutions
from rich.console import Console
from tiny import RATE, noise

from sottovoce.errors import InputError
from sottovoce.models.recogniser import Recogniser
from sottovoce.runtime.chunking import Chunking
from sottovoce.runtime.recognition import recognise
from sottovoce.runtime.transcription import transcribe_files
from sottovoce.speech.corpus import Corpus

MakeRecogniser = Callable[..., Recogniser]


def write(folder: Path, seconds: Sequence[float], rate: int = Convolutions.sampling_rate) -> list:
    """Files of noise."""
    files = []
    for index, one in enumerate(seconds):
        samples = np.random.default_rng(index).standard_normal(round(one * rate))
        files.append(folder / f"{index}.wav")
        soundfile.write(files[-1], 0.1 * samples, rate)
    return files


def test_short_files_say_what_their_utterances_say(
    make_recogniser: MakeRecogniser, corpus: Corpus, tmp_path: Path
) -> None:
    recogniser = make_recogniser()
    files = [tmp_path / "speech" / f"{index}.wav" for index in (3, 0)]
    found = list(transcribe_files(recogniser, files, Chunking()))
    assert [file for file, _ in found] == files
    expected = recognise(recogniser, corpus).transcripts.utterances
    assert [tuple(text.split()) for _, text in found] == [expected["u3"][1], expected["u0"][1]]


def test_files_of_all_lengths_come_in_order_and_say_what_each_says_alone(tmp_path: Path) -> None:
    engine = Convolutions()
    files = write(tmp_path, [0.3, 7, 0.5, 400, 0.1, 2, 30, 0.2])
    chunking = Chunking(20, 0.03)
    together = list(transcribe_files(engine, files, chunking))
    assert [file for file, _ in together] == files
    for file, text in together:
        whole, _ = soundfile.read(file, dtype="float32")
        assert text == engine.labels.greedy(engine.frame_logits([whole])[0])
    assert list(transcribe_files(engine, list(reversed(files)), chunking)) == together[::-1]


def test_batches_hold_what_is_similarly_long(tmp_path: Path) -> None:
    engine = Convolutions()
    list(transcribe_files(engine, write(tmp_path, [1, 20, 2, 19, 1, 18, 2, 17]), Chunking(20)))
    assert engine.heard == [[20000, 19000, 18000], [17000, 2000, 2000], [1000, 1000]]


def test_a_text_is_there_before_the_next_files_are_heard(tmp_path: Path) -> None:
    engine = Convolutions()
    stream = transcribe_files(engine, write(tmp_path, [290, 290, 290, 290]), Chunking(30, 1))
    assert next(stream)[0].name == "0.wav"
    assert sum(map(sum, engine.heard)) < 2.5 * 290 * engine.sampling_rate
    stream.close()


def test_a_long_file_is_never_held_whole(tmp_path: Path) -> None:
    engine, rate = Convolutions(), 8000
    whole = 4 * rate * 1200
    with soundfile.SoundFile(tmp_path / "long.wav", "w", rate, channels=1) as file:
        for minute in range(20):
            file.write(noise(60 * rate / RATE, seed=minute))
    tracemalloc.start()
    ((_, text),) = transcribe_files(engine, [tmp_path / "long.wav"], Chunking(30, 1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(text) > 10_000
    assert peak < whole / 4


def _broken(folder: Path) -> list[Path]:
    """A sound file, no audio, less than a frame, a long file that breaks off, a sound file."""
    files = write(folder, [0.3, 0.3, 0.02, 60, 0.4])
    files[1].write_bytes(b"no audio")
    cut = files[3].with_suffix(".flac")
    soundfile.write(cut, soundfile.read(files[3])[0], Convolutions.sampling_rate)
    content = cut.read_bytes()
    cut.write_bytes(content[: len(content) * 9 // 10])
    return [*files[:3], cut, files[4]]


def test_files_that_cannot_be_transcribed_are_told_in_their_place(tmp_path: Path) -> None:
    engine, files = Convolutions(), _broken(tmp_path)
    told: list[str] = []
    for file, text in transcribe_files(
        engine, files, Chunking(10, 0), refused=lambda error: told.append(str(error))
    ):
        whole, _ = soundfile.read(file, dtype="float32")
        assert text == engine.labels.greedy(engine.frame_logits([whole])[0])
        told.append(file.name)
    assert [told[0], told[-1]] == ["0.wav", "4.wav"]
    assert ["1.wav cannot be" in told[1], "2.wav has 20 samples" in told[2]] == [True, True]
    assert "3.flac" in told[3]
    assert len(told) == 5


def test_a_terminal_is_shown_how_far_it_is(tmp_path: Path) -> None:
    console = Console(file=StringIO(), force_terminal=True)
    files = _broken(tmp_path)
    given = {"refused": lambda _: None, "console": console}
    found = list(transcribe_files(Convolutions(), files, Chunking(10, 0), **given))
    assert [file for file, _ in found] == [files[0], files[4]]
    assert "transcribing" in console.file.getvalue()
    piped = Console(file=StringIO())
    list(transcribe_files(Convolutions(), files[:1], Chunking(), console=piped))
    assert piped.file.getvalue() == ""


def test_alone_the_first_such_file_ends_it_where_it_is_due(tmp_path: Path) -> None:
    stream = transcribe_files(Convolutions(), _broken(tmp_path), Chunking())
    assert next(stream)[0].name == "0.wav"
    with pytest.raises(InputError, match=r"1\.wav"):
        next(stream)


def test_a_real_model_gives_every_frame_of_a_long_file_once(
    make_recogniser: MakeRecogniser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recogniser = make_recogniser()
    (file,) = write(tmp_path, [5.03], RATE)
    decoded: list[int] = []
    monkeypatch.setattr(
        type(recogniser.labels), "decode", lambda _, frames: decoded.append(len(frames)) or "text"
    )
    assert list(transcribe_files(recogniser, [file], Chunking(1, 0.2))) == [(file, "text")]
    assert decoded == [recogniser.frames_of(round(5.03 * RATE))]


def test_outputs_that_are_not_finite_are_no_silence(
    make_recogniser: MakeRecogniser, corpus: Corpus, tmp_path: Path
) -> None:
    """Finite weights whose sums overflow."""
    recogniser = make_recogniser()
    recogniser.model.lm_head.weight.data.fill_(3e38)
    files = [tmp_path / "speech" / f"{index}.wav" for index in (3, 0)]
    refused: list[InputError] = []
    assert list(transcribe_files(recogniser, files, Chunking(), refused=refused.append)) == []
    for file, error in zip(files, refused, strict=True):
        assert f"{file}: the model's outputs are not finite" in str(error)
    with pytest.raises(InputError, match=r"0\.wav: .*not finite"):
        list(transcribe_files(recogniser, files[1:], Chunking()))
    with pytest.raises(InputError, match=r"noise: utterance u\d: .*not finite"):
        recognise(recogniser, corpus)
