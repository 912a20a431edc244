"""Judging rankings: protocols, baselines and figures over columns of a log; arrays in, arrays out."""
