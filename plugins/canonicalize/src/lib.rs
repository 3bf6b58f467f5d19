//! Rule: replaces the spellings of a column by canonical values, by a map file and, above a threshold, by similarity.
//! Values that are not in the map get a note.

mod map;
mod similarity;

use std::collections::HashMap;

use plugin_sdk::files;
use plugin_sdk::prelude::*;

use map::{Lookup, SpellingMap};

/// Settings of the rule.
#[derive(Debug, Deserialize, JsonSchema)]
struct Config {
    /// The column to clean.
    column: String,
    /// How similar a value must be to a spelling of the map to count as that spelling, from 0.5 to 1. With 0.85, one or
    /// two of ten letters may differ. Without it, only spellings in the map are replaced.
    #[schemars(range(min = 0.5, max = 1.0))]
    threshold: Option<f64>,
}

/// The name of the granted file: a CSV with the columns `raw` and `canonical`.
const MAP: &str = "map";

struct Canonicalize {
    column: TextColumn,
    name: String,
    map: SpellingMap,
    threshold: Option<f64>,
    /// The values looked up so far: a column has few different ones.
    cache: HashMap<String, Replacement>,
}

/// The new value for a spelling, and the note on it.
struct Replacement {
    value: String,
    note: Option<ValueNote>,
}

/// The note on a value.
struct ValueNote {
    code: &'static str,
    message: String,
    confidence: Option<f64>,
}

impl Replacement {
    fn new(value: &str, lookup: Lookup) -> Self {
        let unchanged =
            |code, message| Self { value: value.to_owned(), note: Some(ValueNote { code, message, confidence: None }) };
        match lookup {
            Lookup::InMap(canonical) => Self { value: canonical, note: None },
            Lookup::Similar(canonical, similarity) => {
                let message = format!("`{value}` was replaced by `{canonical}`, which is spelled similarly");
                Self {
                    value: canonical,
                    note: Some(ValueNote { code: "alike", message, confidence: Some(similarity) }),
                }
            }
            Lookup::Ambiguous(first, second) => unchanged(
                "ambiguous",
                format!("`{value}` is similar to both `{first}` and `{second}`: not changed; add it to the map"),
            ),
            Lookup::Unknown => unchanged("unknown_value", format!("`{value}` is not in the map: not changed")),
        }
    }
}

impl Rule for Canonicalize {
    type Config = Config;

    fn needs() -> Vec<Need> {
        vec![Need::file(MAP, false)]
    }

    fn open(config: Config, input: &Schema) -> Result<Self> {
        let Config { column: name, threshold } = config;
        let map = SpellingMap::parse(&files::read_text(MAP)?, MAP)?;
        Ok(Self { column: input.text(&name)?, name, map, threshold, cache: HashMap::new() })
    }

    fn plan(&self) -> Plan {
        Plan::row().reads(self.column).sets(self.column)
    }

    fn apply(&mut self, rows: &Rows<'_>, patch: &mut Patch) -> Result<()> {
        let mut built = TextBuilder::with_capacity(rows.len());
        for (row, value) in rows.column(self.column)?.iter().enumerate() {
            let Some(value) = value.filter(|value| !value.trim().is_empty()) else {
                built.push(value);
                continue;
            };
            let replacement = match self.cache.get(value) {
                Some(replacement) => replacement,
                None => {
                    let replacement = Replacement::new(value, self.map.find(value, self.threshold));
                    self.cache.entry(value.to_owned()).or_insert(replacement)
                }
            };
            if let Some(ValueNote { code, message, confidence }) = &replacement.note {
                let name = Some(self.name.as_str());
                match confidence {
                    Some(confidence) => patch.note_with_confidence(row, name, code, message.as_str(), *confidence),
                    None => patch.note(row, name, code, message.as_str()),
                }
            }
            built.push(Some(&replacement.value));
        }
        patch.set(self.column, built);
        Ok(())
    }
}

export_rule!(Canonicalize);

#[cfg(test)]
mod tests {
    use plugin_sdk::prelude::*;
    use plugin_sdk::testing::{Trial, Value, json};

    const MAP: &str = "raw,canonical\nNeuro,Neurologia\nNefrologia,Nefrologia\nPsiq,Psiquiatria\n";

    fn check(config: Value, value: &str, expected: &str, noted: &[(usize, &str)]) {
        let companies = Schema::new(vec![Field::text("id"), Field::text("specialty")], &["id"]);
        let trial = Trial::new(super::component(), companies).file("map", MAP);
        let output = trial.run(config, json!([{ "specialty": value }, { "specialty": null }])).expect("a valid config");
        assert_eq!(output.column("specialty"), json!([expected, null]), "{value}");
        assert_eq!(output.noted(), noted, "{value}");
    }

    #[test]
    fn spellings_are_replaced_by_canonical_values() {
        let config = || json!({ "column": "specialty", "threshold": 0.8 });
        check(config(), "NEURO", "Neurologia", &[]);
        check(config(), " neurología ", "Neurologia", &[]);
        check(config(), "Neurollogia", "Neurologia", &[(0, "alike")]);
        check(config(), "Nefrollogia", "Nefrologia", &[(0, "alike")]);
        check(config(), "Nerologia", "Nerologia", &[(0, "ambiguous")]);
        check(config(), "Odontologia", "Odontologia", &[(0, "unknown_value")]);
        check(config(), "  ", "  ", &[]);
        check(json!({ "column": "specialty" }), "Neurollogia", "Neurollogia", &[(0, "unknown_value")]);
    }
}
