"""Networks of the wild. Each is sampled as a slow reference samples it, whose masks are taken by hand, or is refused before anything is trained.

The reference knows nothing of bdal but the streams of chance: it puts a layer of its own in each dropout's place, which multiplies by mask t,
and asks the network about one input after the other.
"""
import copy
import re
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, prune

from bdal.data import Pool, stream
from bdal.model import bayesian_cnn
from bdal.posteriors import features
from bdal.predict import mc_log_probs
from bdal.steps import Learner, Protocol, check_net, new_net, rehearse
from bdal.train import fit

T, C, N = 4, 3, 5


def randn(*shape):
    return torch.randn(N, *shape, generator=stream(0, "zoo"))


WITH_IDS = torch.cat([torch.randint(0, 5000, (N, 1), generator=stream(0, "ids")).float(), randn(7)], 1)
TABLE, IMAGES, SIGNAL, VOLUME = randn(8), randn(1, 12, 12), randn(1, 4, 20), randn(1, 6, 6, 6)
COLOUR, WORDS = randn(3, 32, 32), torch.randint(0, 50, (N, 7), generator=stream(0, "words")).float()
seq = nn.Sequential


class By(nn.Module):
    "Some layers, and a function of them and of the input"

    def __init__(self, f, **layers):
        super().__init__()
        self.f = f
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x):
        return self.f(self, x)


class Do(nn.Module):
    def __init__(self, f):
        super().__init__()
        self.f = f

    def forward(self, x):
        return self.f(x)


class MCDropout(nn.Dropout):
    def forward(self, x):
        return F.dropout(x, self.p, True)


class Inherits(nn.Dropout):
    def __init__(self, p=0.4):
        super().__init__(p)


def routed(m, x):
    "Each input to one expert, in groups"
    expert, out = m.gate(x).argmax(1), x.new_zeros(len(x), C)
    for i, e in enumerate(m.e):
        if len(rows := (expert == i).nonzero()[:, 0]):
            out = out.index_add(0, rows, e(x[rows]))
    return out


def squeeze():
    return Do(lambda x: x.squeeze(1))


def long():
    return Do(lambda x: x.long())


def mlp(*middle, last=True):
    return seq(nn.Linear(8, 16), *middle, *([nn.Linear(16, C)] if last else []))


def conv(*middle, channels=4):
    "A convolution 12 x 12 -> 10 x 10, and what follows"
    return seq(nn.Conv2d(1, channels, 3), *middle, nn.Flatten(), nn.LazyLinear(C))


def encoder(attention, feed=0.3):
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=feed, batch_first=True)
    layer.self_attn.dropout = attention
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


def vit(attention=0.0):
    return By(lambda m, x: m.head(m.encoder(m.patches(x).flatten(2).transpose(1, 2) + m.places)[:, 0]), patches=nn.Conv2d(1, 8, 4, 4), places=nn.Parameter(torch.randn(1, 9, 8)), encoder=encoder(attention), head=nn.Linear(8, C))


def resnet():
    from torchvision.models import resnet18

    net = resnet18(num_classes=C)
    net.fc = seq(nn.Dropout(0.5), net.fc)
    return net


def tied():
    net = By(lambda m, x: m.out(m.drop(F.linear(m.a(x).relu(), m.a.weight.T))), a=nn.Linear(8, 8), drop=nn.Dropout(0.4), out=nn.Linear(8, C))
    net.b = nn.Linear(8, 8)
    net.b.weight = net.a.weight
    return net


def pruned():
    layer = nn.Linear(8, 16)
    prune.l1_unstructured(layer, "weight", 0.5)
    return seq(layer, nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, C))


def old_weight_norm():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return seq(nn.utils.weight_norm(nn.Linear(8, 16)), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, C))


def normed(norm, layer=None):
    return seq(norm(layer or nn.Linear(8, 16)), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, C))


def hooked():
    net = mlp(nn.ReLU(), nn.Dropout(0.5))
    net[1].register_forward_hook(lambda m, args, out: out * 2)
    return net


def root_hooked():
    net = mlp(nn.ReLU(), nn.Dropout(0.5))
    net.register_forward_hook(lambda m, args, out: out.flip(1))
    return net


def root_patched():
    net = mlp(nn.ReLU(), nn.Dropout(0.5))
    layers = list(net)
    net.forward = lambda x: layers[3](layers[2](layers[1](layers[0](x * 2))))
    return net


def patched():
    net = mlp(nn.ReLU(), nn.Dropout(0.5))
    layer = net[0]
    layer.forward = lambda x: F.linear(x, layer.weight, layer.bias) * 2 + 1
    return net


class Ids(nn.Module):
    "Column 0 holds ids, the others numbers"

    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(5000, 8)

    def forward(self, x):
        return torch.cat([self.e(x[:, 0].long()), x[:, 1:]], 1)


class Minus(nn.Module):
    "With a tensor that is neither weight nor buffer"

    def __init__(self):
        super().__init__()
        self.m = torch.full((8,), 0.3)

    def forward(self, x):
        return x - self.m


def block(width=4):
    return By(lambda m, x: F.relu(x + m.b(m.drop(F.relu(m.norm(m.a(x)))))), a=nn.Conv2d(width, width, 3, padding=1), norm=nn.BatchNorm2d(width), drop=nn.Dropout2d(0.3), b=nn.Conv2d(width, width, 3, padding=1))


def last(rnn, **how):
    "A recurrent network's last output, and a head"
    made = rnn(4, 6, batch_first=True, **how)
    return By(lambda m, x: m.o(m.drop(m.rnn(x.squeeze(1).transpose(1, 2))[0][:, -1])), rnn=made, drop=nn.Dropout(0.5), o=nn.Linear(12 if how.get("bidirectional") else 6, C))


def shared():
    drop = nn.Dropout(0.5)
    return seq(nn.Linear(8, 16), nn.ReLU(), drop, nn.Linear(16, 16), nn.ReLU(), drop, nn.Linear(16, C))


@torch.jit.script
def scripted(x, training: bool):
    return F.dropout(x, 0.3, training)


def training_only(f):
    "A dropout that samples, and something that acts in training alone"
    return lambda: By(lambda m, x: m.o(f(m.drop(m.a(x).relu())) if m.training else m.drop(m.a(x).relu())), a=nn.Linear(8, 16), drop=nn.Dropout(0.5), o=nn.Linear(16, C))


def stochastic_depth():
    from torchvision.ops import StochasticDepth

    return conv(StochasticDepth(0.05, "row"), nn.Dropout2d(0.5))


