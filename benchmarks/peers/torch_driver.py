"""PyTorch as one of the engines: the protocol of src/peers/protocol.ts. Runs on PyTorch 1.13 and later.

argv: none; the variant comes with "open": cpu-1, cpu-2 (threads), cuda-f32, cuda-tf32, cuda-bf16.
"""

import json
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

MOST_UNITS = 4096


class Unsupported(Exception):
    pass


class Context:
    """Device and precision of this process."""

    def __init__(self, variant):
        kind, detail = variant.split("-")
        self.cuda = kind == "cuda"
        self.bf16 = detail == "bf16"
        if self.cuda:
            if not torch.cuda.is_available():
                raise RuntimeError("PyTorch sees no CUDA device")
            torch.backends.cuda.matmul.allow_tf32 = detail == "tf32"
            torch.backends.cudnn.allow_tf32 = detail == "tf32"
            torch.backends.cudnn.benchmark = True
        else:
            torch.set_num_threads(int(detail))
        self.device = torch.device("cuda" if self.cuda else "cpu")

    def info(self):
        if self.cuda:
            return {"version": torch.__version__, "device": torch.cuda.get_device_name()}
        library = blas()
        info = {"version": torch.__version__, "device": f"CPU, {torch.get_num_threads()} threads, BLAS {library}"}
        if library == "reference":
            info["note"] = "PyTorch uses the reference BLAS, which is slow: install libopenblas0-pthread"
        return info

    def finish(self):
        if self.cuda:
            torch.cuda.synchronize()

    def load(self, tensor, dtype=np.float32):
        values = torch.from_numpy(np.fromfile(tensor["file"], dtype=dtype).reshape(tensor["shape"]))
        return values.to(self.device)


def blas():
    """The library that products go to, by what the process has mapped after one."""
    torch.mm(torch.ones(64, 64), torch.ones(64, 64))
    try:
        with open("/proc/self/maps") as maps:
            mapped = maps.read()
    except OSError:
        return "unknown"
    for name in ("openblas", "mkl_core", "blis", "atlas"):
        if name in mapped:
            return name
    static = torch.__config__.show()
    return "MKL" if "BLAS_INFO=mkl" in static else "OpenBLAS" if "BLAS_INFO=open" in static else "reference"


class Repeated:
    def __init__(self, context, compute):
        self.context, self.compute = context, compute

    def check(self):
        with torch.no_grad():
            return self.compute().float().cpu().contiguous().numpy()

    def run(self, units):
        with torch.no_grad():
            for _ in range(units):
                self.compute()
        self.context.finish()


def prepare_gemm(context, case):
    a, b = context.load(case["inputs"]["a"]), context.load(case["inputs"]["b"])
    if context.bf16:
        a, b = a.bfloat16(), b.bfloat16()
    out = torch.empty_like(a)
    return Repeated(context, lambda: torch.mm(a, b, out=out))


def prepare_conv(context, case):
    x, weight, dy = (context.load(case["inputs"][name]) for name in ("x", "weight", "dy"))
    if context.bf16:
        x, weight, dy = x.bfloat16(), weight.bfloat16(), dy.bfloat16()
    if case["pass"] == "forward":
        return Repeated(context, lambda: F.conv2d(x, weight, padding=1))
    mask = [case["pass"] == "input-gradient", case["pass"] == "weight-gradient", False]

    def gradient():
        both = torch.ops.aten.convolution_backward(dy, x, weight, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, mask)
        return both[0] if mask[0] else both[1]

    return Repeated(context, gradient)


def conv2d(inputs, a, weight, training):
    x = inputs[0]
    top, left, bottom, right = a["padding"]
    padding = (top, left)
    if (top, left) != (bottom, right):
        x, padding = F.pad(x, (left, right, top, bottom)), 0
    return F.conv2d(x, weight("weight"), weight("bias") if a["bias"] else None, a["stride"], padding, groups=a["groups"])


def batch_norm(inputs, a, weight, training):
    statistics = (weight("running_mean"), weight("running_var"))
    return F.batch_norm(inputs[0], *statistics, weight("weight"), weight("bias"), training, a["momentum"], a["epsilon"])


def linear(inputs, a, weight, training):
    return F.linear(inputs[0], weight("weight"), weight("bias") if a["bias"] else None)


LAYERS = {
    "conv2d": conv2d,
    "batch-norm": batch_norm,
    "relu": lambda inputs, *_: F.relu(inputs[0]),
    "max-pool": lambda inputs, a, *_: F.max_pool2d(inputs[0], a["kernel"], a["stride"]),
    "global-average-pool": lambda inputs, *_: inputs[0].mean(dim=(2, 3)),
    "add": lambda inputs, *_: sum(inputs[1:], inputs[0]),
    "flatten": lambda inputs, *_: inputs[0].flatten(1),
    "linear": linear,
}


