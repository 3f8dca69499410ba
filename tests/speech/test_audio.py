from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from sottovoce.errors import InputError
from sottovoce.speech.audio import probe, read_audio, read_blocks, read_utterance
from sottovoce.speech.utterance import AudioClip, Utterance


def loudest_frequency(samples, rate):
    return np.argmax(np.abs(np.fft.rfft(samples))) * rate / len(samples)


@pytest.mark.parametrize(
    ("name", "rate", "channels", "subtype"),
    [
        ("tone.flac", 16000, 1, None),
        ("tone.wav", 16000, 1, "PCM_16"),
        ("float.wav", 16000, 1, "FLOAT"),
        ("tone.ogg", 16000, 1, "VORBIS"),
        ("opus.ogg", 16000, 1, "OPUS"),
        ("telephone.wav", 8000, 2, "PCM_16"),
        ("studio.flac", 44100, 2, None),
    ],
)
def test_every_format_rate_and_channel_count_gives_the_same_tone(
    write_tone, name, rate, channels, subtype
):
    path = write_tone(name, 1.0, rate, channels, subtype)
    samples = read_audio(AudioClip(path), 16000)
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert len(samples) == pytest.approx(16000, abs=2)
    assert loudest_frequency(samples, 16000) == pytest.approx(440, abs=1)
    assert np.abs(samples[4000:12000]).max() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_blocks_are_what_resampling_the_whole_gives(write_tone, rate):
    path = write_tone("long.wav", 23.4, rate, 2, "FLOAT")
    blocks = list(read_blocks(AudioClip(path, start=0.5), 16000))
    assert len(blocks) == 3
    assert max(map(len, blocks)) <= 10 * 16000
    whole = soundfile.read(path, dtype="float32")[0][rate // 2 :].mean(axis=1)
    np.testing.assert_array_equal(np.concatenate(blocks), soxr.resample(whole, rate, 16000))


def test_blocks_are_decoded_as_they_are_asked_for(write_tone):
    path = write_tone("cut.flac", 25.0)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    blocks = read_blocks(AudioClip(path), 16000)
    assert len(next(blocks)) == 160000
    with pytest.raises(InputError, match=r"cut\.flac"):
        list(blocks)


def test_channels_are_averaged(tmp_path):
    path = tmp_path / "two.wav"
    soundfile.write(path, np.array([[0.5, 0.25], [-0.5, 0.0]]), 16000, subtype="FLOAT")
    np.testing.assert_array_equal(read_audio(AudioClip(path), 16000), [0.375, -0.25])


def test_a_stretch_is_read_at_its_offset(tmp_path):
    path = tmp_path / "ramp.wav"
    soundfile.write(path, np.arange(1000) / 1000, 1000, subtype="FLOAT")
    samples = read_audio(AudioClip(path, start=0.25, duration=0.5), 1000)
    np.testing.assert_allclose(samples, np.arange(250, 750) / 1000, rtol=1e-6)
    assert len(read_audio(AudioClip(path, start=0.25), 1000)) == 750


def test_encoded_bytes_read_as_the_file_they_came_from(write_tone):
    path = write_tone("tone.flac")
    clip = AudioClip(path.read_bytes, name="row 3")
    np.testing.assert_array_equal(read_audio(clip, 16000), read_audio(AudioClip(path), 16000))
    assert probe(clip) == 1.0


def test_probe_tells_the_duration(write_tone):
    assert probe(AudioClip(write_tone("tone.ogg", 1.5, 8000))) == 1.5


def refused(clip: AudioClip) -> str:
    with pytest.raises(InputError) as caught:
        read_audio(clip, 16000)
    assert str(clip) in str(caught.value)
    return str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    assert "does not exist" in refused(AudioClip(tmp_path / "nowhere.wav"))
    assert "not a file" in refused(AudioClip(tmp_path))


def test_files_without_samples_are_named(tmp_path):
    soundfile.write(tmp_path / "header.wav", np.zeros(0), 16000)
    assert "no samples" in refused(AudioClip(tmp_path / "header.wav"))
    (tmp_path / "zero.wav").write_bytes(b"")
    assert "empty" in refused(AudioClip(tmp_path / "zero.wav"))


@pytest.mark.parametrize("name", ["cut.flac", "cut.ogg", "cut.mp3"])
@pytest.mark.parametrize("kept", [0.9, 0.5, 0.02])
def test_truncated_files_that_can_be_told_are_named(write_tone, name, kept):
    path = write_tone(name, 2.0)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(InputError, match=name):
        read_utterance(Utterance("u", AudioClip(path), 2.0, "a"), 16000)


def test_a_damaged_file_is_named(write_tone):
    path = write_tone("damaged.flac", 2.0)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = b"\xff" * 2000
    path.write_bytes(content)
    refused(AudioClip(path))


def test_a_file_that_is_no_audio_is_named(tmp_path):
    for name in ("text.wav", "text.raw"):
        (tmp_path / name).write_text("this is no audio " * 100)
        refused(AudioClip(tmp_path / name))
    assert "row 7" in refused(AudioClip(lambda: b"no audio", name="row 7"))


def test_samples_that_are_no_numbers_are_named(tmp_path):
    for value in (np.nan, np.inf):
        soundfile.write(tmp_path / "nan.wav", [0.0, value, 0.0], 16000, subtype="FLOAT")
        assert "finite" in refused(AudioClip(tmp_path / "nan.wav"))


def test_a_flac_that_states_no_length_is_named(write_tone):
    path = write_tone("piped.flac")
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # STREAMINFO's 36 bits of total samples
    content[22:26] = bytes(4)
    path.write_bytes(content)
    assert "length" in refused(AudioClip(path))
    with pytest.raises(InputError, match="length"):
        probe(AudioClip(path))


def test_a_stretch_past_the_end_is_named(write_tone):
    assert "from 5 s on" in refused(AudioClip(write_tone("tone.flac"), start=5.0, duration=1.0))


def test_a_truncated_wav_is_told_by_the_stated_duration(write_tone):
    path = write_tone("cut.wav", 2.0)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert len(read_audio(AudioClip(path), 16000)) < 16000  # libsndfile reads it as sound
    with pytest.raises(InputError, match=r"cut\.wav has 1\.00 s .* 2\.00 s .*'u'.*truncated"):
        read_utterance(Utterance("u", AudioClip(path), 2.0, "a"), 16000)


@pytest.mark.parametrize(
    ("stated", "accepted"), [(2.0, True), (2.13, True), (2.15, False), (1.88, True), (1.5, False)]
)
def test_stated_durations_may_be_off_by_a_tenth_of_a_second_and_2_percent(
    write_tone, stated, accepted
):
    utterance = Utterance("u", AudioClip(write_tone("tone.wav", 2.0)), stated, "a")
    if accepted:
        assert len(read_utterance(utterance, 16000)) == 32000
    else:
        with pytest.raises(InputError, match="stated duration"):
            read_utterance(utterance, 16000)


def test_a_clip_goes_by_its_name_or_its_path():
    assert str(AudioClip(Path("a/b.wav"))) == "a/b.wav"
    assert str(AudioClip(lambda: b"", name="row 3")) == "row 3"


def test_samples_beyond_any_scale_are_named(tmp_path):
    """Their squares overflow, and what is normalised by them is silence."""
    path = tmp_path / "loud.wav"
    soundfile.write(path, [0.0, -1e30, 0.0], 16000, subtype="FLOAT")
    assert "full scale" in refused(AudioClip(path))
    soundfile.write(path, [0.0, 32767.0, -32768.0], 16000, subtype="FLOAT")
    assert read_audio(AudioClip(path), 16000).max() == 32767
