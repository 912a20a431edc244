"""Records of a team's own shape as events of the contract: what a mapping may say, and what it is compiled to."""
