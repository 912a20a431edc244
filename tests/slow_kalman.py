"""The Kalman filter as a textbook writes it, a box at a time, with lists for matrices: the oracle of `kalman`."""

from __future__ import annotations

Matrix = list[list[float]]


def times(left: Matrix, right: Matrix) -> Matrix:
    """Matrix product."""
    return [
        [sum(a * b for a, b in zip(row, column, strict=True)) for column in zip(*right, strict=True)] for row in left
    ]


def plus(left: Matrix, right: Matrix, sign: float = 1.0) -> Matrix:
    """Sum, or difference with sign -1."""
    return [[a + sign * b for a, b in zip(*rows, strict=True)] for rows in zip(left, right, strict=True)]


def turned(matrix: Matrix) -> Matrix:
    """Transpose."""
    return [list(column) for column in zip(*matrix, strict=True)]


def diagonal(values: list[float]) -> Matrix:
    """Diagonal matrix."""
    return [[value if row == column else 0.0 for column in range(len(values))] for row, value in enumerate(values)]


def inverse(matrix: Matrix) -> Matrix:
    """Gauss and Jordan, with pivots."""
    size = len(matrix)
    rows = [list(row) + unit for row, unit in zip(matrix, diagonal([1.0] * size), strict=True)]
    for at in range(size):
        pivot = max(range(at, size), key=lambda row: abs(rows[row][at]))
        rows[at], rows[pivot] = rows[pivot], rows[at]
        rows[at] = [value / rows[at][at] for value in rows[at]]
        for other in range(size):
            if other != at:
                factor = rows[other][at]
                rows[other] = [a - factor * b for a, b in zip(rows[other], rows[at], strict=True)]
    return [row[size:] for row in rows]


F: Matrix = [[1.0 if row == column or column == row + 4 else 0.0 for column in range(7)] for row in range(7)]
H: Matrix = [[1.0 if row == column else 0.0 for column in range(7)] for row in range(4)]


def predict(x: Matrix, p: Matrix, q: list[float]) -> tuple[Matrix, Matrix]:
    """State [7, 1] and covariance a frame later."""
    return times(F, x), plus(times(times(F, p), turned(F)), diagonal(q))


def update(x: Matrix, p: Matrix, z: list[float], r: list[float]) -> tuple[Matrix, Matrix]:
    """State and covariance after a measurement."""
    s = plus(times(times(H, p), turned(H)), diagonal(r))
    k = times(times(p, turned(H)), inverse(s))
    y = plus([[value] for value in z], times(H, x), -1.0)
    return plus(x, times(k, y)), times(plus(diagonal([1.0] * 7), times(k, H), -1.0), p)
