"""One file a budget: ours, the limit or a peer measured in the same run, and the ratio."""
