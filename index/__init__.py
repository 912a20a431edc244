"""Vectors and rows: maximum inner product search that stays fresh; knows neither strings nor models."""