def time_first(rnn):
    return By(lambda m, x: m.o(m.drop(m.rnn(x.squeeze(1).permute(2, 0, 1))[0])[-1]), rnn=rnn(4, 6), drop=nn.Dropout(0.5), o=nn.Linear(6, C))


def base(**layers):
    return dict(a=nn.Linear(8, 16), drop=nn.Dropout(0.5), o=nn.Linear(16, C)) | layers


def with_average(use=lambda m, x: m.net(x)):
    net = mlp(nn.ReLU(), nn.Dropout(0.5))
    return By(use, net=net, average=copy.deepcopy(net).requires_grad_(False))


def averaging(m, x):
    if m.training:
        for w, now in zip(m.average.parameters(), m.net.parameters()):
            w.data.lerp_(now.data, 0.1)
    return m.net(x)


def within(mode, layer):
    def f(m, x):
        with mode(m):
            h = getattr(m, layer)(x)
        return m.o(m.drop(h.clone().relu()))

    return f


def slope(layer, x):
    "The gradient of a layer's sum, at x"
    with torch.enable_grad():
        at = x if x.requires_grad else x.detach().requires_grad_()
        return torch.autograd.grad(layer(at).tanh().sum(), at, create_graph=True)[0]


class Slope(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x):
        return slope(self.layer, x)


def its_children():
    net = By(lambda m, x: m.o(m.drop(m.held[1](m.held[0](x).relu()))), **base(b=nn.Linear(16, 16)))
    net.held = [net.a, net.b]
    return net


