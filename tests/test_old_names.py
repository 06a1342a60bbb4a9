"Every public name of bdal before the modules were split is found where it was, for one version."
import importlib
import pickle
import re
import warnings

import pytest

from bdal.curves import MOVED

OLD = {
    "acquisition": "SCORES SELECTORS lookup score random entropy least_confidence margin variation_ratios mean_std bald selector top_k softmax power "
    "softrank Batch acquire check_contract",
    "curves": "COLOURS TESTS results_folder trials load run_so_far load_used protocols axis mean_interval curve at_labels "
    "looks caption plot_curves labels_to quantiles labels_table crossings area at common_range differences sign_flip holm evidence "
    "compare gaps in_words deviation acquired evenness share_along curve_table to_csv to_markdown save_figure",
    "data": "derive_seed stream seeded as_inputs as_pool take Data bdal_home unpack_mnist mnist show_images torchvision_data repeated "
    "balanced_start Pool",
    "dirty_mnist": "MEAN STD BINS VAE fit_vae mixtures stretched lenet fit_judges judged is_ambiguous spread Ambiguous rebuild ambiguous_mnist "
    "DirtyData dirty_mnist by_part ambiguous_share",
    "model": "LARGE AUGMENT draw_masks ConsistentDropout ConsistentDropout2d bayesian_cnn consistent n_early sampling split_front mc_log_probs "
    "auto_dtype fit_threads using_threads affine elastic fit mean_log_probs measure Evaluation evaluate",
    "scoring": "score_pool race",
    "steps": "RECIPES FORMAT PROTOCOL DTYPES schedule Record Protocol Progress Learner run_round header run_trial round_line check_parameters",
    "sweep": "STARTS LINE_EVERY Study load_studies check_study Trial plan run sweep status main cli",
    "thinning": "POINTWISE POOLING NORMS HOMOGENEOUS kept thin thinned_log_probs cannot_thin",
}


def ask(module, name):
    "What an old import gives, and what it says"
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        exec(f"from bdal.{module} import {name}", found := {})
    return found[name], [w for w in said if w.category is DeprecationWarning and str(w.message).startswith("bdal.")]


@pytest.mark.parametrize("module", OLD)
def test_old_names_are_found(module):
    pytest.importorskip("scipy")
    home = {name: new for new, names in MOVED.get(module, {}).items() for name in names.split()}
    for name in OLD[module].split():
        found, said = ask(module, name)
        if name not in home:
            assert not said, name
            continue
        old, new = re.fullmatch(r"(bdal.+) is now (bdal.+); the old name goes in the next version", str(said[0].message)).groups()
        assert (old, new) == (f"bdal.{module}.{name}", f"bdal.{home[name]}.{name}") and len(said) == 1
        assert said[0].filename == "<string>"  # the line that asks, not ours
        assert found is getattr(importlib.import_module(f"bdal.{home[name]}"), name)
        assert name in importlib.import_module(f"bdal.{home[name]}").__all__


def test_old_names_are_not_among_the_new():
    for module in ("model", "steps"):
        m = importlib.import_module(f"bdal.{module}")
        assert not {name for names in MOVED[module].values() for name in names.split()} & {*m.__all__, *vars(m)}
        with pytest.raises(AttributeError, match=f"module 'bdal.{module}' has no attribute 'nothing'"):
            m.nothing


def test_what_was_pickled_under_an_old_name_is_found():
    with pytest.warns(DeprecationWarning, match="is now bdal.predict.Evaluation"):
        assert pickle.loads(b"cbdal.model\nEvaluation\n.") is importlib.import_module("bdal.predict").Evaluation