class Network:
    def __init__(self, context, case):
        self.context, self.case = context, case
        self.training = case["kind"] == "step"
        self.x = context.load(case["inputs"]["x"])
        self.labels = context.load(case["inputs"]["labels"], np.int32).long()
        self.weights = {name: context.load(tensor) for name, tensor in case["weights"].items()}
        trained = [tensor for name, tensor in self.weights.items() if ".running_" not in name]
        if self.training:
            for tensor in trained:
                tensor.requires_grad_()
            self.optimiser = torch.optim.SGD(trained, lr=case["checkRate"], momentum=case["momentum"])

    def logits(self):
        values = {self.case["inputId"]: self.x}
        for node in self.case["nodes"]:
            layer = LAYERS.get(node["type"])
            if layer is None:
                raise Unsupported(f'no layer "{node["type"]}" here')
            inputs = [values[name] for name in node["inputs"]]
            values[node["id"]] = layer(inputs, node["attributes"], lambda name: self.weights[f'{node["id"]}.{name}'], self.training)
        return values[self.case["nodes"][-1]["id"]]

    def forward(self):
        if not self.context.bf16:
            return self.logits()
        with torch.autocast(self.context.device.type, dtype=torch.bfloat16):
            return self.logits()

    def step(self):
        self.optimiser.zero_grad(set_to_none=True)
        loss = F.cross_entropy(self.forward().float(), self.labels)
        loss.backward()
        self.optimiser.step()
        return loss

    def check(self):
        if not self.training:
            with torch.no_grad():
                return self.forward().float().cpu().contiguous().numpy()
        return np.array([self.step().item() for _ in range(self.case["checkSteps"])], dtype=np.float32)

    def run(self, units):
        if self.training:
            self.optimiser.param_groups[0]["lr"] = self.case["timedRate"]
            for _ in range(units):
                self.step()
        else:
            with torch.no_grad():
                for _ in range(units):
                    self.forward()
        self.context.finish()


class Candidate(Network):
    """A student from its first weights to its accuracy. `shared` keeps files that several students read."""

    def __init__(self, context, case, shared):
        self.context, self.case = context, case

        def load(name, dtype=np.float32):
            tensor = case["inputs"][name]
            if tensor["file"] not in shared:
                shared[tensor["file"]] = context.load(tensor, dtype)
            return shared[tensor["file"]]

        self.images, self.teacher = load("x"), load("teacher")
        self.labels, self.validation = (load(name, np.int32).long() for name in ("labels", "validation"))
        self.order = context.load(case["inputs"]["order"], np.int32).long()
        self.rates = context.load(case["inputs"]["rates"]).tolist()
        self.weights = {name: context.load(tensor) for name, tensor in case["weights"].items()}
        trained = [tensor for name, tensor in self.weights.items() if ".running_" not in name]
        count = sum(tensor.numel() for tensor in trained)
        if count != case["parameterCount"]:
            raise ValueError(f'"{case["name"]}" has {count} parameters here and {case["parameterCount"]} in n2n')
        for tensor in trained:
            tensor.requires_grad_()
        adam = case["adam"]
        betas = (adam["beta1"], adam["beta2"])
        self.optimiser = torch.optim.Adam(trained, betas=betas, eps=adam["epsilon"], weight_decay=adam["weightDecay"])

    def train(self):
        self.training = True
        for batch, rate in zip(self.order, self.rates):
            self.optimiser.param_groups[0]["lr"] = rate
            self.optimiser.zero_grad(set_to_none=True)
            self.x = self.images[batch]
            loss = (self.forward().float() - self.teacher[batch]).square().sum(1).mean()
            loss.backward()
            self.optimiser.step()

    def validate(self):
        self.training = False
        correct, loss = 0, 0.0
        with torch.no_grad():
            for batch in self.validation.split(self.case["evaluationBatch"]):
                self.x = self.images[batch]
                logits, labels = self.forward().float(), self.labels[batch]
                correct += (logits.argmax(1) == labels).sum().item()
                loss += F.cross_entropy(logits, labels, reduction="sum").item()
        return {"accuracy": correct / len(self.validation), "loss": loss / len(self.validation)}


PREPARE = {"gemm": prepare_gemm, "conv": prepare_conv, "step": Network, "eval": Network}


class Server:
    def __init__(self):
        self.context = self.work = None
        self.unit_ms = 0.0
        self.shared = {}

    def answer(self, request):
        what = request["do"]
        if what == "open":
            self.context = Context(request["variant"])
            return {"ok": True, "info": self.context.info()}
        if what == "prepare":
            self.work = PREPARE[request["case"]["kind"]](self.context, request["case"])
        elif what == "check":
            self.work.check().astype(np.float32).tofile(request["out"])
        elif what == "measure":
            return self.measure(request["minimumMs"])
        elif what == "judge":
            return self.judge(Candidate(self.context, request["case"], self.shared))
        elif what == "release":
            self.work, self.unit_ms = None, 0.0
            if self.context.cuda:
                torch.cuda.empty_cache()
        return {"ok": True}

    def measure(self, minimum_ms):
        if self.unit_ms == 0:  # also warms up what the checked run did not
            self.unit_ms = self.timed(1)
        units = int(min(MOST_UNITS, max(1, -(-minimum_ms // self.unit_ms))))
        elapsed = self.timed(units)
        self.unit_ms = elapsed / units
        return {"ok": True, "elapsedMs": elapsed, "units": units}

    def judge(self, candidate):
        self.context.finish()
        start = time.perf_counter()
        candidate.train()
        measured = candidate.validate()
        self.context.finish()
        return {"ok": True, "elapsedMs": (time.perf_counter() - start) * 1e3, **measured}

    def timed(self, units):
        self.context.finish()
        start = time.perf_counter()
        self.work.run(units)
        return (time.perf_counter() - start) * 1e3


def main():
    server = Server()
    with os.fdopen(3, "w", buffering=1) as replies:
        for line in sys.stdin:
            try:
                reply = server.answer(json.loads(line))
            except Exception as error:  # the parent decides what a failure means
                reply = {"ok": False, "error": f"{type(error).__name__}: {error}", "unsupported": isinstance(error, Unsupported)}
            replies.write(json.dumps(reply) + "\n")


main()
