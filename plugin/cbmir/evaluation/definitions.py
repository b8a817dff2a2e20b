"""What the numbers of an evaluation mean, in the words that are printed beside them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

DEFINITIONS: Mapping[str, str] = MappingProxyType(
    {
        "relevant": "a retrieved image that has the query's label; where a value names several labels (a|b), "
        "one that shares at least one of them",
        "accuracy": "share of queries whose label is that of the majority of the k retrieved; between labels "
        "equally frequent, the one whose nearest image is nearer",
        "precision": "relevant retrieved / retrieved; mean over the queries",
        "chance": "the precision of images drawn from the gallery by chance: the share of it that is relevant; "
        "mean over the queries; if it is 1, all images have one label, and the figures tell nothing",
        "recall": "relevant retrieved / all relevant in the gallery; mean over the queries; it cannot exceed "
        "k / relevant",
        "recall_capped": "relevant retrieved / min(relevant in the gallery, k): recall measured by what k "
        "retrieved images can hold; mean over the queries",
        "map": "mean average precision at k: per query the sum of the precision at the rank of each relevant "
        "retrieved, divided by min(relevant in the gallery, k); mean over the queries",
        "ndcg": "normalised discounted cumulative gain at k: per query the sum of 1 / log2(rank + 1) over the "
        "relevant retrieved, divided by that sum if all relevant came first; mean over the queries",
        "map_all": "mean average precision over the whole gallery: per query the mean of the precision at the "
        "rank of every relevant image; mean over the queries",
        "r_precision": "precision at k = the number of relevant images in the gallery, which is each query's "
        "own; mean over the queries",
        "ndcg_all": "ndcg over the whole gallery; mean over the queries",
        "mrr": "mean reciprocal rank: 1 / rank of the first relevant image; mean over the queries",
        "at": "mean over all queries (micro): a label with many queries weighs more",
        "macro": "mean over the labels of each label's own mean: every label weighs the same; a query of "
        "several labels counts for each of them",
        "macro_several": "the same mean over those labels alone whose queries are of two groups (patients) or "
        "more: one group is no ground for a claim about a label, and has no interval",
        "intervals": "of the means, at 95 %: the groups (patients) of the queries drawn anew with "
        "replacement, 2,000 times with seed 0, and the 2.5th and 97.5th percentile of the mean (cluster "
        "bootstrap, percentile interval); the gallery stays as it is; a label whose queries are of one group "
        "has none; a label that a draw lacks is left out of that draw, so that the interval of a macro mean is "
        "wide, and askew about it, where labels have few groups; that of macro_several lacks the labels for which "
        "this is worst",
        "by": "queries told apart by another label, each part asked of the whole gallery",
        "leakage": "probe: the figures if the query's own patient were not kept out; each query is asked of "
        "the gallery and of all other queries of its own group",
        "duplicates": "probe: pairs of a query and an image of the gallery, of different groups, whose "
        "difference hashes differ in at most 5 of 64 bits (candidates) and whose thumbnails of 32 x 32 pixels "
        "correlate by at least 0.99; and the figures over the queries that are in no such pair",
        "source": "probe: how well ridge regression, one value against the rest, tells from the features where an "
        "image comes from, or what made it, fitted on the gallery and tested on the queries; accuracy is the share "
        "of the tested whose value it names, and chance the share of the value most frequent among them, the most "
        "that naming one value for all would reach; balanced is the mean over the tested values of the share of "
        "each that it names, and balanced_chance what guessing evenly among the values fitted would reach, 1 / "
        "their number",
        "border": "probe: the figures with the outer tenth of every picture made black at each side, queries "
        "and gallery encoded anew",
        "unseen": "probe: each label value held out of the gallery in turn, with at most 200 queries of it and "
        "200 of others that are there; auroc is the chance that a query of the value held out scores above one of "
        "the others (0.5 by guessing), where the score is the mean distance to the 5 nearest, divided by what is "
        "usual around them: the mean over the 10 nearest of their own mean distance to the 5 nearest of other "
        "patients; a query's confidence is the share of the gallery's own images whose score, without their own "
        "patient, is at least as large; flagged and mistaken are the shares below the level, of queries of the "
        "value held out and of the others; means over the values; calibration is the share of the others below "
        "each level, which should not exceed it",
        "difference": "this encoder's mean less the other's, over the same queries and gallery, with the "
        "interval of that difference in the same draws",
        "p": "two-sided, by a paired randomisation test: of groups (patients) drawn by chance the scores of both "
        "encoders are exchanged, 1,000 times with seed 0, and p is how often the difference is then at least as "
        "large, one added to both counts; of few groups it cannot be small (of g hardly below 2 / 2^g); not "
        "corrected for the number of comparisons",
    }
)

PARTS: Mapping[str, str] = MappingProxyType({"by": "by", "difference": "against", "p": "against"})
"""Definition -> what of a result it explains; others explain what every result has, or a probe of their name."""
PROBES = ("leakage", "duplicates", "source", "border", "unseen")


def of(result: Mapping[str, Any]) -> dict[str, str]:
    """The definitions of what a result has: see `cbmir.services.evaluation.evaluate.evaluate`; one that is kept
    with an encoder may have less."""
    probes = result.get("probes") or {}
    return {
        name: meaning
        for name, meaning in DEFINITIONS.items()
        if (name not in PROBES or name in probes) and (name not in PARTS or result.get(PARTS[name]))
    }