PADDED = torch.where(torch.arange(7) < torch.tensor([3, 5, 2, 7, 4])[:, None], WORDS + 1, 0)
SAMPLED = {
    "dropout of a weight, as a batch of one": (lambda: By(lambda m, x: m.o(F.linear(x, m.drop(m.a.weight[None])[0]).relu()), **base()), TABLE),
    "dropout of places": (lambda: By(lambda m, x: m.o((m.w(x.long()) + m.drop(m.places)).mean(1)), w=nn.Embedding(50, 8), places=nn.Parameter(torch.ones(1, 7, 8)), drop=nn.Dropout(0.5), o=nn.Linear(8, C)), WORDS),
    "experts, one a word": (lambda: By(lambda m, x: m.o(routed(m, m.w(x.long()).flatten(0, 1)).unflatten(0, (len(x), 7)).flatten(1)), w=nn.Embedding(50, 8), gate=nn.Linear(8, 4), e=nn.ModuleList(mlp(nn.ReLU(), nn.Dropout(0.5)) for _ in range(4)), o=nn.Linear(7 * C, C)), WORDS),
    "in place, the result left": (lambda: By(lambda m, x: (h := m.a(x).relu() * 1, m.drop(h), m.o(h))[2], **base(drop=nn.Dropout(0.5, inplace=True))), TABLE),
    "channels in place, the result left": (lambda: By(lambda m, x: (h := m.a(x).relu() * 1, m.drop(h), m.o(h.flatten(1)))[2], a=nn.Conv2d(1, 4, 3), drop=nn.Dropout2d(0.5, inplace=True), o=nn.Linear(400, C)), IMAGES),
    "in place, the result left, behind another": (lambda: By(lambda m, x: (h := m.b(m.d(m.a(x).relu())).relu() * 1, m.drop(h), m.o(h))[2], **base(d=nn.Dropout(0.2), b=nn.Linear(16, 16), drop=nn.Dropout(0.5, inplace=True))), TABLE),
    "an average of the network beside it": (with_average, TABLE),
    "an average of the network, kept in training": (lambda: with_average(averaging), TABLE),
    "an average of the network, by torch": (lambda: By(lambda m, x: m.net(x), net=(net := mlp(nn.ReLU(), nn.Dropout(0.5))), average=torch.optim.swa_utils.AveragedModel(net)), TABLE),
    "gradients of its own": (lambda: By(lambda m, x: m.o(m.drop(m.a(slope(m.b, x)).relu())), **base(b=nn.Linear(8, 16))), TABLE),
    "gradients of its own, behind its dropout": (lambda: By(lambda m, x: m.o(slope(m.b, m.drop(m.a(x).relu()))), **base(b=nn.Linear(16, 16))), TABLE),
    "gradients of its own, in a first layer": (lambda: seq(Slope(), *mlp(nn.ReLU(), nn.Dropout(0.5))), TABLE),
    "a list of its own layers": (its_children, TABLE),
    "a frozen layer in a list": (lambda: By(lambda m, x: m.o(m.drop(m.held[0](x).relu())), **base(held=[nn.Linear(8, 16).requires_grad_(False)])), TABLE),
    "a frozen trunk, without gradients": (lambda: By(within(lambda m: torch.no_grad(), "a"), **base(a=nn.Linear(8, 16).requires_grad_(False))), TABLE),
    "a frozen trunk, in inference mode": (lambda: By(within(lambda m: torch.inference_mode(), "a"), **base(a=nn.Linear(8, 16).requires_grad_(False))), TABLE),
    "gradients in training alone": (lambda: By(within(lambda m: torch.set_grad_enabled(m.training), "a"), **base()), TABLE),
    "a head for another task": (lambda: By(lambda m, x: (h := m.a(x).relu(), m.other(h), m.o(m.drop(h)))[2], **base(other=nn.Linear(16, 5))), TABLE),
    "a gradient that skips a step": (lambda: By(lambda m, x: m.o(m.drop((h := m.a(x)) + (h.round() - h).detach())), **base()), TABLE),
    "a dropout that only inherits": (lambda: mlp(nn.ReLU(), Inherits()), TABLE),
    "a dropout left over": (lambda: By(lambda m, x: m.o(m.drop(m.a(x).relu())), a=nn.Linear(8, 16), drop=nn.Dropout(0.5), o=nn.Linear(16, C), other=nn.Dropout(0.2)), TABLE),
    "experts, one an input": (lambda: By(routed, gate=nn.Linear(8, 2), e=nn.ModuleList(mlp(nn.ReLU(), nn.Dropout(0.5)) for _ in range(2))), TABLE),
    "vmap": (lambda: By(lambda m, x: m.o(m.drop(torch.vmap(lambda v: v.tanh() * v.norm())(m.a(x)))), a=nn.Linear(8, 16), drop=nn.Dropout(0.5), o=nn.Linear(16, C)), TABLE),
    "dropout called by name": (lambda: By(lambda m, x: m.o(input=m.drop(input=m.a(input=x).relu())), a=nn.Linear(8, 16), drop=nn.Dropout(0.5), o=nn.Linear(16, C)), TABLE),
    "dropout of channels called by name": (lambda: By(lambda m, x: m.o(m.drop(input=m.a(x)).flatten(1)), a=nn.Conv2d(1, 8, 3), drop=nn.Dropout2d(0.5), o=nn.Linear(800, C)), IMAGES),
    "dropout of their own with p = 0 in training": (training_only(lambda h: h * torch.bernoulli(torch.ones_like(h))), TABLE),
    "scaled in training": (training_only(lambda h: h * 1.1), TABLE),
    "a batch norm of their own": (training_only(lambda h: h - h.mean(0)), TABLE),
    "perceptron": (lambda: mlp(nn.ReLU(), nn.Dropout(0.5)), TABLE),
    "dropout of the inputs": (lambda: seq(nn.Dropout(0.2), nn.Linear(8, C)), TABLE),
    "two dropouts": (lambda: seq(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 16), nn.Tanh(), nn.Dropout(0.6), nn.Linear(16, C)), TABLE),
    "two in a row": (lambda: mlp(nn.ReLU(), nn.Dropout(0.2), nn.Dropout(0.3)), TABLE),
    "nested sequentials": (lambda: seq(seq(nn.Linear(8, 16), seq(nn.ReLU(), nn.Dropout(0.5))), seq(nn.Linear(16, C))), TABLE),
    "one of them with p = 0": (lambda: seq(nn.Linear(8, 16), nn.Dropout(0.0), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, C)), TABLE),
    "in place": (lambda: mlp(nn.ReLU(inplace=True), nn.Dropout(0.5, inplace=True)), TABLE),
    "layer norm, GELU": (lambda: mlp(nn.LayerNorm(16), nn.GELU(), nn.Dropout(0.5)), TABLE),
    "batch norm": (lambda: mlp(nn.BatchNorm1d(16), nn.SiLU(), nn.Dropout(0.5)), TABLE),
    "PReLU": (lambda: mlp(nn.PReLU(16), nn.Dropout(0.5)), TABLE),
    "GLU": (lambda: seq(nn.Linear(8, 32), nn.GLU(), nn.Dropout(0.5), nn.Linear(16, C)), TABLE),
    "log softmax at the end": (lambda: seq(mlp(nn.ReLU(), nn.Dropout(0.5)), nn.LogSoftmax(-1)), TABLE),
    "bilinear": (lambda: By(lambda m, x: m.b(m.drop(m.a(x)), x), a=nn.Linear(8, 6), drop=nn.Dropout(0.5), b=nn.Bilinear(6, 8, C)), TABLE),
    "skip": (lambda: By(lambda m, x: m.o(x + m.drop(m.a(x).relu())), a=nn.Linear(8, 8), drop=nn.Dropout(0.5), o=nn.Linear(8, C)), TABLE),
    "concatenated": (lambda: By(lambda m, x: m.o(torch.cat([x, m.drop(m.a(x).relu())], 1)), a=nn.Linear(8, 8), drop=nn.Dropout(0.5), o=nn.Linear(16, C)), TABLE),
    "experts": (lambda: By(lambda m, x: sum(e(x) * w for e, w in zip(m.e, m.gate(x).softmax(-1).split(1, 1))), gate=nn.Linear(8, 2), e=nn.ModuleList(mlp(nn.ReLU(), nn.Dropout(0.5)) for _ in range(2))), TABLE),
    "module list": (lambda: By(lambda m, x: [x := layer(x) for layer in m.layers][-1], layers=nn.ModuleList([nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, C)])), TABLE),
    "module dict": (lambda: By(lambda m, x: m.d["o"](m.d["drop"](m.d["a"](x).relu())), d=nn.ModuleDict(dict(drop=nn.Dropout(0.5), a=nn.Linear(8, 16), o=nn.Linear(16, C)))), TABLE),
    "shared, in two places": (shared, TABLE),
    "tied weights": (tied, TABLE),
    "weight norm": (lambda: normed(parametrizations.weight_norm), TABLE),
    "weight norm, the old one": (old_weight_norm, TABLE),
    "spectral norm": (lambda: normed(parametrizations.spectral_norm), TABLE),
    "spectral norm, the old one": (lambda: normed(nn.utils.spectral_norm), TABLE),
    "orthogonal": (lambda: normed(parametrizations.orthogonal), TABLE),
    "pruned": (pruned, TABLE),
    "a hook that changes an output": (hooked, TABLE),
    "a hook on the whole": (root_hooked, TABLE),
    "a layer whose forward was replaced": (patched, TABLE),
    "ids in a table": (lambda: seq(Ids(), nn.Linear(15, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, C)), WITH_IDS),
    "a tensor of its own": (lambda: seq(Minus(), *mlp(nn.ReLU(), nn.Dropout(0.5))), TABLE),
    "a Fourier transform": (lambda: seq(Do(lambda x: torch.fft.rfft(x).abs()), nn.Linear(5, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, C)), TABLE),
    "double precision inside": (lambda: seq(Do(lambda x: x.double()), *mlp(nn.ReLU(), nn.Dropout(0.5)).double()), TABLE),
    "lazy": (lambda: seq(nn.LazyLinear(16), nn.ReLU(), nn.Dropout(0.5), nn.LazyLinear(C)), TABLE),
    "convolutions": (lambda: conv(nn.ReLU(), nn.Dropout2d(0.4), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Dropout(0.5)), IMAGES),
    "convolution, dropout of pixels": (lambda: conv(nn.ReLU(), nn.Dropout(0.4), nn.Conv2d(4, 6, 3)), IMAGES),
    "strided, padded": (lambda: conv(nn.ReLU(), nn.Dropout2d(0.4), nn.Conv2d(4, 6, 3, 2, 1), nn.ReLU(), nn.AvgPool2d(2)), IMAGES),
    "groups": (lambda: conv(nn.ReLU(), nn.Dropout2d(0.4), nn.Conv2d(4, 8, 3, groups=2)), IMAGES),
    "dilated": (lambda: conv(nn.ReLU(), nn.Dropout2d(0.4), nn.Conv2d(4, 8, 3, dilation=2)), IMAGES),
    "circular": (lambda: conv(nn.ReLU(), nn.Dropout2d(0.4), nn.Conv2d(4, 8, 3, padding=1, padding_mode="circular")), IMAGES),
    "padding same": (lambda: conv(nn.ReLU(), nn.Dropout2d(0.4), nn.Conv2d(4, 8, 3, padding="same")), IMAGES),
    "transposed": (lambda: conv(nn.ReLU(), nn.Dropout2d(0.4), nn.ConvTranspose2d(4, 4, 3, 2)), IMAGES),
    "overlapping pooling": (lambda: conv(nn.ReLU(), nn.MaxPool2d(3, 2), nn.Dropout2d(0.4), nn.Conv2d(4, 6, 2), nn.AdaptiveAvgPool2d(2)), IMAGES),
    "group norm": (lambda: conv(nn.GroupNorm(2, 4), nn.ReLU(), nn.Dropout2d(0.4), nn.Conv2d(4, 6, 3)), IMAGES),
    "batch norm, images": (lambda: conv(nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout2d(0.4), nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6)), IMAGES),
    "residual blocks": (lambda: seq(nn.Conv2d(1, 4, 3), block(), block(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, C)), IMAGES),
    "our own": (lambda: bayesian_cnn(C, 0.4, 0, (1, 16, 16)), randn(1, 16, 16)),
    "resnet18": (resnet, COLOUR),
    "vision transformer": (vit, IMAGES),
    "a signal, dropout of channels": (lambda: seq(squeeze(), nn.Conv1d(4, 6, 3), nn.ReLU(), nn.Dropout1d(0.4), nn.Flatten(), nn.Linear(108, C)), SIGNAL),
    "LSTM": (lambda: last(nn.LSTM), SIGNAL),
    "LSTM, both ways": (lambda: last(nn.LSTM, bidirectional=True, num_layers=2), SIGNAL),
    "GRU": (lambda: last(nn.GRU), SIGNAL),
    "RNN": (lambda: last(nn.RNN), SIGNAL),
    "volume": (lambda: seq(nn.Conv3d(1, 4, 3), nn.ReLU(), nn.Dropout3d(0.4), nn.Flatten(), nn.Linear(256, C)), VOLUME),
    "transformer, no dropout in its attention": (lambda: By(lambda m, x: m.o(m.e(m.w(x.long())).mean(1)), w=nn.Embedding(50, 8), e=encoder(0.0), o=nn.Linear(8, C)), WORDS),
    "attention": (lambda: By(lambda m, x: m.o(m.drop(m.a(h := m.w(x.long()), h, h)[0].mean(1))), w=nn.Embedding(50, 8), a=nn.MultiheadAttention(8, 2, batch_first=True), drop=nn.Dropout(0.5), o=nn.Linear(8, C)), WORDS),
    "attention, a function": (lambda: By(lambda m, x: m.o(m.drop(F.scaled_dot_product_attention(h := m.w(x.long()), h, h).mean(1))), w=nn.Embedding(50, 8), drop=nn.Dropout(0.5), o=nn.Linear(8, C)), WORDS),
    "bag of words": (lambda: seq(long(), nn.EmbeddingBag(50, 8), nn.Dropout(0.5), nn.Linear(8, C)), WORDS),
    "words, GRU": (lambda: By(lambda m, x: m.o(m.g(m.drop(m.w(x.long())))[0][:, -1]), w=nn.Embedding(50, 8), drop=nn.Dropout(0.3), g=nn.GRU(8, 6, batch_first=True), o=nn.Linear(6, C)), WORDS),
    "words, flat": (lambda: seq(long(), nn.Embedding(50, 4), nn.Dropout(0.3), nn.Flatten(), nn.Linear(28, C)), WORDS),
    "words, convolution": (lambda: By(lambda m, x: m.o(m.drop(m.c(m.w(x.long()).transpose(1, 2)).relu().amax(-1))), w=nn.Embedding(50, 8), c=nn.Conv1d(8, 6, 3), drop=nn.Dropout(0.5), o=nn.Linear(6, C)), WORDS),
}
ALONE = {
    "bernoulli": lambda h: h * torch.bernoulli(torch.full_like(h, 0.7)) / 0.7,
    "bernoulli in place": lambda h: h * torch.empty_like(h).bernoulli_(0.99),
    "a distribution": lambda h: h * torch.distributions.Bernoulli(0.7).sample(h.shape),
    "uniform numbers": lambda h: h * (torch.rand(h.shape) > 0.3),
    "uniform numbers in place": lambda h: h.masked_fill(torch.empty_like(h).uniform_() < 0.3, 0),
    "uniform numbers, rounded down": lambda h: h * (torch.rand_like(h) + 0.7).floor(),
    "native dropout": lambda h: torch.native_dropout(h, 0.3, True)[0],
    "a scripted function": lambda h: scripted(h, True),
    "functional dropout": lambda h: F.dropout(h, 0.3),
}
NOISE = {
    "normal numbers": lambda h: h + torch.randn_like(h),
    "rrelu": lambda h: F.rrelu(h, training=True),
    "numpy's numbers": lambda h: h * np.random.binomial(1, 0.5),
    "a generator of their own": lambda h: h * torch.from_numpy(np.random.default_rng().binomial(1, 0.5, h.shape)).float(),
    "one number an input": lambda h: torch.where(torch.rand(len(h), 1) < 0.5, h, -h),
}
REFUSED = {
    **{f"in training alone, {name}": (training_only(f), TABLE) for name, f in ALONE.items()},
    "in training alone, stochastic depth": (stochastic_depth, IMAGES),
    "in training alone, a scripted layer": (lambda: mlp(nn.ReLU(), torch.jit.script(seq(nn.Dropout(0.3))), nn.Dropout(0.5)), TABLE),
    "native dropout that is off": (lambda: By(lambda m, x: m.o(torch.native_dropout(m.drop(m.a(x)), 0.5, m.training)[0]), a=nn.Linear(8, 8), drop=nn.Dropout(0.5), o=nn.Linear(8, C)), TABLE),
    "LSTM, time first": (lambda: time_first(nn.LSTM), SIGNAL),
    "GRU, time first": (lambda: time_first(nn.GRU), SIGNAL),
    "features first": (lambda: By(lambda m, x: m.o(m.drop(m.a(x).T).T), a=nn.Linear(8, 8), drop=nn.Dropout(0.5), o=nn.Linear(8, C)), TABLE),
    "channels of features first": (lambda: By(lambda m, x: m.o(m.drop(m.a(x).transpose(0, 1)).transpose(0, 1).flatten(1)), a=nn.Conv2d(1, 2, 3), drop=nn.Dropout2d(0.5), o=nn.Linear(200, C)), IMAGES),
    "trimmed to the longest": (lambda: By(lambda m, x: m.o(m.drop(m.w(x[:, (x > 0).any(0)].long())).mean(1)), w=nn.Embedding(60, 8), drop=nn.Dropout(0.5), o=nn.Linear(8, C)), PADDED),
    "a forward of the whole that was replaced": (root_patched, TABLE),
    "no dropout": (lambda: mlp(nn.ReLU()), TABLE),
    "the only dropout left over": (lambda: By(lambda m, x: m.a(x), a=nn.Linear(8, C), drop=nn.Dropout(0.5)), TABLE),
    "p = 0": (lambda: mlp(nn.ReLU(), nn.Dropout(0.0)), TABLE),
    "p = 1": (lambda: mlp(nn.ReLU(), nn.Dropout(1.0)), TABLE),
    "dropout in training only": (lambda: By(lambda m, x: m.o(m.drop(m.a(x)) if m.training else m.a(x)), a=nn.Linear(8, 8), drop=nn.Dropout(0.5), o=nn.Linear(8, C)), TABLE),
    "functional dropout": (lambda: By(lambda m, x: m.o(F.dropout(m.drop(m.a(x)), 0.5, m.training)), a=nn.Linear(8, 8), drop=nn.Dropout(0.5), o=nn.Linear(8, C)), TABLE),
    "functional dropout, always on": (lambda: By(lambda m, x: m.o(F.dropout(m.drop(m.a(x)), 0.5)), a=nn.Linear(8, 8), drop=nn.Dropout(0.5), o=nn.Linear(8, C)), TABLE),
    "functional dropout of channels": (lambda: By(lambda m, x: m.o(F.dropout2d(m.drop(m.a(x)), 0.5, m.training).flatten(1)), a=nn.Conv2d(1, 2, 3), drop=nn.Dropout(0.5), o=nn.Linear(200, C)), IMAGES),
    "a dropout of their own": (lambda: mlp(nn.ReLU(), MCDropout(0.5), nn.Dropout(0.5)), TABLE),
    "a dropout of their own, alone": (lambda: mlp(nn.ReLU(), MCDropout(0.5)), TABLE),
    "alpha dropout": (lambda: mlp(nn.SELU(), nn.AlphaDropout(0.2), nn.Dropout(0.5)), TABLE),
    "alpha dropout, alone": (lambda: mlp(nn.SELU(), nn.AlphaDropout(0.2)), TABLE),
    "feature alpha dropout": (lambda: conv(nn.SELU(), nn.FeatureAlphaDropout(0.2), nn.Dropout2d(0.5)), IMAGES),
    "the same dropout twice": (lambda: By(lambda m, x: m.o(m.drop(m.b(m.drop(m.a(x))))), a=nn.Linear(8, 8), b=nn.Linear(8, 8), drop=nn.Dropout(0.5), o=nn.Linear(8, C)), TABLE),
    "transformer": (lambda: By(lambda m, x: m.o(m.e(m.w(x.long())).mean(1)), w=nn.Embedding(50, 8), e=encoder(0.3), o=nn.Linear(8, C)), WORDS),
    "vision transformer with dropout in its attention": (lambda: vit(0.3), IMAGES),
    "attention with dropout": (lambda: By(lambda m, x: m.o(m.drop(m.a(h := m.w(x.long()), h, h)[0].mean(1))), w=nn.Embedding(50, 8), a=nn.MultiheadAttention(8, 2, 0.3, batch_first=True), drop=nn.Dropout(0.5), o=nn.Linear(8, C)), WORDS),
    "attention with dropout, a function": (lambda: By(lambda m, x: m.o(m.drop(F.scaled_dot_product_attention(h := m.w(x.long()), h, h, dropout_p=0.3).mean(1))), w=nn.Embedding(50, 8), drop=nn.Dropout(0.5), o=nn.Linear(8, C)), WORDS),
    "LSTM with dropout": (lambda: last(nn.LSTM, num_layers=2, dropout=0.5), SIGNAL),
    "GRU with dropout": (lambda: last(nn.GRU, num_layers=2, dropout=0.5), SIGNAL),
    "batch statistics": (lambda: mlp(nn.BatchNorm1d(16, track_running_stats=False), nn.Dropout(0.5)), TABLE),
    "an answer that depends on the others": (lambda: By(lambda m, x: m.o(m.drop(m.a(x - x.mean(0)))), a=nn.Linear(8, 8), drop=nn.Dropout(0.5), o=nn.Linear(8, C)), TABLE),
    "noise of its own": (lambda: By(lambda m, x: m.o(m.drop(m.a(x + torch.randn_like(x)))), a=nn.Linear(8, 8), drop=nn.Dropout(0.5), o=nn.Linear(8, C)), TABLE),
    "two outputs": (lambda: By(lambda m, x: (m.o(m.drop(x)), x), drop=nn.Dropout(0.5), o=nn.Linear(8, C)), TABLE),
    "two outputs in training, as Inception": (lambda: By(lambda m, x: (m.o(m.drop(x)), x) if m.training else m.o(m.drop(x)), drop=nn.Dropout(0.5), o=nn.Linear(8, C)), TABLE),
    "a dictionary": (lambda: By(lambda m, x: dict(logits=m.o(m.drop(x))), drop=nn.Dropout(0.5), o=nn.Linear(8, C)), TABLE),
    "an output a word": (lambda: seq(long(), nn.Embedding(50, 4), nn.Dropout(0.3), nn.Linear(4, C)), WORDS),
    "sparse embeddings": (lambda: seq(long(), nn.EmbeddingBag(50, 8, sparse=True), nn.Dropout(0.5), nn.Linear(8, C)), WORDS),
}
PLAIN, CHANNELS = (nn.Dropout,), (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


class ByHand(nn.Module):
    "Mask t of the i-th dropout of a network"

    def __init__(self, i, layer, channels, seed):
        super().__init__()
        self.i, self.p, self.inplace, self.channels, self.seed, self.t = i, layer.p, layer.inplace, channels, seed, 0

    def forward(self, input):
        shape = (input.shape[1], *[1] * (input.ndim - 2)) if self.channels else input.shape[1:]
        kept = torch.rand(T, *shape, generator=stream(self.seed, "masks", self.i)) >= self.p
        out = input * kept[self.t] / (1 - self.p)
        return input.copy_(out) if self.inplace else out


def places(net):
    "Every place with a dropout, as a layer of a layer, first to last"
    for name, child in net._modules.items():
        kind = type(child)
        if kind in (*PLAIN, *CHANNELS, Inherits) or kind.__name__.startswith("ConsistentDropout"):
            yield net, name, child
        elif child is not None:
            yield from places(child)


def reference(net, x, seed):
    net.eval()
    hands = []
    for i, (parent, name, child) in enumerate(list(places(net))):
        hands.append(ByHand(i, child, type(child) in CHANNELS or type(child).__name__.endswith("2d"), seed))
        parent._modules[name] = hands[-1]
    out = torch.empty(len(x), T, C)
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    with torch.no_grad():
        for n in range(len(x)):
            for t in range(T):
                for hand in hands:
                    hand.t = t
                out[n, t] = net(x[n : n + 1].clone())[0].log_softmax(-1)
    torch.backends.mha.set_fastpath_enabled(fused)
    return out


def made(make, x):
    net = new_net(lambda seed: make(), 0)
    if any(isinstance(p, nn.parameter.UninitializedParameter) for p in net.parameters()):
        torch.manual_seed(0)
        net.eval()(x[:1].clone())
    return net


@pytest.mark.parametrize("name", SAMPLED)
def test_sampled_as_by_hand(name):
    make, x = SAMPLED[name]
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message=".*(draws random numbers|taken for logits).*")
        check_net(lambda seed: make(), x[:2], C, Protocol(score="bald", T=T))
        net, other = made(make, x), made(make, x)
        want = reference(other, x, 7)
        assert (want[:, 0] - want[:, 1]).abs().max() > 1e-3, "the reference does not sample"
        for chunk in (None, 2):
            got = mc_log_probs(net, x, T, 7, chunk=chunk)
            assert (got - want).abs().max() < 2e-4, (got - want).abs().max()
        rough = mc_log_probs(net, x, T, 7, dtype=torch.bfloat16)
        assert (rough.exp() - want.exp()).abs().max() < 0.04, (rough.exp() - want.exp()).abs().max()
        assert (mc_log_probs(net, x, T, 7, fast=False) - want).abs().max() < 2e-4


