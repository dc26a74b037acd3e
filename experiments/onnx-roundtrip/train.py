"""A CIFAR-10 ResNet-20 in plain PyTorch, trained from scratch and exported to ONNX: a teacher that n2n has never seen.

    python3 train.py cifar-10-batches-bin teacher.onnx

Reads CIFAR-10's binary version, needs torch and numpy (tried with PyTorch 1.13), runs on the CPU. Prints one JSON document on stdout:
{accuracy, loss, samples} on the test set, as `n2n eval --json` does, with what they came from beside; the progress goes to stderr.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

# Of the training images, scaled to 0..1, a channel: what README.md passes to n2n as --mean and --std.
MEAN = (0.4914, 0.4822, 0.4465)
STD = (0.2470, 0.2435, 0.2616)


class Block(nn.Module):
    """relu(bn(conv(relu(bn(conv(x))))) + shortcut(x)), the shortcut a 1x1 projection where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet20(nn.Module):
    """Three stages of three blocks at 1, 2 and 4 times `width` channels (arXiv 1512.03385, section 4.2). [N, 3, 32, 32] -> [N, 10]."""

    def __init__(self, width: int = 16, classes: int = 10):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        blocks, inputs = [], width
        for outputs in (width, 2 * width, 4 * width):
            for index in range(3):
                blocks.append(Block(inputs, outputs, 2 if index == 0 and outputs > width else 1))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.linear = nn.Linear(inputs, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        x = self.blocks(self.stem(x))
        return self.linear(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


def read_batches(folder: Path, names: list[str]):
    """Records of 1 label byte and 3,072 pixel bytes (R, G, B planes) -> float [N, 3, 32, 32], normalised, and int64 [N]."""
    records = np.concatenate([np.fromfile(folder / name, np.uint8).reshape(-1, 3073) for name in names])
    pixels = torch.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32)).float() / 255
    images = (pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    return images, torch.from_numpy(records[:, 0].astype(np.int64))


def augment(images, generator):
    """Each image cropped at random from itself with a border of 4 pixels of the mean, and flipped half of the time."""
    n = len(images)
    padded = F.pad(images, (4, 4, 4, 4))
    top, left = torch.randint(0, 9, (2, n, 1), generator=generator)
    rows, columns = top + torch.arange(32), left + torch.arange(32)
    flip = torch.rand(n, 1, generator=generator) < 0.5
    columns = torch.where(flip, columns.flip(1), columns)
    return padded[torch.arange(n)[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def train(network, images, labels, options):
    """SGD with Nesterov momentum; the learning rate rises to its peak and falls again within the given epochs."""
    generator = torch.Generator().manual_seed(options.seed)
    steps = -(-len(images) // options.batch)
    optimiser = torch.optim.SGD(network.parameters(), lr=options.learning_rate, momentum=0.9, weight_decay=5e-4, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, options.learning_rate, total_steps=steps * options.epochs)
    network.train()
    for epoch in range(options.epochs):
        started, total = time.time(), 0.0
        for chosen in torch.randperm(len(images), generator=generator).split(options.batch):
            loss = F.cross_entropy(network(augment(images[chosen], generator)), labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item() * len(chosen)
        seconds = time.time() - started
        print(f"epoch {epoch + 1}/{options.epochs}: loss {total / len(images):.3f}, {seconds:.0f} s", file=sys.stderr, flush=True)


@torch.no_grad()
def evaluate(network, images, labels):
    network.eval()
    logits = torch.cat([network(batch) for batch in images.split(500)])
    accuracy = (logits.argmax(1) == labels).float().mean().item()
    return {"accuracy": round(accuracy, 6), "loss": F.cross_entropy(logits, labels).item(), "samples": len(images)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of CIFAR-10's binary version")
    parser.add_argument("out", type=Path, help=".onnx file to write")
    parser.add_argument("--width", type=int, default=16, help="channels of the first stage; 16 is ResNet-20")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--subset", type=int, default=50_000, help="training images used")
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    images, labels = read_batches(options.data, [f"data_batch_{i}.bin" for i in range(1, 6)])
    network = ResNet20(options.width).to(memory_format=torch.channels_last)  # The faster order on CPUs.
    started = time.time()
    train(network, images[: options.subset], labels[: options.subset], options)
    seconds = time.time() - started
    result = evaluate(network, *read_batches(options.data, ["test_batch.bin"]))
    axes = {"input": {0: "N"}, "logits": {0: "N"}}
    names = {"input_names": ["input"], "output_names": ["logits"], "dynamic_axes": axes}
    torch.onnx.export(network.eval(), torch.zeros(1, 3, 32, 32), str(options.out), opset_version=13, **names)
    parameters = sum(p.numel() for p in network.parameters())
    result |= {"params": parameters, "width": options.width, "torch": torch.__version__, "seed": options.seed, "epochs": options.epochs, "trainSeconds": round(seconds)}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
