#!/usr/bin/python3
"""Writes the ONNX fixtures: tiny networks exported by PyTorch, and what PyTorch computes for random images: logits,
and gradients of two of them.

    ./fixtures.py        (Debian's python3-torch 1.13; writes *.onnx and logits.json beside itself)

Each network has the structures of one family of torchvision's, drawn small. Weights are random, batch-norm statistics too, so
that nothing is a special case. Images are bytes; the networks take pixels / 255.
"""
import base64
import json
import os
import torch
from torch import nn
from torch.nn import functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
CLASSES, IMAGES = 5, 6


class Residual(nn.Module):
    """ResNet: stem with max-pool, an identity block, a block with stride and projection."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.a1 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.b1 = nn.BatchNorm2d(8)
        self.a2 = nn.Conv2d(8, 12, 3, 2, 1, bias=False)
        self.b2 = nn.BatchNorm2d(12)
        self.down = nn.Conv2d(8, 12, 1, 2, bias=False)
        self.downbn = nn.BatchNorm2d(12)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(12, CLASSES)

    def forward(self, x):
        x = self.pool(F.relu(self.bn1(self.conv1(x))))
        x = F.relu(self.b1(self.a1(x)) + x)
        x = F.relu(self.b2(self.a2(x)) + self.downbn(self.down(x)))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class Squeeze(nn.Module):
    """SqueezeNet: fire modules joined by concat, rounded-up pooling, dropout, a convolution as classifier; softmax at the end."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 10, 3, 2)
        self.squeeze = nn.Conv2d(10, 6, 1)
        self.left = nn.Conv2d(6, 7, 1)
        self.right = nn.Conv2d(6, 9, 3, padding=1)
        self.drop = nn.Dropout(0.5)
        self.last = nn.Conv2d(16, CLASSES, 1)

    def logits(self, x):
        x = F.max_pool2d(F.relu(self.conv(x)), 3, 2, ceil_mode=True)
        x = F.relu(self.squeeze(x))
        x = torch.cat([F.relu(self.left(x)), F.relu(self.right(x))], 1)
        x = F.relu(self.last(self.drop(x)))
        return torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1)

    def forward(self, x):
        return F.softmax(self.logits(x), 1)


class Mobile(nn.Module):
    """MobileNet 2 and 3: inverted residual, depthwise, ReLU6, hard-swish, swish, squeeze-and-excite; leaky ReLU as well."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.expand = nn.Conv2d(8, 20, 1)
        self.depth = nn.Conv2d(20, 20, 3, 1, 1, groups=20)
        self.fc1 = nn.Conv2d(20, 6, 1)
        self.fc2 = nn.Conv2d(6, 20, 1)
        self.project = nn.Conv2d(20, 8, 1)
        self.grouped = nn.Conv2d(8, 12, 3, 2, 1, groups=2)
        self.gate = nn.Linear(12, 12)
        self.head = nn.Linear(12, CLASSES)

    def forward(self, x):
        x = F.relu6(self.stem(x))
        y = F.hardswish(self.expand(x))
        y = F.silu(self.depth(y))
        s = F.relu(self.fc1(F.adaptive_avg_pool2d(y, 1)))
        y = F.hardsigmoid(self.fc2(s)) * y
        x = F.leaky_relu(x + self.project(y), 0.1)
        x = self.grouped(x).mean([2, 3])
        return self.head(torch.sigmoid(self.gate(x)) * x)


class Dense(nn.Module):
    """DenseNet: batch-norm and ReLU before each convolution, concatenation of all earlier maps, transition with mean pooling."""

    def __init__(self):
        super().__init__()
        self.conv0 = nn.Conv2d(3, 6, 3, padding=1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(6 + 5 * i) for i in range(3)])
        self.convs = nn.ModuleList([nn.Conv2d(6 + 5 * i, 5, 3, padding=1, bias=False) for i in range(3)])
        self.transition = nn.Conv2d(21, 8, 1, bias=False)
        self.last = nn.BatchNorm2d(8)
        self.head = nn.Linear(8 * 6 * 6, CLASSES)

    def forward(self, x):
        features = [self.conv0(x)]
        for norm, conv in zip(self.norms, self.convs):
            features.append(conv(F.relu(norm(torch.cat(features, 1)))))
        x = F.avg_pool2d(self.transition(torch.cat(features, 1)), 2)
        x = F.relu(self.last(x))
        return self.head(x.view(x.size(0), -1))


class Plain(nn.Module):
    """A hand-made network: normalisation inside, odd paddings and kernels, padded mean pooling, MatMul + Add."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, (5, 3), (2, 1), (2, 1))
        self.conv2 = nn.Conv2d(6, 10, 3, bias=False)
        self.shift = nn.Parameter(torch.randn(10, 1, 1))
        self.weight = nn.Parameter(torch.randn(10 * 4 * 3, 9) * 0.1)
        self.offset = nn.Parameter(torch.randn(9))
        self.head = nn.Linear(9, CLASSES)

    def forward(self, x):
        x = (x - torch.tensor([0.4, 0.5, 0.6]).view(1, 3, 1, 1)) / torch.tensor([0.2, 0.3, 0.25]).view(1, 3, 1, 1)
        x = F.relu(self.conv1(F.pad(x, (1, 0, 0, 2))))
        x = F.avg_pool2d(x, 3, 2, 1)
        x = F.relu(self.conv2(x) + self.shift)
        x = F.avg_pool2d(x, 2, 1, 1, count_include_pad=False)
        x = x * 0.5
        x = torch.flatten(F.max_pool2d(F.relu(x), 2, 1), 1)
        return self.head(torch.matmul(x, self.weight) + self.offset)


