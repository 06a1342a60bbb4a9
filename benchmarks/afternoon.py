"""Sixty labels on photographs, three roads: the measurements in results/afternoon.csv, which the guide own_images draws.

    python benchmarks/afternoon.py [--seeds 10] [--out results/afternoon.csv]

600 pictures and 300 others to test are cut out of the same 18 photographs of scikit-image and scikit-learn, in six classes.
An oracle answers. A quarter of an hour on one thread; trials that are in the table are not run again.
"""
import argparse
import csv
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import skimage.data
import sklearn.datasets
from PIL import Image

from bdal.data import Data
from bdal.features import features, head
from bdal.steps import run_trial

PHOTOS = dict(
    texture="brick.png grass.png gravel.png",
    laboratory="ihc.png retina.jpg cell.png microaneurysms.png",
    sky="moon.png hubble_deep_field.jpg rocket.jpg",
    creature="astronaut.png chelsea.png camera.png",
    thing="coffee.png motorcycle_left.png coins.png",
    outdoors="china.jpg flower.jpg",
)
HOMES = [Path(skimage.data.__file__).parent, Path(sklearn.datasets.__file__).parent / "images"]


def cuts(to, n, seed):
    "n squares, turned a little, in a folder a class"
    photos = {c: names.split() for c, names in PHOTOS.items()}
    images = {p: Image.open(next(h / p for h in HOMES if (h / p).exists())).convert("RGB") for names in photos.values() for p in names}
    rng, classes = np.random.default_rng(seed), list(photos)
    for k, c in enumerate(rng.choice(len(classes), n)):
        im = images[rng.choice(photos[classes[c]])]
        side = min(int(rng.integers(96, 320)), *im.size)
        x, y = (int(rng.integers(0, m - side + 1)) for m in im.size)
        im = im.crop((x, y, x + side, y + side)).rotate(float(rng.uniform(-15, 15)), resample=Image.Resampling.BICUBIC)
        (to / classes[c]).mkdir(parents=True, exist_ok=True)
        im.resize((224, 224)).save(to / classes[c] / f"cut_{k:04}.jpg", quality=90)
    return to


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--seeds", type=int, default=10, help="trials of each road")
    args.add_argument("--out", default=Path(__file__).parents[1] / "results" / "afternoon.csv", help="table to write")
    args = args.parse_args()
    warnings.simplefilter("ignore")
    out = Path(args.out)
    rows = list(csv.DictReader(out.open())) if out.exists() else []
    there = {(row["road"], int(row["seed"])) for row in rows}
    with tempfile.TemporaryDirectory() as home:
        pool, test = cuts(Path(home) / "pool", 600, 0), cuts(Path(home) / "test", 300, 1)
        big, small = (Data.from_folder(pool, side=side, test=test, name=f"cuts {side}") for side in (224, 32))
        feats = features(big, home=home)
        net = dict(net=head(feats))
        roads = {"features, margin": (feats, "margin", net), "features, random": (feats, "random", net), "from scratch, margin": (small, "margin", {})}
        for road, (data, score, how) in roads.items():
            for seed in range(args.seeds):
                if (road, seed) in there: continue
                trial = run_trial(data, score, 6, 60, seed, per_class=2, T=20, progress=False, **how)
                rows += [dict(road=road, seed=seed, labels=r["n_labelled"], test_accuracy=r["test_accuracy"]) for r in trial.rounds]
                print(road, seed, f"{rows[-1]['test_accuracy']:.3f}", file=sys.stderr, flush=True)
                with out.open("w", newline="") as file:
                    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
                    writer.writeheader()
                    writer.writerows(rows)


if __name__ == "__main__":
    main()
