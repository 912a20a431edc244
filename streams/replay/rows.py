"""Rows of a file as JSON documents, a batch at a time, in the order of the file: memory does not grow with it.

Tables are read by polars and handed on as the JSON of their rows, so that one mapping reads files and topics alike.
Columns of text files are text, and what is empty is null. A text file that polars gives up on is read on row by row, so
that only the broken rows are lost, and said.
"""

from __future__ import annotations

import csv
import dataclasses
import gzip
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final, Literal, NamedTuple

import msgspec
import numpy as np
import polars as pl

from streams.contract import rules
from streams.contract.codec import STAGE_SYNTAX, Rejected
from streams.errors import LogFormatError

AT_ONCE: Final = 10_000
"""Rows of a batch."""
SLICE: Final = 250_000
"""Rows of a Parquet file that are read at a time."""
BLOCK_BYTES: Final = 4 * 2**20
"""Of a text file, at a time."""
MOST_ROW_BYTES: Final = 16 * 2**20
"""Longest row of a text file that may go over lines."""
MOST_ARRAY_BYTES: Final = 256 * 2**20
"""Largest file with one JSON array, which is read whole."""
SEPARATORS: Final = {".csv": ",", ".tsv": "\t", ".inter": "\t", ".item": "\t", ".user": "\t"}

Kind = Literal["parquet", "text", "jsonl", "array"]


@dataclasses.dataclass(frozen=True)
class Rows:
    """Some rows: the number of the first, from 1, and either documents or, of a table, a frame."""

    first: int
    documents: Sequence[bytes | Rejected] = ()
    frame: pl.DataFrame | None = None

    def __len__(self) -> int:
        return len(self.documents) if self.frame is None else self.frame.height

    @property
    def values(self) -> Sequence[bytes | Rejected]:
        """Each row as a JSON document, or why it is none."""
        return self.documents if self.frame is None else documents_of(self.frame)


class Reading(NamedTuple):
    """How a file is read.

    Attributes:
      separator, columns: of a text file; columns: names where it has no header line. is_typed: names carry a type
        behind a colon, as RecBole's. is_quoted: a quotation mark has a meaning.
    """

    kind: Kind
    separator: str = ","
    columns: tuple[str, ...] = ()
    is_typed: bool = False
    is_quoted: bool = True


def reading_of(path: Path, *, separator: str = "", columns: Sequence[str] = ()) -> Reading:
    """How a file of this name is read.

    Raises:
      LogFormatError: nobody knows.
    """
    if not path.is_file():
        raise LogFormatError(f"expected a file at {path}, got none; check the path")
    ending = _ending(path)
    if ending == ".parquet":
        return Reading("parquet")
    if ending in {".jsonl", ".ndjson"}:
        return Reading("jsonl")
    if ending == ".json":
        return Reading("array" if _begin(path, 1).startswith(b"[") else "jsonl")
    chosen = separator or SEPARATORS.get(ending, "")
    if not chosen:
        raise LogFormatError(
            f"expected a file ending in .parquet, .csv, .tsv, .jsonl, .ndjson, .json, .inter or .item (all but the "
            f"first with .gz too), got {path.name}; rename it, or name a mapping that says its separator"
        )
    is_recbole = ending in {".inter", ".item", ".user"}
    return Reading("text", chosen, tuple(columns), is_typed=is_recbole, is_quoted=not is_recbole)


def columns_of(path: Path, reading: Reading) -> list[str] | None:
    """Names of a table's columns; None for documents."""
    if reading.kind == "parquet":
        try:
            return list(pl.read_parquet_schema(path))
        except (pl.exceptions.PolarsError, OSError) as error:
            raise LogFormatError(f"expected a file that can be read, got {path}: {error}; is it whole?") from error
    if reading.kind != "text":
        return None
    if reading.columns:
        return list(reading.columns)
    with _text(path) as file:
        header = next(_csv(file, reading), [])
    return _names(header, reading)


def read_rows(path: Path, reading: Reading, *, wanted: Sequence[str] | None = None) -> Iterator[Rows]:
    """The rows of a file, from its beginning.

    Args:
      wanted: columns of a table that matter; None: all.

    Raises:
      LogFormatError: the file as a whole cannot be read.
    """
    try:
        if reading.kind == "parquet":
            yield from _parquet_rows(path, wanted)
        elif reading.kind == "text":
            yield from _text_rows(path, reading, wanted)
        else:
            yield from _documents(path) if reading.kind == "jsonl" else _array(path)
    except (pl.exceptions.PolarsError, OSError, EOFError) as error:
        raise LogFormatError(f"expected a file that can be read, got {path}: {error}; is it whole?") from error


def count_rows(path: Path, reading: Reading) -> int | None:
    """How many rows there are, where that is known without reading them."""
    return _height(path) if reading.kind == "parquet" else None


def _height(path: Path) -> int:
    return int(pl.scan_parquet(path).select(pl.len()).collect().item())


def documents_of(frame: pl.DataFrame) -> list[bytes]:
    """The rows of a frame as JSON documents."""
    return frame.write_ndjson().encode().splitlines()


def _parquet_rows(path: Path, wanted: Sequence[str] | None) -> Iterator[Rows]:
    """Slice by slice: a reader of the whole file would hold all of it in memory."""
    frame = pl.scan_parquet(path)
    frame, height = frame if wanted is None else frame.select(list(wanted)), _height(path)
    for start in range(0, height, SLICE):
        for at, part in enumerate(frame.slice(start, SLICE).collect().iter_slices(AT_ONCE)):
            yield Rows(1 + start + at * AT_ONCE, frame=part)


