"Use the installed package as a stranger would, in an empty folder; test_package.py and matrix.py run this file, without any of our tools."
import importlib
import pkgutil
import sys

import bdal
import torch
from bdal.results import load
from bdal.evidence import at_labels
from bdal.figures import plot_curves, save_figure
from bdal.data import Data, mnist, show_images
from bdal.dirty_mnist import ambiguous_mnist
from bdal.model import bayesian_cnn
from bdal.train import fit
from bdal.predict import mc_log_probs
from bdal.steps import Learner, run_trial
from bdal.thinning import thinned_log_probs

torch.set_num_threads(1)
for module in pkgutil.iter_modules(bdal.__path__):
    importlib.import_module(f"bdal.{module.name}")

data = mnist()
assert len(data) == 60_000 and data.y.bincount().min() > 5000
small = data.first(500, test=200)
for seed in range(2):
    record = run_trial(small, score="bald", K=5, n_final=30, seed=seed, T=3, schedule="steps 20", record=f"results/bald/trial-{seed:02d}.jsonl", progress=False)
    assert record.complete and list(record.table().n_labelled) == [20, 25, 30]
frame = load("bald", results="results")
assert at_labels(frame, (30,)).bald.iloc[0].endswith("]")
save_figure(plot_curves(frame).figure, "curve.png")
show_images(small.x[:10]).savefig("digits.png")

ambiguous = ambiguous_mnist()
assert list(ambiguous.images.shape) == [12_000, 1, 28, 28] and ambiguous.labels.shape[1] == 10

pictures, labels = small.x.mul(255).byte().numpy(), [f"digit {i}" for i in small.y.tolist()]
mine = Data.from_arrays(pictures, labels, name="mine")
choices = dict(score="margin", K=3, start=mine.start(per_class=2, seed=0), record="mine.jsonl", T=3, schedule="steps 20")
learner = Learner(mine.x, **choices)
asked = learner.ask()
learner.tell(asked, mine.y[asked])
learner.record.close()
assert len(Learner(mine.x, **choices).pool.labelled) == len(choices["start"][0]) + 3

net = bayesian_cnn(seed=0)
fit(net, small.x, small.y, steps=20)
plain, thin = mc_log_probs(net, small.x[:50], T=4, dtype=torch.float32), thinned_log_probs(net, small.x[:50], T=4)
assert (plain - thin).abs().max() < 1e-3

ours = {"nbdev", "execnb", "papermill", "jupyter_client", "IPython"} & set(sys.modules)
assert not ours, ours
print(f"bdal {bdal.__version__}, python {sys.version.split()[0]}, torch {torch.__version__}: used")