CURE = re.compile(r"\b(give|use|let|add|set|call|take|choose)\b")


@pytest.mark.parametrize("name", REFUSED)
def test_refused_before_training(name):
    make, x = REFUSED[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises((ValueError, TypeError)) as caught:
            check_net(lambda seed: make(), x[:2], C, Protocol(score="bald", T=T))
    assert CURE.search(str(caught.value)) and len(str(caught.value).split()) > 8, caught.value


@pytest.mark.parametrize("name", ALONE)
def test_dropout_in_training_alone_without_a_learner(name):
    "In a network that could be thinned, too"
    for net in (training_only(ALONE[name])(), seq(training_only(ALONE[name])(), nn.ReLU(), nn.Dropout(0.5)), seq(nn.Linear(8, 8), By(lambda m, x: ALONE[name](x) if m.training else x), nn.Dropout(0.5), nn.Linear(8, C))):
        with pytest.raises(ValueError, match="when it trains"):
            mc_log_probs(net, TABLE, T)


@pytest.mark.parametrize("name", NOISE)
def test_noise_in_training_alone_is_said(name):
    with pytest.warns(UserWarning, match="draws random numbers when it trains"):
        check_net(lambda seed: training_only(NOISE[name])(), TABLE[:2], C, Protocol(score="bald", T=T))


def test_a_look_in_training_mode_leaves_no_trace():
    "Statistics, what a layer counts, modes, chance"
    net = By(lambda m, x: (m.seen.append(m.training), m.o(m.drop(m.norm(m.a(x)))))[1], a=parametrizations.spectral_norm(nn.Linear(8, 8)), norm=nn.BatchNorm1d(8), drop=nn.Dropout(0.5), o=nn.Linear(8, C))
    net.seen = []
    net.drop.eval()
    before, chance = {k: v.clone() for k, v in net.state_dict().items()}, (torch.get_rng_state(), np.random.get_state()[1].copy())
    mc_log_probs(net, TABLE, T)
    assert all(v.equal(before[k]) for k, v in net.state_dict().items()) and not any(net.seen)
    assert net.training and net.norm.training and not net.drop.training
    assert torch.get_rng_state().equal(chance[0]) and (np.random.get_state()[1] == chance[1]).all()


def view():
    return Do(lambda x: x.view(len(x), -1))


VIEWS = {
    "in a module": lambda: By(lambda m, x: m.o(m.drop(F.relu(m.a(x)).view(-1, 400))), a=nn.Conv2d(1, 4, 3), drop=nn.Dropout(0.5), o=nn.Linear(400, C)),
    "before the first dropout": lambda: seq(nn.Conv2d(1, 4, 3), nn.ReLU(), view(), nn.Dropout(0.5), nn.Linear(400, C)),
    "behind it": lambda: seq(nn.Conv2d(1, 4, 3), nn.Dropout2d(0.5), nn.Conv2d(4, 4, 3), nn.ReLU(), view(), nn.Linear(256, C)),
}


@pytest.mark.parametrize("name", VIEWS)
def test_a_network_with_view_learns_and_is_sampled(name):
    "Training puts the channels last, and view cannot take that"
    protocol = Protocol(score="bald", T=T)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_net(lambda seed: VIEWS[name](), IMAGES, C, protocol)
        rehearse(lambda seed: VIEWS[name](), Pool(IMAGES, ((), ()), C), IMAGES[:2], protocol)
        net = VIEWS[name]()
        assert features(net, IMAGES, torch.arange(N)).shape[0] == N
        fit(net, IMAGES, torch.arange(N) % C, steps=3, batch=2)
        got, alone = mc_log_probs(net, IMAGES, T, 7), mc_log_probs(net, IMAGES, T, 7, fast=False)
        assert (got - alone).abs().max() < 2e-4 and (got[:, 0] - got[:, 1]).abs().max() > 1e-3
        assert features(net, IMAGES, torch.arange(N)).shape[0] == N


def zeros(layer):
    for w in layer.parameters():
        nn.init.zeros_(w)
    return layer


@pytest.mark.parametrize("make", [
    lambda: seq(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.5), zeros(nn.Linear(16, C))),
    lambda: By(lambda m, x: m.o(x + m.b(m.drop(m.a(x).relu()))), a=nn.Linear(8, 8), drop=nn.Dropout(0.5), b=zeros(nn.Linear(8, 8)), o=nn.Linear(8, C)),
    lambda: By(lambda m, x: m.o(x + m.b(m.drop(m.a(x).relu()))), a=nn.Linear(8, 8), drop=nn.Dropout(0.5), b=zeros(nn.Linear(8, 8)), o=zeros(nn.Linear(8, C))),
], ids=["the head", "a branch", "both"])
def test_what_begins_with_zeros_is_no_fault(make):
    "As the head of torchvision's vision transformers"
    check_net(lambda seed: make(), TABLE, C, Protocol(score="bald", T=T))


