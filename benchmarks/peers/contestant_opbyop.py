"""The copy training step in PyTorch, op by op: in the manner of the public NTM implementations for PyTorch.

A module for each part, called step by step; memory [B N M]; each head has its own linear layer and addresses the memory
by itself; the circular convolution is done row by row of the batch; the output is squashed at every step; gradients are
clipped and weights updated tensor by tensor. Written for this comparison: the cosine's epsilon, the order of writing
and reading and the initial state are ours, so that loss and gradient can be compared.
"""
import contestant
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

H, N, M, C, K = 100, 128, 20, 9, 8


def split(x, widths):
    """Columns of x [B sum(widths)], cut at running totals."""
    ends = np.cumsum([0] + widths)
    return [x[:, a:b] for a, b in zip(ends[:-1], ends[1:])]


def convolve(w, s):
    """Circular convolution of one row: w [N] with s [3]; s[0] moves a slot down, s[2] up."""
    t = torch.cat([w[-1:], w, w[:1]])
    return F.conv1d(t.view(1, 1, -1), s.flip(0).view(1, 1, -1)).view(-1)


class Memory(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("bias", torch.full((N, M), 1e-6))

    def reset(self, rows):
        self.rows = rows
        self.memory = self.bias.clone().repeat(rows, 1, 1)

    def read(self, w):
        return torch.matmul(w.unsqueeze(1), self.memory).squeeze(1)

    def write(self, w, e, a):
        previous = self.memory
        erase = torch.matmul(w.unsqueeze(-1), e.unsqueeze(1))
        add = torch.matmul(w.unsqueeze(-1), a.unsqueeze(1))
        self.memory = previous * (1 - erase) + add

    def address(self, k, beta, g, s, gamma, previous):
        wc = self.similarity(k, beta)
        wg = g * wc + (1 - g) * previous
        shifted = torch.zeros_like(wg)
        for b in range(self.rows):
            shifted[b] = convolve(wg[b], s[b])
        w = (shifted + 1e-16) ** gamma
        return torch.div(w, torch.sum(w, dim=1).view(-1, 1))

    def similarity(self, k, beta):
        k = k.view(self.rows, 1, -1)
        dot = (self.memory * k).sum(-1)
        norms = torch.sqrt((self.memory**2).sum(-1) + 1e-6) * torch.sqrt((k**2).sum(-1) + 1e-6)
        return F.softmax(beta * (dot / norms), dim=1)


class Head(nn.Module):
    def __init__(self, memory, extra):
        super().__init__()
        self.memory = memory
        self.widths = [M, 1, 1, 3, 1] + extra
        self.fc = nn.Linear(H, sum(self.widths))

    def start(self, rows):
        w = torch.zeros(rows, N, dtype=self.fc.weight.dtype)
        w[:, 0] = 1
        return w

    def address(self, k, beta, g, s, gamma, previous):
        return self.memory.address(
            torch.tanh(k.clone()), F.softplus(beta), torch.sigmoid(g), F.softmax(s, dim=1), 1 + F.softplus(gamma), previous
        )


class ReadHead(Head):
    def __init__(self, memory):
        super().__init__(memory, [])

    def forward(self, h, previous):
        w = self.address(*split(self.fc(h), self.widths), previous)
        return self.memory.read(w), w


class WriteHead(Head):
    def __init__(self, memory):
        super().__init__(memory, [M, M])

    def forward(self, h, previous):
        *parameters, e, a = split(self.fc(h), self.widths)
        w = self.address(*parameters, previous)
        self.memory.write(w, torch.sigmoid(e), torch.tanh(a))
        return w


class Controller(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(C + M, H)
        self.h0 = nn.Parameter(torch.zeros(1, 1, H))
        self.c0 = nn.Parameter(torch.zeros(1, 1, H))

    def start(self, rows):
        return self.h0.clone().repeat(1, rows, 1), self.c0.clone().repeat(1, rows, 1)

    def forward(self, x, state):
        y, state = self.lstm(x.unsqueeze(0), state)
        return y.squeeze(0), state


class Ntm(nn.Module):
    def __init__(self):
        super().__init__()
        self.memory = Memory()
        self.controller = Controller()
        self.read, self.write = ReadHead(self.memory), WriteHead(self.memory)
        self.r0 = nn.Parameter(torch.zeros(1, M))
        self.fc = nn.Linear(H + M, K)

    def reset(self, rows):
        self.memory.reset(rows)
        self.r = self.r0.clone().repeat(rows, 1)
        self.state = self.controller.start(rows)
        self.w_read, self.w_write = self.read.start(rows), self.write.start(rows)

    def forward(self, x):
        h, self.state = self.controller(torch.cat([x, self.r], dim=1), self.state)
        self.w_write = self.write(h, self.w_write)
        self.r, self.w_read = self.read(h, self.w_read)
        return torch.sigmoid(self.fc(torch.cat([h, self.r], dim=1)))


class Contestant:
    name = "pytorch_opbyop"

    def __init__(self, weights, dtype):
        self.net = Ntm().to(dtype)
        self.criterion = nn.BCELoss(reduction="sum")
        self.optimizer = torch.optim.RMSprop(self.net.parameters(), lr=1e-4, alpha=0.95, momentum=0.9, foreach=False)
        lstm, heads = weights["controller.layer_0.weight"], weights["memory.heads.weight"]
        bias = weights["memory.heads.bias"]
        c = self.net.controller
        for parameter, value in (
            (c.lstm.weight_ih_l0, lstm[: C + M].T),
            (c.lstm.weight_hh_l0, lstm[C + M :].T),
            (c.lstm.bias_ih_l0, weights["controller.layer_0.bias"]),
            (c.lstm.bias_hh_l0, np.zeros(4 * H)),
            (c.h0, weights["controller.layer_0.initial_h"]),
            (c.c0, weights["controller.layer_0.initial_c"]),
            (self.net.r0, weights["memory.read_0.initial_value"]),
            (self.net.read.fc.weight, heads[:, :26].T),
            (self.net.read.fc.bias, bias[:26]),
            (self.net.write.fc.weight, heads[:, 26:].T),
            (self.net.write.fc.bias, bias[26:]),
            (self.net.fc.weight, weights["readout.weight"].T),
            (self.net.fc.bias, weights["readout.bias"]),
        ):
            parameter.data.copy_(torch.from_numpy(np.ascontiguousarray(value)).reshape(parameter.shape))

    def gradient(self, dense, target, scored):
        steps, rows, _ = dense.shape
        self.optimizer.zero_grad()
        self.net.reset(rows)
        y = torch.stack([self.net(dense[t]) for t in range(steps)])
        loss = self.criterion(y[scored], target[scored]) / rows
        loss.backward()
        return loss.item()

    def update(self):
        for p in self.net.parameters():
            p.grad.data.clamp_(-10, 10)
        self.optimizer.step()

    def our_gradient(self):
        n = self.net
        c = n.controller

        def both(a, b):
            return np.concatenate((a.grad.numpy().T, b.grad.numpy().T), 0 if a is c.lstm.weight_ih_l0 else -1)

        return {
            "controller.layer_0.weight": both(c.lstm.weight_ih_l0, c.lstm.weight_hh_l0),
            "controller.layer_0.bias": c.lstm.bias_ih_l0.grad.numpy().reshape(4, H),
            "controller.layer_0.initial_h": c.h0.grad.numpy().reshape(-1),
            "controller.layer_0.initial_c": c.c0.grad.numpy().reshape(-1),
            "memory.read_0.initial_value": n.r0.grad.numpy().reshape(-1),
            "memory.heads.weight": both(n.read.fc.weight, n.write.fc.weight),
            "memory.heads.bias": both(n.read.fc.bias, n.write.fc.bias),
            "readout.weight": n.fc.weight.grad.numpy().T,
            "readout.bias": n.fc.bias.grad.numpy(),
        }


if __name__ == "__main__":
    contestant.main(Contestant)
