"""Lowercases and trims one text column, such as an e-mail address: examples/minimal-rule in Python."""

import json
from array import array
from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.rule import Input, Patch, Plan, Reads, Scope
from wit_world.imports.types import Batch, Column, Error, ErrorKind, Field, Schema, Spec

CONFIG_SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {"column": {"type": "string", "description": "The text column to clean."}},
    "required": ["column"],
    "additionalProperties": False,  # strict: a misspelled key is an error that points into the pipeline
}


def clean(text: str) -> str | None:
    """What the rule does to one value; None makes it null."""
    return text.strip().lower()


class Cleaner(exports.rule.Cleaner):
    """One stream being cleaned: `plan` once, `apply` for each batch of changed rows, `finish` until it has no more."""

    def __init__(self, stream: str, field: Field):
        self.stream = stream
        self.field = field

    def plan(self) -> Plan:
        """Only the columns read here cross into the component, in this order."""
        return Plan(Scope.ROW, [Reads(self.stream, [self.field.name])], [self.field])

    def apply(self, input: str, rows: Batch) -> Patch:
        # One at a time: a list of a million strings takes many times the bytes of their column.
        cleaned = (None if text is None else clean(text) for text in decode(rows.columns[0], rows.rows))
        return Patch(set=[(self.field.name, encode(cleaned, rows.rows))], rejects=[], notes=[])

    def finish(self) -> None:
        """For rules of table scope; this one said everything in `apply`."""


class Rule(exports.Rule):
    """What the component exports: the contract's interface `rule`."""

    def describe(self) -> Spec:
        return Spec("python-rule", "0.1.0", json.dumps(CONFIG_SCHEMA), needs=[], hints=[])

    def open(self, config: str, inputs: list[Input]) -> Cleaner:
        column = json.loads(config)["column"]  # the host has checked it against the schema
        return Cleaner(inputs[0].name, text_field(inputs[0].schema, column))


def text_field(schema: Schema, name: str) -> Field:
    """The field of this name, if it holds text; a raised `Err` arrives as the contract's error."""
    field = next((field for field in schema.fields if field.name == name), None)
    if field is not None and field.format == "u":
        return field
    texts = [field.name for field in schema.fields if field.format == "u"]
    near = ", ".join(f"`{text}`" for text in get_close_matches(name, texts, n=3, cutoff=0)) or "none"
    hint = json.dumps({"hint": f"the nearest text columns are {near}"})
    message = f"column `{name}` holds `{field.format}`, not text (`u`)" if field else f"no column `{name}`"
    raise Err(Error(ErrorKind.CONFIG, "config", message, None, hint))  # `CONFIG`: the reader mends the pipeline


def decode(column: Column, rows: int) -> Iterator[str | None]:
    """A text column as strings and Nones: value `i` is `values[offsets[i]:offsets[i + 1]]`."""
    values = memoryview(column.values)  # slices of it copy nothing
    offsets = memoryview(column.offsets).cast("I")  # u32, little-endian as WebAssembly is
    bits = column.validity  # row 0 is byte 0's lowest bit
    for row in range(rows):
        if bits is None or bits[row >> 3] >> (row & 7) & 1:
            yield str(values[offsets[row] : offsets[row + 1]], "utf-8")
        else:
            yield None


def encode(texts: Iterable[str | None], rows: int) -> Column:
    """The way back: a null takes no bytes, and its bit stays 0."""
    validity, offsets, values = bytearray((rows + 7) // 8), array("I", [0]), bytearray()
    for row, text in enumerate(texts):
        if text is not None:
            validity[row >> 3] |= 1 << (row & 7)
            values += text.encode()
        offsets.append(len(values))
    return Column(bytes(validity), offsets.tobytes(), bytes(values))