def test_statistics_that_networks_share():
    "A frozen trunk whose batch norm counts would tell one round of the other"
    trunk = seq(nn.Linear(8, 8), nn.BatchNorm1d(8)).requires_grad_(False)

    def make(seed, train):
        net = seq(trunk, *mlp(nn.ReLU(), nn.Dropout(0.5)))
        if not train:
            trunk.train = lambda mode=True: nn.Module.train(trunk, False)
        return net

    before = {k: v.clone() for k, v in trunk.state_dict().items()}
    with pytest.raises(ValueError, match="share 0.1.running_mean.*deepcopy"):
        check_net(lambda seed: make(seed, True), TABLE, C, Protocol(score="bald", T=T))
    assert all(v.equal(before[k]) for k, v in trunk.state_dict().items())
    check_net(lambda seed: make(seed, False), TABLE, C, Protocol(score="bald", T=T))


def test_lazy_weights_leave_chance_as_it_was():
    chance = torch.get_rng_state()
    check_net(lambda seed: SAMPLED["lazy"][0](), TABLE, C, Protocol(score="bald", T=T))
    assert torch.get_rng_state().equal(chance)


HELD = {
    "a list": [nn.Linear(8, 16)],
    "a dictionary": dict(a=nn.Linear(8, 16)),
    "a tuple in a dictionary": dict(layers=(nn.ReLU(), nn.Linear(8, 16))),
    "a parameter in a list": [nn.Parameter(torch.arange(-64.0, 64.0).view(16, 8).cos())],
    "a tensor": torch.arange(-64.0, 64.0).view(16, 8).sin().requires_grad_(),
    "a module that torch does not see": Do(nn.Linear(8, 16)),
}


