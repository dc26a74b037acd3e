#!/usr/bin/python3
"""Writes trajectory.json: ten training steps of a small residual network in PyTorch, float64, with SGD and with Adam.

    ./trajectory.py > trajectory.json        (Debian's python3-torch)

The network has what the plan must get right: a convolution with and one without bias, stride, batch-norm (training
statistics, running ones), max- and average-pooling, a projection shortcut, a tensor with two users, flatten before the
linear layer, label smoothing, logit MSE, softened KL.
"""
import json
import sys
import torch
from torch import nn
from torch.nn import functional as F

BATCH, STEPS, CLASSES = 6, 10, 5
MEAN, STD = [0.4, 0.5], [0.3, 0.25]


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 5, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(5)
        self.conv2 = nn.Conv2d(5, 6, 3, stride=2, padding=1)
        self.norm2 = nn.BatchNorm2d(6)
        self.project = nn.Conv2d(5, 6, 1, stride=2, bias=False)
        self.head = nn.Linear(24, CLASSES)

    def forward(self, x):
        x = F.max_pool2d(torch.relu(self.norm1(self.conv1(x))), 2)
        x = torch.relu(self.norm2(self.conv2(x)) + self.project(x))
        x = F.avg_pool2d(x, 2, stride=1)
        return self.head(torch.flatten(x, 1))


def pixels(count):
    state, values = 12345, []
    for _ in range(count):
        state = (1103515245 * state + 12345) % 2**31
        values.append(state >> 23)
    return values


def run(kind):
    torch.manual_seed(1709)
    net = Network().double()
    initial = {k: v.double().flatten().tolist() for k, v in net.state_dict().items() if "batches" not in k}
    images = pixels(BATCH * 2 * 12 * 12)
    x = torch.tensor(images, dtype=torch.float64).reshape(BATCH, 2, 12, 12) / 255
    x = (x - torch.tensor(MEAN).reshape(1, 2, 1, 1)) / torch.tensor(STD).reshape(1, 2, 1, 1)
    labels = torch.arange(BATCH) % CLASSES
    teacher = torch.randn(BATCH, CLASSES).float()
    if kind == "sgd":
        optimiser = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3)
    else:
        optimiser = torch.optim.Adam(net.parameters(), lr=0.01, weight_decay=1e-2)
    losses = []
    for _ in range(STEPS):
        logits = net(x)
        hard = F.cross_entropy(logits, labels, label_smoothing=0.1)
        mse = ((logits - teacher) ** 2).sum(1).mean()
        kl = F.kl_div(F.log_softmax(logits / 3, 1), F.softmax(teacher.double() / 3, 1), reduction="batchmean") * 9
        loss = hard + 0.05 * mse + 0.5 * kl
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    net.eval()
    with torch.no_grad():
        logits = net(x)
    final = {k: v.double().flatten().tolist() for k, v in net.state_dict().items() if "batches" not in k}
    return {"initial": initial, "teacher": teacher.flatten().tolist(), "losses": losses, "final": final,
            "evaluation": {"loss": F.cross_entropy(logits, labels).item(), "accuracy": (logits.argmax(1) == labels).double().mean().item()}}


json.dump({"torch": torch.__version__, "batch": BATCH, "classes": CLASSES, "mean": MEAN, "std": STD,
           "images": pixels(BATCH * 2 * 12 * 12), "sgd": run("sgd"), "adam": run("adam")}, sys.stdout)
