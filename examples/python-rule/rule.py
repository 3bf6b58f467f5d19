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
    "additionalProperties": False,  # a misspelled key in the pipeline is an error
}


def clean(text: str) -> str | None:
    """Cleans one value; returning None makes it null."""
    return text.strip().lower()


class Cleaner(exports.rule.Cleaner):
    """Cleans one stream. The host calls `plan` once, `apply` for each batch, then `finish` until it returns None."""

    def __init__(self, stream: str, field: Field):
        self.stream = stream
        self.field = field

    def plan(self) -> Plan:
        """The component receives only the columns in `reads`, in this order."""
        return Plan(Scope.ROW, [Reads(self.stream, [self.field.name])], [self.field])

    def apply(self, input: str, rows: Batch) -> Patch:
        # One value at a time: a list of a million strings needs many times the memory of the column.
        cleaned = (None if text is None else clean(text) for text in decode(rows.columns[0], rows.rows))
        return Patch(set=[(self.field.name, encode(cleaned, rows.rows))], rejects=[], notes=[])

    def finish(self) -> None:
        """For rules of table scope. This one returns all changes from `apply`."""


class Rule(exports.Rule):
    """The component's export: the contract's interface `rule`."""

    def describe(self) -> Spec:
        return Spec("python-rule", "0.1.0", json.dumps(CONFIG_SCHEMA), needs=[], hints=[])

    def open(self, config: str, inputs: list[Input]) -> Cleaner:
        column = json.loads(config)["column"]  # the host has validated it against the schema
        return Cleaner(inputs[0].name, text_field(inputs[0].schema, column))


def text_field(schema: Schema, name: str) -> Field:
    """Finds a text field by name. A raised `Err` becomes the contract's error."""
    field = next((field for field in schema.fields if field.name == name), None)
    if field is not None and field.format == "u":
        return field
    texts = [field.name for field in schema.fields if field.format == "u"]
    near = ", ".join(f"`{text}`" for text in get_close_matches(name, texts, n=3, cutoff=0)) or "none"
    hint = json.dumps({"hint": f"nearest text columns: {near}"})
    message = f"column `{name}` is `{field.format}`, expected text (`u`)" if field else f"unknown column `{name}`"
    raise Err(Error(ErrorKind.CONFIG, "config", message, None, hint))  # `CONFIG`: the user has to fix it


def decode(column: Column, rows: int) -> Iterator[str | None]:
    """Decodes a text column into strings and Nones: value `i` is `values[offsets[i]:offsets[i + 1]]`."""
    values = memoryview(column.values)  # slices do not copy
    offsets = memoryview(column.offsets).cast("I")  # u32, little-endian as in WebAssembly
    bits = column.validity  # row 0 is the lowest bit of byte 0
    for row in range(rows):
        if bits is None or bits[row >> 3] >> (row & 7) & 1:
            yield str(values[offsets[row] : offsets[row + 1]], "utf-8")
        else:
            yield None


def encode(texts: Iterable[str | None], rows: int) -> Column:
    """Encodes strings and Nones as a text column. A null has no bytes, and its validity bit is 0."""
    validity, offsets, values = bytearray((rows + 7) // 8), array("I", [0]), bytearray()
    for row, text in enumerate(texts):
        if text is not None:
            validity[row >> 3] |= 1 << (row & 7)
            values += text.encode()
        offsets.append(len(values))
    return Column(bytes(validity), offsets.tobytes(), bytes(values))
