"""Biases for a front end that has none, so that post-training may write one."""

import torch
from torch import nn

from sottovoce.models.recogniser import Recogniser


def add_front_end_biases(recogniser: Recogniser) -> None:
    """Give the front end's convolutions biases of zero, where its configuration can say so.

    `config.conv_bias` is for all of them at once. The model computes what it did before.
    """
    model = recogniser.model
    if getattr(model.config, "conv_bias", None) is not False:
        return
    model.config.conv_bias = True
    for path in recogniser.family.front_end.modules:
        for layer in recogniser.backbone.get_submodule(path).modules():
            if isinstance(layer, nn.Conv1d):
                zeros = torch.zeros_like(layer.weight[:, 0, 0])
                layer.bias = nn.Parameter(zeros, requires_grad=layer.weight.requires_grad)