def randomise(network):
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.3)
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.4, 2.5)


def gradients(network, pixels):
    """Of the mean cross-entropy in training mode, image i of class i % CLASSES: the first elements and the norm of each tensor."""
    network.double().train()
    loss = F.cross_entropy(network(pixels.double() / 255), torch.arange(IMAGES) % CLASSES)
    loss.backward()
    return {
        name: [f"{value:.9g}" for value in [*parameter.grad.flatten()[:4].tolist(), parameter.grad.norm().item()]]
        for name, parameter in network.named_parameters()
    }


def write(name, network, size, opset=13, logits=None, trained=False, **options):
    """`logits`: what to call in place of the network for the expected values, where that ends in a softmax."""
    randomise(network)
    network.eval()
    path = os.path.join(HERE, f"{name}.onnx")
    torch.onnx.export(network, torch.zeros(IMAGES, 3, *size), path, opset_version=opset, input_names=["images"], **options)
    generator = torch.Generator().manual_seed(len(name))
    pixels = torch.randint(0, 256, (IMAGES, 3, *size), generator=generator)
    with torch.no_grad():
        outputs = (logits or network)(pixels.float() / 255)
    print(f"{name}: {os.path.getsize(path)} bytes")
    written = {
        "channels": 3, "height": size[0], "width": size[1], "classes": CLASSES, "images": IMAGES,
        "pixels": base64.b64encode(bytes(pixels.flatten().tolist())).decode(),
        "logits": " ".join(f"{value:.9g}" for value in outputs.flatten().tolist()),
    }
    if trained:
        written["gradients"] = {tensor: " ".join(values) for tensor, values in gradients(network, pixels).items()}
    return written


def main():
    torch.manual_seed(3)
    squeeze = Squeeze()
    dynamic = {"dynamic_axes": {"images": {0: "batch"}}}
    keep = {"do_constant_folding": False, "training": torch.onnx.TrainingMode.PRESERVE}
    fixtures = {
        "residual": write("residual", Residual(), (24, 24)),
        "residual-bn": write("residual-bn", Residual(), (24, 24), **keep, **dynamic),
        "squeeze": write("squeeze", squeeze, (21, 20), logits=squeeze.logits, **dynamic),
        "mobile": write("mobile", Mobile(), (16, 16), opset=14, trained=True, **dynamic),
        "dense": write("dense", Dense(), (12, 12), opset=11, trained=True, **dynamic),
        "plain": write("plain", Plain(), (15, 11), opset=9),
    }
    with open(os.path.join(HERE, "logits.json"), "w") as file:
        json.dump(fixtures, file, indent=2)
        file.write("\n")


if __name__ == "__main__":
    main()
