//! Rule: a column's spellings → canonical values, by a map file. A spelling that the map does not have stays, and is
//! reported.

use std::collections::HashMap;

use plugin_sdk::files;
use plugin_sdk::prelude::*;

/// Settings of the rule.
#[derive(Debug, Deserialize, JsonSchema)]
struct Config {
    /// The column to clean.
    column: String,
}

/// The granted file: CSV with the columns `raw` and `canonical`.
const MAP: &str = "map";

#[derive(Debug, Deserialize)]
struct Line {
    raw: String,
    canonical: String,
}

struct Canonicalize {
    column: TextColumn,
    name: String,
    /// By folded spelling.
    map: HashMap<String, String>,
}

impl Rule for Canonicalize {
    type Config = Config;

    fn needs() -> Vec<Need> {
        vec![Need::file(MAP, false)]
    }

    fn open(config: Config, input: &Schema) -> Result<Self> {
        let column = input.text(&config.column)?;
        Ok(Self { column, name: config.column, map: parse(&files::read_text(MAP)?)? })
    }

    fn plan(&self) -> Plan {
        Plan::row().reads(self.column).sets(self.column)
    }

    fn apply(&mut self, rows: &Rows<'_>, patch: &mut Patch) -> Result<()> {
        let mut built = TextBuilder::new();
        for (row, value) in rows.column(self.column)?.iter().enumerate() {
            let canonical = value.and_then(|value| self.map.get(&fold(value)));
            if let (Some(value), None) = (value, canonical) {
                patch.note(row, Some(&self.name), "unknown_value", format!("`{value}` is not in the map"));
            }
            built.push(canonical.map(String::as_str).or(value));
        }
        patch.set(self.column, built);
        Ok(())
    }
}

/// Case and outer spaces do not tell spellings apart.
fn fold(value: &str) -> String {
    value.trim().to_lowercase()
}

/// The map by folded spelling; canonical values stand for themselves.
fn parse(text: &str) -> Result<HashMap<String, String>> {
    let mut map: HashMap<String, String> = HashMap::new();
    let mut lines = Vec::new();
    for (index, line) in csv::Reader::from_reader(text.as_bytes()).deserialize().enumerate() {
        let line: Line = line.map_err(|cause| Error::config(format!("file `{MAP}`: line {}: {cause}", index + 2)))?;
        lines.push(line);
    }
    let own = lines.iter().map(|line| (fold(&line.canonical), line.canonical.clone()));
    map.extend(own.collect::<Vec<_>>());
    for (index, Line { raw, canonical }) in lines.into_iter().enumerate() {
        let known = map.insert(fold(&raw), canonical.clone());
        if let Some(known) = known.filter(|known| *known != canonical) {
            let line = index + 2;
            return Err(Error::config(format!(
                "file `{MAP}`: line {line}: `{raw}` is `{canonical}` here, `{known}` elsewhere"
            )));
        }
    }
    Ok(map)
}

export_rule!(Canonicalize);

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn spellings_fold() {
        let map = parse("raw,canonical\nNeuro,Neurologia\n").expect("a map");
        assert_eq!(map.get("neuro").map(String::as_str), Some("Neurologia"));
        assert_eq!(map.get("neurologia").map(String::as_str), Some("Neurologia"));
    }

    #[test]
    fn contradictions_are_refused() {
        let error = parse("raw,canonical\nNeuro,Neurologia\nNEURO,Psiquiatria\n").expect_err("a contradiction");
        assert!(error.message.contains("line 3"), "{}", error.message);
        assert!(parse("raw,canonical\na,b\nb,a\n").is_err(), "a circle");
    }
}
