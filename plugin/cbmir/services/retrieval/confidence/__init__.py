"""Is there anything similar at all? A query's distances, judged by how far apart the gallery's own images are.

A distance means little by itself: chest radiographs lie close together, scans of rare regions far apart. So a
query's *score* is the mean distance to its 5 nearest images, divided by what is usual there: the mean, over its
10 nearest images, of their own mean distance to their 5 nearest images of other patients. The same is done for a
sample of the gallery's images, each without those of its own patient: that is the *calibration*. The *confidence*
is the share of the sample whose score is at least as large (a conformal p-value; Vovk et al.: Algorithmic Learning
in a Random World, 2005): of queries like the gallery's images, of new patients, about a share of c has one below c.
"""
