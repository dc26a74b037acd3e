"""Writes pytorch.json: outputs and gradients of torch.nn.functional.conv2d in float64, NCHW and OIHW.

Run by hand: python3 pytorch.py > pytorch.json (made with PyTorch 1.13.1). Inputs follow from a formula that
conv2d.test.ts repeats, so only results are stored.
"""
import json
import torch

CASES = [
    dict(batch=2, channels=3, height=5, width=6, filters=5, kernel=[3, 3], stride=[1, 1], padding=[1, 1], groups=1),
    dict(batch=1, channels=4, height=7, width=7, filters=6, kernel=[3, 2], stride=[2, 3], padding=[1, 0], groups=1),
    dict(batch=2, channels=4, height=5, width=5, filters=8, kernel=[3, 3], stride=[2, 2], padding=[1, 1], groups=4),
    dict(batch=1, channels=6, height=4, width=4, filters=4, kernel=[1, 1], stride=[1, 1], padding=[0, 0], groups=2),
]


def values(shape, multiplier):
    count = int(torch.tensor(shape).prod())
    return torch.tensor([(i * multiplier % 23 - 11) / 8 for i in range(count)], dtype=torch.float64).reshape(shape)


results = []
for case in CASES:
    x = values([case["batch"], case["channels"], case["height"], case["width"]], 7).requires_grad_()
    weight = values([case["filters"], case["channels"] // case["groups"], *case["kernel"]], 5).requires_grad_()
    bias = values([case["filters"]], 3).requires_grad_()
    y = torch.nn.functional.conv2d(x, weight, bias, case["stride"], case["padding"], groups=case["groups"])
    y.backward(values(list(y.shape), 9))
    flat = {"y": y.detach(), "dx": x.grad, "dweight": weight.grad, "dbias": bias.grad}
    results.append({**case, **{name: tensor.flatten().tolist() for name, tensor in flat.items()}})
print("[\n" + ",\n".join(json.dumps(result, separators=(",", ":")) for result in results) + "\n]")
