"""Version 1 of the artifact: a folder that `transformers`' own classes read.

| file              | holds                                                                      |
|-------------------|----------------------------------------------------------------------------|
| config.json       | the model's config; `quantization_config`: quant_method, version, plan,    |
|                   | and the names of attentions whose products have 8-bit operands, if any     |
| model.safetensors | for each layer of the plan `.codes`, `.scale` and, if it has one, `.bias`, |
|                   | on the asymmetric grid `.offset` (float16, as `.scale`, with 16-bit        |
|                   | scales), with 8-bit inputs `.input_scale` and `.input_zero`; for each such |
|                   | attention `.operands.scale`, of queries, keys and values; every other      |
|                   | tensor of the model under its own name, float32                            |
| the rest          | the processor's files; model card, metrics.json and report.html are extra  |

A packed layer has no tensor called `.weight`, on purpose: a program that does not know the method
reports the weight as missing and cannot read the codes as if they were one.
"""

import torch

METHOD = "sottovoce"
VERSION = 1

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
METADATA = {"format": "pt"}
STORED_TYPES = {
    torch.float32: "F32",
    torch.float16: "F16",
    torch.uint8: "U8",
    torch.int64: "I64",
}
