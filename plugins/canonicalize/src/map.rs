//! The map from spellings to canonical values, read from a granted CSV file.

use std::collections::HashMap;

use plugin_sdk::prelude::*;
use plugin_sdk::text::fold;

use crate::similarity::similarity;

/// If two canonical values are similar to a spelling and their similarities differ by less than this, neither is chosen.
const MARGIN: f64 = 0.05;

#[derive(Debug, Deserialize)]
struct Line {
    raw: String,
    canonical: String,
}

/// The result of looking up a spelling.
#[derive(Debug, Clone)]
pub(crate) enum Lookup {
    /// The map has the spelling: its canonical value.
    InMap(String),
    /// The spelling is similar to one of this canonical value: the similarity.
    Similar(String, f64),
    /// The spelling is about as similar to two canonical values.
    Ambiguous(String, String),
    /// The spelling is similar to none.
    Unknown,
}

/// Canonical values by folded spelling.
#[derive(Debug)]
pub(crate) struct SpellingMap {
    spellings: HashMap<String, String>,
}

impl SpellingMap {
    /// Parses the CSV. Canonical values are spellings of themselves. `file` is the name of the file in errors.
    pub(crate) fn parse(text: &str, file: &str) -> Result<Self> {
        let mut lines: Vec<(usize, Line)> = Vec::new();
        for (index, line) in csv::Reader::from_reader(text.as_bytes()).deserialize().enumerate() {
            let number = index + 2;
            let line: Line = line.map_err(|cause| Error::config(format!("file `{file}`: line {number}: {cause}")))?;
            lines.push((number, line));
        }
        let mut spellings: HashMap<String, (String, usize)> = HashMap::new();
        for (number, Line { raw, canonical }) in &lines {
            let known = spellings.insert(fold(raw), (canonical.clone(), *number));
            if let Some((other, at)) = known.filter(|(known, _)| known != canonical) {
                let error = Error::config(format!(
                    "file `{file}`: line {number}: `{raw}` maps to `{canonical}`, but line {at} maps it to `{other}`"
                ));
                return Err(error.hint("remove one of the lines; case, accents and spaces are ignored in spellings"));
            }
        }
        for (number, Line { raw, canonical }) in &lines {
            if let Some((next, at)) = spellings.get(&fold(canonical)).filter(|(next, _)| next != canonical) {
                let error = Error::config(format!(
                    "file `{file}`: line {number}: `{raw}` maps to `{canonical}`, but line {at} maps `{canonical}` to \
                     `{next}`"
                ));
                return Err(error.hint("map each spelling directly to its final value"));
            }
        }
        let canonical = lines.iter().map(|(_, line)| (fold(&line.canonical), line.canonical.clone()));
        let mut all: HashMap<String, String> = canonical.collect();
        all.extend(spellings.into_iter().map(|(raw, (canonical, _))| (raw, canonical)));
        Ok(Self { spellings: all })
    }

    /// Looks a spelling up. Without a threshold, only spellings in the map are found.
    pub(crate) fn find(&self, value: &str, threshold: Option<f64>) -> Lookup {
        let folded = fold(value);
        if let Some(canonical) = self.spellings.get(&folded) {
            return Lookup::InMap(canonical.clone());
        }
        let Some(threshold) = threshold else { return Lookup::Unknown };
        let mut best: HashMap<&str, f64> = HashMap::new();
        for (spelling, canonical) in &self.spellings {
            let similarity = similarity(&folded, spelling);
            let known = best.entry(canonical).or_default();
            *known = known.max(similarity);
        }
        let mut best: Vec<_> = best.into_iter().filter(|(_, similarity)| *similarity >= threshold).collect();
        best.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
        match best.as_slice() {
            [] => Lookup::Unknown,
            [(first, similarity), (second, next), ..] if similarity - next < MARGIN => {
                Lookup::Ambiguous((*first).to_owned(), (*second).to_owned())
            }
            [(canonical, similarity), ..] => Lookup::Similar((*canonical).to_owned(), *similarity),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SpellingMap;

    fn check_refused(text: &str, why: &str) {
        let error = SpellingMap::parse(text, "map").expect_err("an invalid map");
        assert!(error.message.contains(why), "{}", error.message);
        assert!(error.hint.is_some() || why == "line 2", "{} has a hint", error.message);
    }

    #[test]
    fn contradictions_and_chains_are_refused() {
        check_refused(
            "raw,canonical\nNeuro,Neurologia\nNEURO,Psiquiatria\n",
            "line 3: `NEURO` maps to `Psiquiatria`, but line 2 maps it to `Neurologia`",
        );
        check_refused("raw,canonical\na,b\nb,a\n", "line 2: `a` maps to `b`, but line 3 maps `b` to `a`");
        check_refused("raw,canonical\na,b\nb,c\n", "maps `b` to `c`");
        check_refused("raw\na\n", "line 2");
    }

    #[test]
    fn a_repeated_line_is_accepted() {
        SpellingMap::parse("raw,canonical\nNeuro,Neurologia\nneuro,Neurologia\n", "map").expect("a valid map");
    }
}
