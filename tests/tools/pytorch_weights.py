#!/usr/bin/env python3
"""Room: tests/tools. Our exported weights in PyTorch, and PyTorch's in ours.

    pytorch_weights.py SOURCE compare DIR MODEL    exit 1 where outputs, loss or gradients differ
    pytorch_weights.py SOURCE make DIR KIND        weights of torch.nn.KIND, with the outputs that they must give

SOURCE is the source tree. Exit 77: python3-torch is not installed.
compare: DIR/weights.safetensors is our export; DIR/{dense,target,scored}.npy a batch; DIR/{float64,float32}/logits.npy,
loss.npy and gradient.NAME.npy are ours. MODEL is ntm (copy_ntm beside benchmarks/peers/contestant_pytorch.py) or lstm
(copy_lstm_1x100 beside torch.nn.LSTM). make: reads DIR/dense.npy, writes DIR/torch.safetensors and DIR/logits.npy.
"""
import json
import os
import re
import struct
import sys

try:
    import numpy as np
    import torch
    import torch.nn.functional as F
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

LIMITS = {torch.float64: 1e-10, torch.float32: 1e-4}


def page_reader(source):
    """read_safetensors of docs/checkpoint_format.md."""
    text = open(os.path.join(source, "docs", "checkpoint_format.md"), encoding="utf-8").read()
    names = {}
    exec(re.search(r"```python\n(.*?)```", text, re.S).group(1), names)
    return names["read_safetensors"]


def write_safetensors(path, arrays):
    header, data = {}, b""
    for name, array in arrays.items():
        bytes_of = np.ascontiguousarray(array, dtype="<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(bytes_of)]}
        data += bytes_of
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


class Net(torch.nn.Module):
    """torch.nn.LSTM, GRU or RNN from a zero state, and a linear readout."""

    def __init__(self, kind, inputs, hidden, outputs):
        super().__init__()
        self.rnn = getattr(torch.nn, kind)(inputs, hidden)
        self.readout = torch.nn.Linear(hidden, outputs)

    def forward(self, dense, state=None):
        return self.readout(self.rnn(dense, state)[0])


class Lstm:
    """Our LSTM without memory, as Net with learned initial states."""

    def __init__(self, weights, dtype):
        w, b = weights["controller.layer_0.weight"], weights["controller.layer_0.bias"]
        hidden = b.shape[1]
        self.inputs = w.shape[0] - hidden
        self.net = Net("LSTM", self.inputs, hidden, weights["readout.bias"].shape[0]).to(dtype)
        self.h0, self.c0 = (
            torch.tensor(weights[f"controller.layer_0.initial_{s}"], dtype=dtype, requires_grad=True) for s in "hc"
        )
        values = {
            "rnn.weight_ih_l0": w[: self.inputs].T, "rnn.weight_hh_l0": w[self.inputs :].T,
            "rnn.bias_ih_l0": b.reshape(-1), "rnn.bias_hh_l0": np.zeros(4 * hidden),
            "readout.weight": weights["readout.weight"].T, "readout.bias": weights["readout.bias"],
        }  # fmt: skip
        self.net.load_state_dict({k: torch.tensor(np.ascontiguousarray(v)).to(dtype) for k, v in values.items()})

    def logits(self, dense, scored):
        state = tuple(s.expand(1, dense.shape[1], -1).contiguous() for s in (self.h0, self.c0))
        return self.net(dense, state)[scored]

    def gradient(self, dense, target, scored):
        logits = self.logits(dense, scored)
        loss = F.binary_cross_entropy_with_logits(logits, target[scored], reduction="sum") / dense.shape[1]
        loss.backward()
        return loss.item()

    def our_gradient(self):
        g = {name: p.grad.numpy() for name, p in self.net.named_parameters()}
        return {
            "controller.layer_0.weight": np.concatenate((g["rnn.weight_ih_l0"].T, g["rnn.weight_hh_l0"].T)),
            "controller.layer_0.bias": g["rnn.bias_ih_l0"].reshape(4, -1),
            "controller.layer_0.initial_h": self.h0.grad.numpy(),
            "controller.layer_0.initial_c": self.c0.grad.numpy(),
            "readout.weight": g["readout.weight"].T,
            "readout.bias": g["readout.bias"],
        }


def compare(source, folder, model):
    if model == "ntm":
        sys.path.insert(0, os.path.join(source, "benchmarks", "peers"))
        from contestant_pytorch import Contestant as make
    else:
        make = Lstm
    _, weights = page_reader(source)(os.path.join(folder, "weights.safetensors"))
    read = lambda *name: np.load(os.path.join(folder, *name))
    bad = False
    for dtype in (torch.float64, torch.float32):
        bits = str(dtype)[len("torch.") :]
        dense, target = (torch.from_numpy(read(f"{n}.npy")).to(dtype) for n in ("dense", "target"))
        scored = torch.from_numpy(read("scored.npy")) > 0
        theirs = make(weights, dtype)
        logits = theirs.logits(dense, scored).detach().numpy()
        loss = theirs.gradient(dense, target, scored)
        ours = read(bits, "logits.npy").reshape(*scored.shape, -1)[scored.numpy()]
        outputs = np.abs(logits - ours).max()
        loss_gap = abs(loss - float(read(bits, "loss.npy"))) / loss
        gaps, relative = [], []
        gradient = theirs.our_gradient()
        assert set(gradient) == set(weights), set(gradient) ^ set(weights)
        for name, value in gradient.items():
            wanted = read(bits, f"gradient.{name}.npy")
            assert value.shape == wanted.shape, name
            gaps.append(np.abs(value - wanted).max())
            relative.append(gaps[-1] / np.abs(wanted).max())
        print(
            f"{model} {bits}: largest difference of outputs {outputs:.2e} (of {np.abs(ours).max():.2f}), "
            f"loss {loss_gap:.2e} relative, gradients {max(gaps):.2e} ({max(relative):.2e} of the array's largest)"
        )
        # Written so that NaN is bad, too.
        bad |= not all(gap <= LIMITS[dtype] for gap in (outputs, loss_gap, max(relative)))
    return int(bad)


def make(folder, kind):
    dense = torch.from_numpy(np.load(os.path.join(folder, "dense.npy"))).float()
    torch.manual_seed(1)
    net = Net(kind, dense.shape[2], 10, 3)
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(2)  # further from the linear range
        np.save(os.path.join(folder, "logits.npy"), net(dense).numpy())
    write_safetensors(
        os.path.join(folder, "torch.safetensors"), {name: p.detach().numpy() for name, p in net.named_parameters()}
    )
    return 0


if __name__ == "__main__":
    torch.set_num_threads(1)
    source, what, folder, name = sys.argv[1:]
    sys.exit(compare(source, folder, name) if what == "compare" else make(folder, name))
