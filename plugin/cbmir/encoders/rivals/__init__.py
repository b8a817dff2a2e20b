"""The networks that the paper compares itself with, in plain torch, each as an encoder. See docs/reproduce.md."""
