"""The program as a launcher starts it: several processes, of which one writes and speaks."""

import json
import os
import subprocess
import sys
from pathlib import Path

from program import save_checkpoint, save_speech, write_manifest
from tiny import noise

from sottovoce.loading import load

ROWS = """
title = "Two rows"
baseline = "U1"
[[rows]]
name = "U1"
system = "full precision"
method = "finetune"
[[rows]]
name = "M"
system = "two-stage"
options = { bits = 3, plan_by = "kl", sensitivity_batches = 1 }
"""


def launched(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """As `torchrun --nproc-per-node 2 --no-python sottovoce WORDS...`."""
    program = folder / "sottovoce"
    program.write_text("from sottovoce_program import run; run()")  # as pip installs it
    launcher = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2")
    return subprocess.run(
        [*launcher, str(program), *map(str, words)],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_table_in_two_processes_is_written_and_told_once(tmp_path: Path) -> None:
    start, speech = save_checkpoint(tmp_path / "start"), save_speech(tmp_path / "speech")
    records = [json.loads(one) for one in save_speech(tmp_path / "dev", 9).read_text().splitlines()]
    dev = tmp_path / "dev" / "dev.jsonl"  # of other lengths, and no audio of the training
    write_manifest(dev, [{**one, "id": f"dev-{one['id']}"} for one in records[1:]])
    table, out = tmp_path / "rows.toml", tmp_path / "out"
    table.write_text(ROWS)
    ended = launched(
        tmp_path,
        *("reproduce", table, "--checkpoint", start, "--train", speech, "--test", f"dev={dev}"),
        *("--out", out, "--steps", 2, "--seconds-per-batch", 1, "--evaluations", 1),
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("# Two rows") == 1
    assert ended.stderr.count("update 2 of 2") == 1 + 3 + 1  # U1, uniform models, the plan
    rows = json.loads((out / "table.json").read_text())["rows"]
    assert [row["name"] for row in rows] == ["input", "U1", "M"]
    assert [row["cpu_seconds"] for row in rows[1:]] == [None, None]  # of one process it says little
    for name in ("U1", "M"):
        assert len(load(out / "rows" / name).recognise([noise(0.3)])) == 1
    assert not list((out / "rows").glob("*.unfinished"))


def test_a_mistake_is_told_once(tmp_path: Path) -> None:
    start = save_checkpoint(tmp_path / "start")
    missing = tmp_path / "nothing.jsonl"
    words = ("finetune", start, "--train", missing, "--dev", missing, "--out", tmp_path / "out")
    ended = launched(tmp_path, *words)
    assert ended.returncode != 0
    assert ended.stderr.count(f"error: {missing} does not exist") == 1