def first_layer(held):
    while isinstance(held, (list, tuple, dict)):
        held = [*held.values()][-1] if isinstance(held, dict) else held[-1]
    return held.f if isinstance(held, Do) else held


def with_held(held):
    def f(m, x):
        w = first_layer(m.held)
        return m.o(m.drop((w(x) if isinstance(w, nn.Module) else F.linear(x, w)).relu()))

    net = By(f, drop=nn.Dropout(0.5), o=nn.Linear(16, C))
    object.__setattr__(net, "held", copy.deepcopy(held))
    return net


class Remembers(nn.Module):
    "What it said before, and how it learns from it"

    def __init__(self):
        super().__init__()
        self.a, self.drop, self.o, self.last = nn.Linear(8, 16), nn.Dropout(0.5), nn.Linear(16, C), 0.0

    def forward(self, x):
        h = self.a(x).relu()
        h, self.last = h + 0 * self.last, h.sum()
        return self.o(self.drop(h))


def kept(weight):
    net = By(lambda m, x: m.o(m.drop(F.linear(x, m.kept).relu())), **base())
    net.kept = weight(net.a.weight)
    return net


def dropped(f, *rest, **layers):
    return lambda: By(f, **base(**layers)), "same for all inputs"


def cut(f):
    return lambda: By(lambda m, x: m.o(m.drop(f(m, x))), **base()), "computes with a, which never learn"


