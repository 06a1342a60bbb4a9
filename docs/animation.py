"""A trial as an animation: the digits that are asked about, and the accuracy that they buy, round by round.

    python docs/animation.py results/augmented_margin/trial-00.jsonl results/figures/trial.gif

The digits are those of the record's indices, the accuracies those of its rounds; nothing is computed anew."""
import io
import sys
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
from PIL import Image

from bdal.data import mnist
from bdal.figures import looks
from bdal.record import Record

WIDE = 15  # digits in a row of the sheet


def sheet(x, shown, new, rows):
    "The digits labelled so far, inked by row; those just asked about are dark, the others grey"
    page = Image.new("L", (28 * WIDE, 28 * rows), 255)
    for place, i in enumerate(shown):
        ink = x[i, 0] * (255 if place >= len(shown) - new else 110)
        page.paste(Image.fromarray((255 - ink).byte().numpy()), (28 * (place % WIDE), 28 * (place // WIDE)))
    return page


def frame(x, record, r, rows):
    "One round as a picture"
    config, table = record.header["config"], record.table()
    shown = config["start_indices"] + [i for row in record.rounds[: r + 1] for i in row["indices"]]
    new = len(record.rounds[r]["indices"])
    look = looks([config["score"]])[config["score"]]
    fig, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3), width_ratios=(1.25, 1))
    left.imshow(sheet(x, shown, new, rows), cmap="gray", vmin=0, vmax=255)
    left.set_axis_off()
    left.set_title(f"{config['score']} asks about the {new} dark digits" if new else "the labels are spent")
    right.plot(table.n_labelled[: r + 1], 100 * table.test_accuracy[: r + 1], **look, ms=4)
    right.set(xlim=(0, table.n_labelled.max() * 1.05), ylim=(50, 100), xlabel="labels", ylabel="test accuracy, %",
              title=f"{table.n_labelled[r]} labels: {table.test_accuracy[r]:.1%}")
    page = io.BytesIO()
    fig.savefig(page, dpi=90, facecolor="white", transparent=False)
    plt.close(fig)
    return Image.open(page).convert("RGB").quantize(64, dither=Image.Dither.NONE)


def main(record, out):
    plt.style.use("bdal.figures")
    record, x = Record(record), mnist().x
    rows = -(-record.table().n_labelled.max() // WIDE)
    frames = [frame(x, record, r, rows) for r in range(len(record.rounds))]
    Path(out).parent.mkdir(exist_ok=True)
    frames[0].save(out, save_all=True, append_images=frames[1:], duration=[900] * (len(frames) - 1) + [4000], loop=0)
    print(f"{out}: {len(frames)} rounds, {Path(out).stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main(*sys.argv[1:])
