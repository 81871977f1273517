"""What the PyTorch contestants share: reading the exported case files, checking, timing.

    python3 contestant_X.py DIR check              largest differences to the exported loss and gradient
    python3 contestant_X.py DIR time THREADS CASE...   one line a case: CASE CPU_MS WALL_MS a sequence
    python3 contestant_X.py DIR versions
"""
import os
import sys
import time

import numpy as np
import torch


class Case:
    """Batches as lists of (dense [T B C], target [T B K], scored [T B]); the cases of LIST share the weights."""

    LIST = "cases.txt"

    def __init__(self, folder, name, count, dtype):
        self.folder = os.path.join(folder, name)
        self.name = name

        def read(i, what):
            return torch.from_numpy(np.load(os.path.join(self.folder, f"{i}.{what}.npy"))).to(dtype)

        self.batches = [(read(i, "dense"), read(i, "target"), read(i, "scored") > 0) for i in range(count)]
        self.rows = self.batches[0][0].shape[1]

    @staticmethod
    def weights(folder, name):
        return load_weights(os.path.join(folder, "weights"))

    def reference(self, parameters):
        loss = float(np.load(os.path.join(self.folder, "loss.npy")))
        return loss, {p: np.load(os.path.join(self.folder, f"gradient.{p}.npy")) for p in parameters}


def load_weights(folder):
    files = [f for f in sorted(os.listdir(folder)) if f.endswith(".npy")]
    return {f[: -len(".npy")]: np.load(os.path.join(folder, f)) for f in files}


def check(folder, cases, make, case_type):
    for name, count in cases.items():
        weights = case_type.weights(folder, name)
        for dtype in (torch.float64, torch.float32):
            case = case_type(folder, name, count, dtype)
            contestant = make(weights, dtype)
            loss = contestant.gradient(*case.batches[0])
            wanted_loss, wanted = case.reference(weights)
            got = contestant.our_gradient()
            gap = max(np.abs(got[p] - wanted[p]).max() / np.abs(wanted[p]).max() for p in wanted)
            bits = "float64" if dtype == torch.float64 else "float32"
            print(f"{contestant.name} {name} {bits} loss {abs(loss - wanted_loss) / wanted_loss:.2e} gradient {gap:.2e}")


def time_cases(folder, cases, make, case_type, names):
    for name in names:
        case = case_type(folder, name, cases[name], torch.float32)
        contestant = make(case_type.weights(folder, name), torch.float32)

        def run():
            for batch in case.batches:
                contestant.gradient(*batch)
                contestant.update()

        run()
        cpu, wall, sequences = time.process_time(), time.monotonic(), 0
        while time.monotonic() - wall < 0.5:
            run()
            sequences += len(case.batches) * case.rows
        print(name, 1e3 * (time.process_time() - cpu) / sequences, 1e3 * (time.monotonic() - wall) / sequences, flush=True)


def main(make, case_type=Case):
    folder, what = sys.argv[1], sys.argv[2]
    if what == "versions":
        print(f"PyTorch {torch.__version__}, Python {sys.version.split()[0]}, NumPy {np.__version__}")
        return
    torch.set_num_threads(int(sys.argv[3]) if what == "time" else 1)
    with open(os.path.join(folder, case_type.LIST)) as f:
        cases = {line.split()[0]: int(line.split()[1]) for line in f}
    if what == "check":
        check(folder, cases, make, case_type)
    else:
        time_cases(folder, cases, make, case_type, sys.argv[4:])
