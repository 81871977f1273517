"""The MemN2N training step in PyTorch (Sukhbaatar et al. 2015: 3 hops, adjacent tying, position encoding).

All tables in one lookup; the position encoding, constant + slope k in component k, as one small product a statement, with
both numbers of every word made beforehand; only the norms and the update run over single matrices, as the paper clips.
"""
import os

import contestant
import numpy as np
import torch
import torch.nn.functional as F

HOPS, D = 3, 20


def coefficients(words, longest, dtype):
    """[... W] words, -1 = none -> [... 2 W]: constant and slope of the program's position encoding, 0 where none."""
    there = words >= 0
    length = longest + 1
    place = torch.cumsum(there, -1).to(dtype)
    slope = 4 * (place / length - (1 + 1 / length) / 2) / D
    return torch.stack((1 - slope * (D + 1) / 2, slope), -2) * there.unsqueeze(-2)


class Stories(contestant.Case):
    """Batches as lists of (words [B N W], l [B N 2 W], present [B N], question [B T], its l [B 2 T], answer [B])."""

    LIST = "stories.txt"

    def __init__(self, folder, name, count, dtype):
        self.folder = os.path.join(folder, name)
        self.name = name
        self.batches = []
        for i in range(count):
            story, question, answer = (
                torch.from_numpy(np.load(os.path.join(self.folder, f"{i}.{what}.npy"))).long()
                for what in ("story", "question", "answer")
            )
            present = story[:, :, 0] >= 0
            self.batches.append(
                (story.clamp(min=0), coefficients(story, story.shape[2], dtype), present, question.clamp(min=0), coefficients(question, story.shape[2], dtype), answer)
            )
        self.rows = self.batches[0][0].shape[0]

    @staticmethod
    def weights(folder, name):
        weights = contestant.load_weights(os.path.join(folder, name, "weights"))
        weights["answers"] = np.load(os.path.join(folder, name, "answers.npy"))
        return weights

    def reference(self, parameters):
        return super().reference([p for p in parameters if p != "answers"])


class Contestant:
    name = "pytorch-memn2n"

    def __init__(self, weights, dtype):
        def values(name):
            return [torch.from_numpy(weights[f"memory.{name}_{i}"]).to(dtype).requires_grad_() for i in range(HOPS + 1)]

        self.tables, self.times = values("table"), values("times")
        answers = torch.from_numpy(weights["answers"]).long()
        self.answers = answers.clamp(min=0)
        self.answered = (answers >= 0).to(dtype)
        self.slots = self.times[0].shape[0]
        self.k = torch.arange(1, D + 1, dtype=dtype).repeat(HOPS + 1)

    def logits(self, words, l, present, question, l_question):
        rows, n, longest = words.shape
        every = torch.cat(self.tables, 1)
        sums = torch.bmm(l.view(rows * n, 2, longest), F.embedding(words.view(rows * n, longest), every))
        there = present.unsqueeze(2).to(every.dtype)
        # statement i of c has age c - 1 - i
        age = (present.sum(1, keepdim=True) - 1 - torch.arange(n)).clamp(min=0)
        m = torch.addcmul(sums[:, 0], sums[:, 1], self.k).view(rows, n, -1) + F.embedding(age, torch.cat(self.times, 1)) * there
        m = m.split(D, 2)
        asked = torch.bmm(l_question, F.embedding(question, self.tables[0]))
        u = torch.addcmul(asked[:, 0], asked[:, 1], self.k[:D])
        # slots that hold nothing compete with score 0: one more element that stands for them all
        empty = torch.log((self.slots - present.sum(1, keepdim=True)).to(every.dtype))
        hidden = ~present
        for hop in range(HOPS):
            score = torch.bmm(m[hop], u.unsqueeze(2)).squeeze(2).masked_fill(hidden, -torch.inf)
            p = torch.softmax(torch.cat((score, empty), 1), 1)[:, :n]
            u = u + torch.bmm(p.unsqueeze(1), m[hop + 1]).squeeze(1)
        return u @ (F.embedding(self.answers, self.tables[-1]) * self.answered.unsqueeze(1)).T

    def gradient(self, words, l, present, question, l_question, answer):
        loss = F.cross_entropy(self.logits(words, l, present, question, l_question), answer)
        for p in (*self.tables, *self.times):
            p.grad = None
        loss.backward()
        return loss.item()

    def update(self):
        with torch.no_grad():
            for p in (*self.tables, *self.times):
                norm = p.grad.norm()
                if norm > 40:
                    p.grad.mul_(40 / norm)
                p.add_(p.grad, alpha=-0.005)

    def our_gradient(self):
        all_of_them = {"table": self.tables, "times": self.times}
        return {f"memory.{name}_{i}": p.grad.numpy() for name, ps in all_of_them.items() for i, p in enumerate(ps)}


if __name__ == "__main__":
    contestant.main(Contestant, Stories)
