//! Lowercases and trims one text column, such as an e-mail address: examples/minimal-rule in JavaScript.

const CONFIG_SCHEMA = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  properties: { column: { type: "string", description: "The text column to clean." } },
  required: ["column"],
  additionalProperties: false, // a misspelled key in the pipeline is an error
};

/** Cleans one value; returning null makes it null. */
const clean = (text) => text.trim().toLowerCase();

/** Yields the cleaned values one at a time: the engine's heap cannot hold a million strings at once. */
function* cleaned({ columns: [column], rows }) {
  for (const text of decode(column, rows)) yield text === null ? null : clean(text);
}

/** Cleans one stream. The host calls `plan` once, `apply` for each batch, then `finish` until it returns nothing. */
class Cleaner {
  constructor(input, field) {
    this.input = input;
    this.field = field;
  }

  /** The component receives only the columns in `reads`, in this order. */
  plan() {
    return { scope: "row", reads: [{ input: this.input, columns: [this.field.name] }], sets: [this.field] };
  }

  apply(_input, rows) {
    const column = encode(cleaned(rows), rows.rows);
    return { set: [[this.field.name, column]], rejects: [], notes: [] };
  }

  /** For rules of table scope. This one returns all changes from `apply`. */
  finish() {}
}

/** The component's export: the contract's interface `rule`. */
export const rule = {
  Cleaner,
  describe: () => ({
    name: "javascript-rule",
    version: "0.1.0",
    configSchema: JSON.stringify(CONFIG_SCHEMA),
    needs: [],
    hints: [],
  }),
  open(config, [{ name, schema }]) {
    const { column } = JSON.parse(config); // the host has validated it against the schema
    return new Cleaner(name, textField(schema, column));
  },
};

/** Finds a text field by name. A thrown object that is not an `Error` becomes the contract's error. */
function textField({ fields }, name) {
  const field = fields.find((field) => field.name === name);
  if (field?.format === "u") return field;
  const near = nearest(name, fields.filter((field) => field.format === "u").map((field) => field.name));
  throw {
    kind: "config", // the user has to fix the pipeline
    code: "config",
    message: field ? `column \`${name}\` is \`${field.format}\`, expected text (\`u\`)` : `unknown column \`${name}\``,
    detailsJson: JSON.stringify({ hint: `nearest text columns: ${near.join(", ") || "none"}` }),
  };
}

/** The three names that share the most letter pairs with this one. */
function nearest(name, known) {
  const pairs = Array.from(name, (_, i) => name.slice(i, i + 2));
  const shared = (other) => pairs.filter((pair) => other.includes(pair)).length;
  const sorted = known.sort((a, b) => shared(b) - shared(a));
  return sorted.slice(0, 3).map((other) => `\`${other}\``);
}

/** Decodes a text column into strings and nulls: value `i` is `values[offsets[i]..offsets[i + 1]]`. */
function* decode({ validity, offsets, values }, rows) {
  const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
  const ends = new DataView(offsets.buffer, offsets.byteOffset, offsets.byteLength);
  const offset = (row) => ends.getUint32(row * 4, true); // little-endian
  for (let row = 0; row < rows; row++) {
    const isNull = validity && !((validity[row >> 3] >> (row & 7)) & 1); // row 0 is the lowest bit of byte 0
    yield isNull ? null : utf8.decode(values.subarray(offset(row), offset(row + 1)));
  }
}

/** Encodes strings and nulls as a text column. A null has no bytes, and its validity bit is 0. */
function encode(texts, rows) {
  const utf8 = new TextEncoder();
  const validity = new Uint8Array(Math.ceil(rows / 8));
  const offsets = new DataView(new ArrayBuffer((rows + 1) * 4));
  let values = new Uint8Array(1024);
  let [row, end] = [0, 0];
  for (const text of texts) {
    if (text !== null) {
      validity[row >> 3] |= 1 << (row & 7);
      const needed = end + text.length * 3; // UTF-8 needs at most three bytes for a UTF-16 unit
      if (needed > values.length) {
        const grown = new Uint8Array(needed * 2);
        grown.set(values);
        values = grown;
      }
      end += utf8.encodeInto(text, values.subarray(end)).written;
    }
    offsets.setUint32(++row * 4, end, true);
  }
  return { validity, offsets: new Uint8Array(offsets.buffer), values: values.subarray(0, end) };
}
