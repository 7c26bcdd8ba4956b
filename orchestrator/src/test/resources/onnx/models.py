"""Makes the models beside it, and what PyTorch makes of a picture that is scaled: `./vard python models.py`."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import onnx
from onnx import TensorProto, checker, helper

HERE = Path(__file__).resolve().parent
FLOAT, UINT8, INT64 = TensorProto.FLOAT, TensorProto.UINT8, TensorProto.INT64


def save(name: str, nodes: list, inputs: dict, outputs: dict, metadata: dict[str, str] | None = None, constants: tuple = ()) -> None:
    infos = [[helper.make_tensor_value_info(n, kind, shape) for n, (kind, shape) in side.items()] for side in (inputs, outputs)]
    model = helper.make_model(helper.make_graph(nodes, name, *infos, list(constants)), opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, metadata or {})
    checker.check_model(model, full_check=True)
    onnx.save(model, HERE / f"{name}.onnx")


def node(kind: str, into: str, out: str, **attributes) -> onnx.NodeProto:
    return helper.make_node(kind, into.split(), [out], **attributes)


# The mean of each colour; and the mean of all, without an axis of its own.
save(
    "colours",
    [node("ReduceMean", "image", "colours", axes=[2, 3], keepdims=0), node("ReduceMean", "colours", "grey", axes=[1], keepdims=0)],
    {"image": (FLOAT, ["n", 3, "h", "w"])},
    {"colours": (FLOAT, ["n", 3]), "grey": (FLOAT, ["n"])},
    {"classes": "red, green, blue"},
)
# All numbers as they came, so that a test sees the input.
save("pixels", [node("Flatten", "image", "pixels")], {"image": (FLOAT, ["n", 3, 4, 5])}, {"pixels": (FLOAT, ["n", 60])})
save("rows", [node("Flatten", "image", "pixels")], {"image": (FLOAT, ["n", "h", "w", 3])}, {"pixels": (FLOAT, ["n", "all"])})
save("two", [node("Flatten", "image", "pixels")], {"image": (FLOAT, [2, 3, 2, 2])}, {"pixels": (FLOAT, [2, 12])})
save(
    "bytes",
    [node("Cast", "image", "numbers", to=FLOAT), node("Flatten", "numbers", "pixels")],
    {"image": (UINT8, ["n", "h", "w", 3])},
    {"pixels": (FLOAT, ["n", "all"])},
)
save("grey", [node("Flatten", "image", "pixels")], {"image": (FLOAT, ["n", 1, 4, 4])}, {"pixels": (FLOAT, ["n", 16])})
save(
    "pair",
    [node("Add", "image other", "sum"), node("Flatten", "sum", "pixels")],
    {"image": (FLOAT, ["n", 3, 4, 4]), "other": (FLOAT, ["n", 3, 4, 4])},
    {"pixels": (FLOAT, ["n", 48])},
)
save(
    "winner",
    [node("ReduceMean", "image", "colours", axes=[2, 3], keepdims=0), node("ArgMax", "colours", "winner", axis=1, keepdims=0)],
    {"image": (FLOAT, ["n", 3, "h", "w"])},
    {"winner": (INT64, ["n"])},
)
# Takes only images of 4 x 4, and does not say so.
save(
    "secret",
    [node("Reshape", "image shape", "pixels")],
    {"image": (FLOAT, ["n", 3, "h", "w"])},
    {"pixels": (FLOAT, ["n", 48])},
    constants=(helper.make_tensor("shape", INT64, [2], [1, 48]),),
)

# The picture: (37 row + 17 column + 101 channel) mod 256.
y, x, c = np.mgrid[0:9, 0:7, 0:3]
picture = torch.tensor((37 * y + 17 * x + 101 * c) % 256, dtype=torch.float64).permute(2, 0, 1)[None]
with (HERE / "scaled.csv").open("w") as file:
    file.write("height,width,row,column,channel,value\n")
    for height, width in ((4, 5), (2, 2), (12, 20), (9, 3), (1, 1)):
        scaled = F.interpolate(picture, (height, width), mode="bilinear", antialias=True)[0]
        for (channel, row, column), value in np.ndenumerate(scaled.numpy()):
            file.write(f"{height},{width},{row},{column},{channel},{value:.6f}\n")