def child_and_list():
    net = By(lambda m, x: m.o(m.held[0](m.a(x).relu())), **base())
    net.held = [net.drop]
    return net


def drops_weight_itself():
    layer = nn.Linear(8, 16)
    nn.utils.parametrize.register_parametrization(layer, "weight", nn.Dropout(0.5), unsafe=True)
    return seq(layer, nn.ReLU(), nn.Linear(16, C))


SILENT = {  # name -> (network, words of the error): these compute, and are not what they seem
    "dropout of a weight": dropped(lambda m, x: m.o(F.linear(x, m.drop(m.a.weight)).relu())),
    "dropout of a weight, turned": dropped(lambda m, x: m.o((x @ m.drop(m.a.weight.T)).relu())),
    "dropout of a bias": dropped(lambda m, x: m.o((F.linear(x, m.a.weight) + m.drop(m.a.bias)).relu())),
    "dropout of a weight beside one that is right": dropped(lambda m, x: m.o(m.d(F.linear(x, m.drop(m.a.weight)).relu())), d=nn.Dropout(0.2)),
    "dropout of channels of a weight": dropped(lambda m, x: m.o(F.linear(x, m.drop(m.a.weight)).relu()), drop=nn.Dropout1d(0.5)),
    "dropout of a weight, by torch": (drops_weight_itself, "same for all inputs"),
    "dropout of an embedding": (lambda: By(lambda m, x: m.o(F.embedding(x.abs().long(), m.drop(m.w.weight)).mean(1)), w=nn.Embedding(50, 8), drop=nn.Dropout(0.5), o=nn.Linear(8, C)), "same for all inputs"),
    "another dropout in training": (lambda: By(lambda m, x: m.o((m.d if m.training else m.drop)(m.a(x).relu())), **base(d=nn.Dropout(0.2))), "does not call its dropout d"),
    "a second dropout in training": (lambda: By(lambda m, x: m.o(m.d(h) if m.training else h) if [h := m.drop(m.a(x).relu())] else h, **base(d=nn.Dropout(0.2))), "does not call its dropout d"),
    **{f"weights in {name}": (lambda held=held: with_held(held), "none of its parameters (held") for name, held in HELD.items()},
    "weights that a function knows": (lambda: (lambda a: By(lambda m, x: m.o(m.drop(a(x).relu())), drop=nn.Dropout(0.5), o=nn.Linear(16, C)))(nn.Linear(8, 16)), "none of its parameters"),
    "dropout in a list": (lambda: By(lambda m, x: m.o(m.held[0](m.drop(m.a(x).relu()))), **base(held=[nn.Dropout(0.2)])), "a list or a dictionary (held)"),
    "dropout in a dictionary": (lambda: By(lambda m, x: m.o(m.held["d"](m.drop(m.a(x).relu()))), **base(held=dict(d=mlp(nn.Dropout(0.2))[1]))), "a list or a dictionary (held)"),
    "dropout in a list, and a layer": (child_and_list, "a list or a dictionary (held)"),
    "the only dropout in a list": (lambda: By(lambda m, x: m.o(m.held[0](m.a(x).relu())), a=nn.Linear(8, 16), o=nn.Linear(16, C), held=[nn.Dropout(0.2)]), "nn.ModuleList"),
    "a trunk without gradients": (lambda: By(within(lambda m: torch.no_grad(), "a"), **base()), "computes with a, which never learn"),
    "a trunk in inference mode": (lambda: By(within(lambda m: torch.inference_mode(), "a"), **base()), "computes with a, which never learn"),
    "detached": cut(lambda m, x: m.a(x).relu().detach()),
    "its data alone": cut(lambda m, x: m.a(x).data.relu()),
    "by numpy": cut(lambda m, x: torch.from_numpy(m.a(x).detach().numpy()).relu()),
    "behind it, zeros": (lambda: By(lambda m, x: m.o(m.drop(m.a(x).relu().detach())), **base(o=zeros(nn.Linear(16, C)))), "computes with a, which never learn"),
    "a scale as a number": (lambda: By(lambda m, x: m.o(m.drop(m.a(x).relu())) * m.scale.item(), **base(scale=nn.Parameter(torch.ones(())))), "computes with scale, which never learn"),
    "without gradients as a whole": (lambda: By(torch.no_grad()(lambda m, x: m.o(m.drop(m.a(x).relu()))), **base()), "computes with a, o, which never learn"),
    "a weight that its making computed": (lambda: kept(lambda w: w * 2), "keeps a result"),
    "a weight that its making put together": (lambda: kept(lambda w: torch.cat([w[8:], w[:8]])), "keeps a result"),
    "what it said before": (Remembers, "keeps a result"),
    "torch seeded": (lambda: By(lambda m, x: (torch.manual_seed(0), m.o(m.drop(m.a(x).relu())))[1], **base()), "seeds torch"),
    "torch seeded when it trains": (lambda: By(lambda m, x: (m.training and torch.random.manual_seed(7), m.o(m.drop(m.a(x).relu())))[1], **base()), "seeds torch"),
    "torch seeded by its clock": (lambda: By(lambda m, x: (torch.seed(), m.o(m.drop(m.a(x).relu())))[1], **base()), "seeds torch"),
}


