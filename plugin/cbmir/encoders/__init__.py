"""2D pictures to feature vectors: architectures, preprocessing, weights."""
