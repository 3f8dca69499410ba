"""Arguments that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

CORPUS = "a JSONL manifest, a LibriSpeech folder, lhotse cuts, or a saved HF dataset"

Checkpoint = Annotated[
    str, typer.Argument(help="Hub id, or folder written by transformers, of a recogniser.")
]
Model = Annotated[
    str,
    typer.Argument(
        help="A compressed or exported folder, or a full-precision checkpoint (hub id, folder)."
    ),
]
Train = Annotated[Path, typer.Option(help=f"Training speech: {CORPUS}.")]
TrainOrAudio = Annotated[
    Path,
    typer.Option(
        "--train",
        help=f"Training speech: {CORPUS}; with --unlabelled, and for Whisper, a "
        "folder of audio too.",
    ),
]
Dev = Annotated[Path, typer.Option(help=f"Speech to evaluate on: {CORPUS}.")]
Runtime = Annotated[
    str,
    typer.Option(
        help="auto, torch, torch-compiled (bfloat16 and integer products on a CUDA device), "
        "openvino, onnx, onnx-nbits (weights stay packed in memory), or "
        "openvino-bf16 (bfloat16 where there are no 8 bits: faster, now and then "
        "another word). All but PyTorch trace a model once and keep its graph; auto runs an "
        "exported folder with the fastest that is installed, and anything else with PyTorch."
    ),
]
FloatAttention = Annotated[
    bool,
    typer.Option(
        "--float-attention",
        help="Leave the products inside attention in floating point. Else they take 8 bits too, in "
        "wav2vec 2.0 and HuBERT, in every layer where that changes no words to speak of.",
    ),
]
SkipBroken = Annotated[
    bool,
    typer.Option(
        "--skip-broken",
        help="Leave out utterances whose audio cannot be read, and count them in every report; "
        "else all of them are listed, and nothing is done.",
    ),
]
Data = Annotated[Path, typer.Option(help=f"Speech: {CORPUS}.")]
Out = Annotated[Path, typer.Option(help="Folder to write; it must not exist.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")]
