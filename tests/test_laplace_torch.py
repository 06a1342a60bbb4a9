"""The last-layer posterior against that of laplace-torch (Daxberger et al. 2021), which is no dependency.

Its figures are written down below: `theirs` made them, by laplace-torch 0.3 and torch 2.14 in an environment of its own. Where it is installed, they are made anew."""
import pytest
import torch
from torch import nn

from bdal.posteriors import Laplace
from bdal.predict import mc_log_probs

PRIOR = 0.7


def small():
    "A network and inputs without chance: every number is a sine"
    net = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 3))
    with torch.no_grad():
        for k, p in enumerate(net.parameters()):
            p.copy_((torch.arange(p.numel()) * 1.7 + k).sin().view_as(p))
    return net, (torch.arange(40) * 0.9).sin().view(10, 4), torch.arange(10) % 3


def ours():
    "Variance of each weight [C, D], the bias last; covariance of the logits [N, C, C]; predictions [N, C] of 20,000 samples"
    net, x, _ = small()
    posterior = Laplace(net, x, prior=PRIOR)
    covariance = (posterior.V_P_P * posterior.sd_P.square()) @ posterior.V_P_P.T
    with torch.no_grad():
        h = torch.cat([net[:2](x), torch.ones(10, 1)], 1).double()
    logits = torch.einsum("nd,cdke,ne->nck", h, covariance.view(3, 4, 3, 4), h)
    return covariance.diagonal().view(3, 4), logits, mc_log_probs(posterior, x, 20_000).exp().mean(1)


def theirs():
    "The same by laplace-torch, which has all weights first and then the biases"
    from laplace import Laplace as Theirs

    net, x, y = small()
    la = Theirs(net, "classification", subset_of_weights="last_layer", hessian_structure="full", prior_precision=PRIOR)
    la.fit(torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=5))
    variance = la.posterior_covariance.diagonal()
    weights = torch.cat([variance[:9].view(3, 3), variance[9:, None]], 1)
    return weights, la._glm_predictive_distribution(x)[1], la(x, link_approx="mc", n_samples=100_000)


WEIGHTS = [[1.03448, 1.03938, 0.959, 0.81764], [1.07485, 1.07577, 1.00444, 0.87963], [1.07723, 1.06135, 0.998, 0.84312]]
LOGITS = [[[1.53768, 0.98788, 0.95272], [0.98788, 1.64611, 0.8443], [0.95272, 0.8443, 1.68127]],
          [[0.98383, 0.62066, 0.64009], [0.62066, 1.10091, 0.52301], [0.64009, 0.52301, 1.08148]],
          [[1.71409, 1.14407, 1.19097], [1.14407, 1.77884, 1.12623], [1.19097, 1.12623, 1.73193]]]
PREDICTIONS = [[0.592, 0.2513, 0.1567], [0.5302, 0.2054, 0.2644], [0.3605, 0.2942, 0.3452]]


def check(expected):
    for here, there, off in zip(ours(), expected, (2e-5, 2e-5, 0.01)):
        torch.testing.assert_close(here[:3].float(), torch.as_tensor(there)[:3].float(), rtol=0, atol=off)


def test_as_laplace_torch_said():
    check((WEIGHTS, LOGITS, PREDICTIONS))


def test_as_laplace_torch_says():
    pytest.importorskip("laplace")
    check(theirs())
