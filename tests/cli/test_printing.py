"""Names from files and models cannot command the terminal."""

from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import soundfile
from program import save_checkpoint, save_speech, sottovoce
from rich.progress import Progress
from rich.table import Table
from tiny import RATE

from sottovoce.cli.printing import Console, say

ERASE, BACKWARDS = "\x1b[2J", "\u202e"


def test_a_console_sends_only_its_own_controls(capsys: pytest.CaptureFixture[str]) -> None:
    told = StringIO()
    console = Console(file=told, force_terminal=True, width=200)
    console.out(f"a{ERASE}\nb{BACKWARDS}\x9b2J", highlight=False)
    console.print(f"[bold]c{ERASE}[/bold]\nd", highlight=False)
    table = Table(f"e{ERASE}")
    table.add_row(f"f{BACKWARDS}")
    console.print(table)
    with Progress(console=console) as bar:
        bar.add_task(f"g{ERASE}")
    shown = told.getvalue()
    assert ERASE not in shown
    assert BACKWARDS not in shown
    for name in (r"a\x1b[2J\nb\u202e\x9b2J", r"c\x1b[2J", r"e\x1b[2J", r"f\u202e", r"g\x1b[2J"):
        assert name in shown
    assert "\x1b[1m" in shown  # bold
    assert "\nd\n" in shown
    say(f"x{ERASE}\ny", "می\u200cخواهم")
    assert capsys.readouterr().out == "x\\x1b[2J\\ny\tمی\u200cخواهم\n"


def test_names_and_texts_are_printed_without_controls(tmp_path: Path) -> None:
    model = save_checkpoint(tmp_path / f"m{ERASE}")
    vocabulary = model / "vocab.json"
    vocabulary.write_text(vocabulary.read_text().replace('"a"', f'"{BACKWARDS}\\u001b"'))
    tokens = (model / "tokenizer_config.json").read_text()
    assert "added_tokens_decoder" in tokens
    speech = save_speech(tmp_path / f"s{ERASE}\nerror: all is lost")
    audio = speech.with_name(f"0{ERASE}.wav")
    soundfile.write(audio, np.zeros(RATE), RATE)
    for words, status in (
        (("transcribe", model, audio, audio), 0),
        (("transcribe", model, speech.with_name(f"none{ERASE}\n.wav")), 2),
        (("transcribe", tmp_path / f"none{ERASE}", audio), 2),
        (("evaluate", model, "--data", speech), 2),
        (("finetune", model, "--train", speech, "--dev", speech, "--out", tmp_path / "o"), 2),
    ):
        ended = sottovoce(*words)
        assert ended.status == status, ended
        told = ended.out + ended.err
        assert "\x1b" not in told
        assert BACKWARDS not in told
        assert "\nerror: all" not in told
        assert r"\x1b" in told
