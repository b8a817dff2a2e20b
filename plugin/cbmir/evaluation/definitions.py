"""What the numbers of an evaluation mean, in the words that are printed beside them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

DEFINITIONS: Mapping[str, str] = MappingProxyType(
    {
        "relevant": "a retrieved image that has the query's label; where a value names several labels (a|b), "
        "one that shares at least one of them",
        "accuracy": "share of queries whose label is that of the majority of the k retrieved; between labels "
        "equally frequent, the one whose nearest image is nearer",
        "precision": "relevant retrieved / retrieved; mean over the queries",
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
        "intervals": "of the means, at 95 %: the groups (patients) of the queries drawn anew with "
        "replacement, 2,000 times with seed 0, and the 2.5th and 97.5th percentile of the mean (cluster "
        "bootstrap, percentile interval); the gallery stays as it is; a label whose queries are of one group "
        "has none, and a label that a draw lacks is left out of that draw",
        "by": "queries told apart by another label, each part asked of the whole gallery",
        "difference": "this encoder's mean less the other's, over the same queries and gallery, with the "
        "interval of that difference in the same draws",
        "p": "two-sided: twice the smaller of the shares of draws in which the difference is at most 0, or at "
        "least 0, with one added to both counts; not corrected for the number of comparisons",
    }
)
