"""Vector search: float32 vectors in int32 rows, found by largest inner product.

This package knows neither strings nor models: who maps ids to rows and what the vectors mean is the caller's affair.
"""
