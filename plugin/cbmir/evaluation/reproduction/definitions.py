"""What the numbers of a reproduction mean, in the words that are printed beside them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

DEFINITIONS: Mapping[str, str] = MappingProxyType(
    {
        "queries and gallery": "queries are the images of the test part's patients, the gallery those of all other "
        "patients; no patient is on both sides. A hit is relevant if it shows the query's modality",
        "accuracy": "share of queries whose modality is that of most of the k retrieved; of equally frequent ones, "
        "that whose nearest image is nearer. The paper does not define its own",
        "precision": "relevant retrieved / retrieved, mean over the queries",
        "recall": "relevant retrieved / relevant in the gallery, mean over the queries: the usual recall, which "
        "cannot exceed k / relevant",
        "recall, capped": "relevant retrieved / min(relevant in the gallery, k). Only by this one, or where a "
        "query has about twenty relevant images, is the paper's 98 % at 20 possible",
        "accuracy of a method": "mean of its accuracies at the five k, as the paper's 95.87 % is of its five",
        "loss": "mean squared error of the reconstruction, of pixels in [0, 1]; of the training part each picture "
        "as it stood when it was seen, of the validation part after the epoch",
        "accuracy by epoch": "share of the validation part's images whose modality is that of most of the {k} "
        "nearest images of the training part, by the features of the network as it stood after the epoch",
        "interval": "95 %, from drawing whole patients of the queries anew; it tells how much the choice of "
        "patients asked about matters, and nothing of how another training would have gone",
    }
)


def of(k: int) -> dict[str, str]:
    """All of them, with the k of the accuracy by epoch filled in."""
    return {name: meaning.format(k=k) for name, meaning in DEFINITIONS.items()}