@pytest.mark.parametrize("name", SILENT)
def test_what_seems_to_work_is_refused(name):
    make, words = SILENT[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError) as caught:
            check_net(lambda seed: make(), TABLE[:2], C, Protocol(score="bald", T=T))
    assert words in str(caught.value) and CURE.search(str(caught.value)), caught.value


def learnt(f, **how):
    return lambda: By(lambda m, x: f(m.o(m.drop(m.a(x).relu()))), **base(**how))


NO_LOGITS = {
    "a softmax": (lambda: seq(mlp(nn.ReLU(), nn.Dropout(0.5)), nn.Softmax(-1)), "gives probabilities"),
    "shares": (learnt(lambda z: z.exp() / z.exp().sum(-1, keepdim=True)), "gives probabilities"),
    "a softmax of few": (lambda: seq(mlp(nn.ReLU(), nn.Dropout(0.5)), nn.Hardtanh(), nn.Softmax(1)), "gives probabilities"),
    "a sigmoid": (lambda: seq(mlp(nn.ReLU(), nn.Dropout(0.5)), nn.Sigmoid()), "ends in a sigmoid"),
    "a sigmoid, laid out": (learnt(lambda z: z.sigmoid()[:, :, None].squeeze(-1).clone()), "ends in a sigmoid"),
    "tanh": (learnt(torch.tanh), "ends in tanh"),
    "a ReLU": (lambda: seq(mlp(nn.ReLU(), nn.Dropout(0.5)), nn.ReLU()), "ends in a ReLU"),
}


@pytest.mark.parametrize("name", NO_LOGITS)
def test_what_is_no_logit_is_said(name):
    make, words = NO_LOGITS[name]
    with pytest.warns(UserWarning, match=f"{words}.*taken for logits; leave"):
        check_net(lambda seed: make(), TABLE, C, Protocol(score="bald", T=T))


@pytest.mark.parametrize("f", [lambda z: z.log_softmax(-1), lambda z: -z.log_softmax(-1), lambda z: 9 * z.tanh(), lambda z: z / z.norm(dim=-1, keepdim=True) * 9, lambda z: z + z.sigmoid()])
def test_what_may_be_a_logit_is_not_said(f):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_net(lambda seed: learnt(f)(), TABLE, C, Protocol(score="bald", T=T))


def test_probabilities_are_said_without_a_learner():
    with pytest.warns(UserWarning, match="gives probabilities.*taken for logits"):
        mc_log_probs(NO_LOGITS["a softmax"][0](), TABLE, T)


class Bare(nn.Module):
    "A class that takes nothing"

    def __init__(self):
        super().__init__()


class Wide(nn.Module):
    "A class, called with a seed as its width"

    def __init__(self, width):
        super().__init__()
        self.width = width

    def forward(self, x):
        return x.new_zeros(len(x), self.width, self.width)


@pytest.mark.parametrize("net", [lambda: mlp(nn.ReLU(), nn.Dropout(0.5)), lambda size: nn.Linear(8, size), None.__class__, Wide, Bare])
def test_what_makes_no_network_of_a_seed(net):
    with pytest.raises(ValueError, match="makes no network of a seed.*lambda seed"):
        check_net(net, TABLE, C, Protocol(score="bald", T=T))


@pytest.mark.parametrize("posterior", ["dropout", "ensemble 2"])
def test_what_bfloat16_would_round_away_is_learnt(posterior, monkeypatch):
    "Lengths of 20 mm, give or take a hundredth: in bfloat16 all of them are 20"
    monkeypatch.setattr("bdal.train._bfloat16_is_fast", lambda: True)
    x = 20 + .01*torch.randn(300, 8, generator=stream(0, "lengths"))
    y = (x[:, 0] > 20).long()

    def make(seed):
        torch.manual_seed(seed)
        return nn.Sequential(nn.BatchNorm1d(8), nn.Linear(8, 32), nn.ReLU(), nn.Dropout(.2), nn.Linear(32, 2))

    idx = torch.arange(100)
    how = dict(net=make, score="random", start=(idx, y[idx]), test=(x[100:], y[100:]), posterior=posterior)
    learner = Learner(x, schedule="steps 100", T=4, **how)
    learner.ask()
    assert learner.record.header["arithmetic"] == "float32" and learner.row["test_accuracy"] > .85
    one, same = make(0), make(0)
    losses = fit(one, x[:100], y[:100], steps=3), fit(same, x[:100], y[:100], steps=3, dtype=torch.float32)
    assert losses[0].equal(losses[1])