def _text_rows(path: Path, reading: Reading, wanted: Sequence[str] | None) -> Iterator[Rows]:
    """Block by block; one that polars gives up on is read row by row."""
    names = columns_of(path, reading) or []
    first, rest, is_begun = 1, b"", bool(reading.columns)
    with _binary(path) as file:
        while True:
            block = file.read(BLOCK_BYTES)
            whole, rest = _cut(rest + block, is_quoted=reading.is_quoted) if block else (rest, b"")
            if not is_begun and whole:
                whole, is_begun = _without_header(whole, reading), True
            for rows in _block_rows(whole, reading, names, wanted, first):
                yield rows
                first = rows.first + len(rows)
            if not block:
                return


def _cut(data: bytes, *, is_quoted: bool) -> tuple[bytes, bytes]:
    """The whole rows at the beginning, and the rest: cut at the last line's end that is outside quotation marks.

    Where there is none within `MOST_ROW_BYTES`, a mark was never closed, and any line's end will do.
    """
    chars = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(chars == ord("\n"))
    outside = ends
    if is_quoted and b'"' in data:
        outside = ends[np.searchsorted(np.flatnonzero(chars == ord('"')), ends) % 2 == 0]
    if not len(outside) and len(data) > MOST_ROW_BYTES:
        outside = ends
    end = int(outside[-1]) + 1 if len(outside) else 0
    return data[:end], data[end:]


def _without_header(data: bytes, reading: Reading) -> bytes:
    text = io.StringIO(data.decode("utf-8-sig", "surrogateescape"), newline="")
    next(_csv(text, reading), None)
    return text.read().encode("utf-8", "surrogateescape")


def _block_rows(
    data: bytes, reading: Reading, names: Sequence[str], wanted: Sequence[str] | None, first: int
) -> Iterator[Rows]:
    if not data:
        return
    try:
        frame = pl.read_csv(
            data, separator=reading.separator, infer_schema=False, has_header=False, new_columns=list(names),
            quote_char='"' if reading.is_quoted else None, raise_if_empty=False,
            columns=None if wanted is None else [names.index(name) for name in wanted],
        )  # fmt: skip
    except pl.exceptions.PolarsError:
        yield from _patient_rows(data, reading, names, wanted, first)
        return
    for at, part in enumerate(frame.iter_slices(AT_ONCE)):
        yield Rows(first + at * AT_ONCE, frame=part)


def _patient_rows(
    data: bytes, reading: Reading, names: Sequence[str], wanted: Sequence[str] | None, first: int
) -> Iterator[Rows]:
    """Row by row, each for itself."""
    chosen = set(names if wanted is None else wanted)
    text = io.StringIO(data.decode("utf-8", "surrogateescape"), newline="")
    rows = [_document(row, names, chosen) for row in _csv(text, reading)]
    if rows:
        yield Rows(first, rows)


def _document(row: list[str], names: Sequence[str], chosen: set[str]) -> bytes | Rejected:
    if len(row) != len(names):
        payload = ",".join(row).encode("utf-8", "replace")
        return Rejected(payload, f"expected {len(names)} columns, got {len(row)}", STAGE_SYNTAX)
    held = {name: value or None for name, value in zip(names, row, strict=True) if name in chosen}
    try:
        return msgspec.json.encode(held)
    except UnicodeEncodeError:
        return Rejected(
            ",".join(row).encode("utf-8", "surrogateescape"), "expected UTF-8, got other bytes", STAGE_SYNTAX
        )


def _csv(file: IO[str], reading: Reading) -> Iterator[list[str]]:
    csv.field_size_limit(rules.MAX_RECORD_BYTES)
    rows = csv.reader(
        file, delimiter=reading.separator, quoting=csv.QUOTE_MINIMAL if reading.is_quoted else csv.QUOTE_NONE
    )
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield [str(error)]  # counted as a row with too few columns
            continue
        if row:
            yield row


def _documents(path: Path) -> Iterator[Rows]:
    """Lines, without their ends; blank ones count and are none. Of one that is too long the beginning is kept."""
    first, rest = 1, b""
    with _binary(path) as file:
        while block := file.read(BLOCK_BYTES):
            *lines, rest = (rest + block).split(b"\n")
            if len(rest) > 2 * rules.MAX_RECORD_BYTES:
                rest = rest[: rules.MAX_RECORD_BYTES + 1]
            if lines:
                yield Rows(first, lines)
                first += len(lines)
    if rest:
        yield Rows(first, [rest])


def _array(path: Path) -> Iterator[Rows]:
    """The entries of one JSON array."""
    with _binary(path) as file:
        content = file.read(MOST_ARRAY_BYTES + 1)
    if len(content) > MOST_ARRAY_BYTES:
        raise LogFormatError(
            f"expected an array of at most {MOST_ARRAY_BYTES} bytes in {path}, got more; write a line each"
        )
    try:
        entries = msgspec.json.decode(content, type=list[msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise LogFormatError(f"expected a JSON array in {path}, got: {error}; is it whole?") from error
    for at in range(0, len(entries), AT_ONCE):
        yield Rows(at + 1, [bytes(one) for one in entries[at : at + AT_ONCE]])


def _begin(path: Path, size_bytes: int) -> bytes:
    try:
        with _binary(path) as file:
            return file.read(size_bytes)
    except (OSError, EOFError) as error:
        raise LogFormatError(f"expected a file that can be read, got {path}: {error}; check it") from error


def _names(header: Sequence[str], reading: Reading) -> list[str]:
    return [name.partition(":")[0] if reading.is_typed else name for name in header]


def _ending(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).suffix


def _binary(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _text(path: Path) -> IO[str]:
    options: Any = {"encoding": "utf-8-sig", "errors": "surrogateescape", "newline": ""}
    opened: Any = gzip.open if path.suffix == ".gz" else open
    file: IO[str] = opened(path, "rt", **options)
    return file
