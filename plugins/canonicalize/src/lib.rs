//! Rule: a column's spellings → canonical values, by a map file and, above a threshold, by likeness. A spelling that is
//! not found stays, and is reported; one that was found by likeness is reported too.

mod likeness;
mod map;

use std::collections::HashMap;

use plugin_sdk::files;
use plugin_sdk::prelude::*;

use map::{Found, Map};

/// Settings of the rule.
#[derive(Debug, Deserialize, JsonSchema)]
struct Config {
    /// The column to clean.
    column: String,
    /// How like a spelling of the map another must be to count as it, from 0.5 to 1; 0.85 is a letter or two of ten.
    /// Without it only the map's own spellings are found.
    #[schemars(range(min = 0.5, max = 1.0))]
    threshold: Option<f64>,
}

/// The granted file: CSV with the columns `raw` and `canonical`.
const MAP: &str = "map";

struct Canonicalize {
    column: TextColumn,
    name: String,
    map: Map,
    threshold: Option<f64>,
    /// Spellings looked up so far: a column has few.
    found: HashMap<String, Verdict>,
}

/// What becomes of a spelling.
struct Verdict {
    canonical: String,
    remark: Option<Remark>,
}

/// A note's code, message and confidence.
type Remark = (&'static str, String, Option<f64>);

impl Verdict {
    fn of(value: &str, found: Found) -> Self {
        let (canonical, remark) = match found {
            Found::Known(canonical) => (canonical, None),
            Found::Alike(canonical, likeness) => {
                let message = format!("`{value}` is taken for `{canonical}`");
                (canonical, Some(("alike", message, Some(likeness))))
            }
            Found::Between(first, second) => {
                let message = format!("`{value}` is like `{first}` and like `{second}`: add it to the map");
                (value.to_owned(), Some(("ambiguous", message, None)))
            }
            Found::Unknown => (value.to_owned(), Some(("unknown_value", format!("`{value}` is not in the map"), None))),
        };
        Self { canonical, remark }
    }
}

impl Rule for Canonicalize {
    type Config = Config;

    fn needs() -> Vec<Need> {
        vec![Need::file(MAP, false)]
    }

    fn open(config: Config, input: &Schema) -> Result<Self> {
        let Config { column: name, threshold } = config;
        let map = Map::parse(&files::read_text(MAP)?, MAP)?;
        Ok(Self { column: input.text(&name)?, name, map, threshold, found: HashMap::new() })
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
            let verdict = match self.found.get(value) {
                Some(verdict) => verdict,
                None => {
                    let verdict = Verdict::of(value, self.map.find(value, self.threshold));
                    self.found.entry(value.to_owned()).or_insert(verdict)
                }
            };
            if let Some((code, message, confidence)) = &verdict.remark {
                let name = Some(self.name.as_str());
                match confidence {
                    Some(sure) => patch.note_with_confidence(row, name, code, message.as_str(), *sure),
                    None => patch.note(row, name, code, message.as_str()),
                }
            }
            built.push(Some(&verdict.canonical));
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
        let outcome = trial.run(config, json!([{ "specialty": value }, { "specialty": null }])).expect("a rule");
        assert_eq!(outcome.column("specialty"), json!([expected, null]), "{value}");
        assert_eq!(outcome.noted(), noted, "{value}");
    }

    #[test]
    fn spellings_are_found() {
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
