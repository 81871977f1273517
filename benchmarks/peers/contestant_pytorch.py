"""The copy training step in PyTorch, well written.

No loop over rows, no clone that is not needed, all heads from one product and their numbers squashed by activation, the
memory's norms computed once a step and used by both heads, the readout over all steps at once, inputs projected for all
steps at once, one flat parameter for clipping and optimizer.
"""
import contestant
import numpy as np
import torch
import torch.nn.functional as F

H, N, M, C, K = 100, 128, 20, 9, 8
COSINE_EPS, SHARPEN_EPS = 1e-6, 1e-16

# Our columns of the head numbers, by activation: tanh (2 keys, add), sigmoid (erase, 2 gates), softmax (2 x 3 shifts),
# softplus (2 strengths, 2 sharpnesses).
read, write = 0, 26
ORDER = (
    [*range(read, read + 20), *range(write, write + 20), *range(72, 92), *range(52, 72), read + 21, write + 21]
    + [*range(read + 22, read + 25), *range(write + 22, write + 25), read + 20, write + 20, read + 25, write + 25]
)
SHAPES = {
    "w_x": (C, 4 * H), "w_rh": (M + H, 4 * H), "b": (4 * H,), "h0": (H,), "c0": (H,), "r0": (M,),
    "w_heads": (H, 92), "b_heads": (92,), "w_out": (H + M, K), "b_out": (K,),
}  # fmt: skip


class Contestant:
    name = "pytorch"

    def __init__(self, weights, dtype):
        self.flat = torch.zeros(sum(int(np.prod(s)) for s in SHAPES.values()), dtype=dtype, requires_grad=True)
        lstm = weights["controller.layer_0.weight"]
        values = {
            "w_x": lstm[:C], "w_rh": lstm[C:], "b": weights["controller.layer_0.bias"].reshape(-1),
            "h0": weights["controller.layer_0.initial_h"], "c0": weights["controller.layer_0.initial_c"],
            "r0": weights["memory.read_0.initial_value"], "w_heads": weights["memory.heads.weight"][:, ORDER],
            "b_heads": weights["memory.heads.bias"][ORDER], "w_out": weights["readout.weight"],
            "b_out": weights["readout.bias"],
        }  # fmt: skip
        with torch.no_grad():
            for name, part in self.parts(self.flat).items():
                part.copy_(torch.from_numpy(np.ascontiguousarray(values[name])))
        self.optimizer = torch.optim.RMSprop([self.flat], lr=1e-4, alpha=0.95, momentum=0.9)
        self.first_weights = torch.zeros(1, N, dtype=dtype)
        self.first_weights[0, 0] = 1

    @staticmethod
    def parts(flat):
        pieces = flat.split([int(np.prod(s)) for s in SHAPES.values()])
        return {name: piece.view(shape) for (name, shape), piece in zip(SHAPES.items(), pieces)}

    @staticmethod
    def address(memory, scale, key, beta, gate, shift, gamma, previous):
        """memory [B M N], scale 1/|M(i)| [B N], key [B 1 M] of length 1, shift [B 1 3], the others [B 1] -> [B N]"""
        score = torch.bmm(key, memory).squeeze(1) * scale
        w = torch.lerp(previous, torch.softmax(score * beta, 1), gate)
        w = torch.bmm(shift, torch.stack((torch.roll(w, -1, 1), w, torch.roll(w, 1, 1)), 1)).squeeze(1)
        return torch.softmax(torch.log(w + SHARPEN_EPS) * gamma, 1)

    def logits(self, dense, scored):
        """Of the scored steps and rows, [numbers K]."""
        steps, rows, _ = dense.shape
        p = self.parts(self.flat)
        x = torch.addmm(p["b"], dense.view(steps * rows, C), p["w_x"]).view(steps, rows, 4 * H).unbind(0)
        h, c, r = p["h0"].expand(rows, H), p["c0"].expand(rows, H), p["r0"].expand(rows, M)
        w_read = w_write = self.first_weights.expand(rows, N)
        memory = torch.full((rows, M, N), 1e-6, dtype=dense.dtype)
        scale = torch.rsqrt((memory * memory).sum(1) + COSINE_EPS)
        features = []
        rh = torch.cat((r, h), 1)
        for t in range(steps):
            z = torch.addmm(x[t], rh, p["w_rh"])
            i, f, g, o = z.chunk(4, 1)
            c = torch.addcmul(torch.sigmoid(f) * c, torch.sigmoid(i), torch.tanh(g))
            h = torch.sigmoid(o) * torch.tanh(c)

            tanhs, sigmoids, shifts, strengths = torch.addmm(p["b_heads"], h, p["w_heads"]).split((60, 22, 6, 4), 1)
            tanhs, sigmoids = torch.tanh(tanhs).view(rows, 3, M), torch.sigmoid(sigmoids)
            shift = torch.softmax(shifts.view(rows, 2, 1, 3), 3)
            strengths = F.softplus(strengths)
            keys, add, erase = tanhs[:, :2], tanhs[:, 2:], sigmoids[:, :M].unsqueeze(1)
            keys = keys * torch.rsqrt((keys * keys).sum(2, keepdim=True) + COSINE_EPS)
            beta_r, beta_w, gamma_r, gamma_w = strengths.split(1, 1)
            w_write = self.address(memory, scale, keys[:, 1:], beta_w, sigmoids[:, 21:], shift[:, 1], gamma_w + 1, w_write)
            column = w_write.unsqueeze(1)
            memory = torch.baddbmm(torch.addcmul(memory, memory, torch.bmm(erase.mT, column), value=-1), add.mT, column)
            scale = torch.rsqrt((memory * memory).sum(1) + COSINE_EPS)
            w_read = self.address(memory, scale, keys[:, :1], beta_r, sigmoids[:, 20:21], shift[:, 0], gamma_r + 1, w_read)
            r = torch.bmm(memory, w_read.unsqueeze(2)).squeeze(2)
            rh = torch.cat((r, h), 1)
            features.append(rh)
        # our readout sees [h r]
        w_out = torch.cat((p["w_out"][H:], p["w_out"][:H]))
        return torch.addmm(p["b_out"], torch.stack(features)[scored], w_out)

    def gradient(self, dense, target, scored):
        logits = self.logits(dense, scored)
        loss = F.binary_cross_entropy_with_logits(logits, target[scored], reduction="sum") / dense.shape[1]
        self.flat.grad = None
        loss.backward()
        return loss.item()

    def update(self):
        torch.nn.utils.clip_grad_value_([self.flat], 10)
        self.optimizer.step()

    def our_gradient(self):
        g = {name: part.numpy() for name, part in self.parts(self.flat.grad).items()}
        back = np.argsort(ORDER)
        return {
            "controller.layer_0.weight": np.concatenate((g["w_x"], g["w_rh"])),
            "controller.layer_0.bias": g["b"].reshape(4, H),
            "controller.layer_0.initial_h": g["h0"], "controller.layer_0.initial_c": g["c0"],
            "memory.read_0.initial_value": g["r0"], "memory.heads.weight": g["w_heads"][:, back],
            "memory.heads.bias": g["b_heads"][back], "readout.weight": g["w_out"], "readout.bias": g["b_out"],
        }  # fmt: skip


if __name__ == "__main__":
    contestant.main(Contestant)
