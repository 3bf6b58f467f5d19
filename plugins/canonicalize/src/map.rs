//! The map: spellings → canonical values, from a granted CSV file; what it does not have is looked up by likeness.

use std::collections::HashMap;

use plugin_sdk::prelude::*;
use plugin_sdk::text::fold;

use crate::likeness::likeness;

/// Two canonical values nearer to each other than this leave a spelling undecided.
const MARGIN: f64 = 0.05;

#[derive(Debug, Deserialize)]
struct Line {
    raw: String,
    canonical: String,
}

/// What the map makes of a spelling.
#[derive(Debug, Clone)]
pub(crate) enum Found {
    /// The map has it.
    Known(String),
    /// It is so like a spelling of this canonical value, and of no other.
    Alike(String, f64),
    /// It is like spellings of two.
    Between(String, String),
    /// It is like none.
    Unknown,
}

/// Canonical values by folded spelling.
#[derive(Debug)]
pub(crate) struct Map {
    spellings: HashMap<String, String>,
}

impl Map {
    /// Reads the map; canonical values stand for themselves. `file` is how errors call it.
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
                    "file `{file}`: line {number}: `{raw}` is `{canonical}` here, `{other}` in line {at}"
                ));
                return Err(error.hint("keep one of the lines; case, accents and spaces make no other spelling"));
            }
        }
        for (number, Line { raw, canonical }) in &lines {
            if let Some((further, at)) = spellings.get(&fold(canonical)).filter(|(further, _)| further != canonical) {
                let error = Error::config(format!(
                    "file `{file}`: line {number}: `{raw}` leads to `{canonical}`, which line {at} leads on to `{further}`"
                ));
                return Err(error.hint("each spelling leads to the value that is meant, in one step"));
            }
        }
        let own = lines.iter().map(|(_, line)| (fold(&line.canonical), line.canonical.clone()));
        let mut all: HashMap<String, String> = own.collect();
        all.extend(spellings.into_iter().map(|(raw, (canonical, _))| (raw, canonical)));
        Ok(Self { spellings: all })
    }

    /// Looks a spelling up; without a threshold only those that the map has are found.
    pub(crate) fn find(&self, value: &str, threshold: Option<f64>) -> Found {
        let folded = fold(value);
        if let Some(canonical) = self.spellings.get(&folded) {
            return Found::Known(canonical.clone());
        }
        let Some(threshold) = threshold else { return Found::Unknown };
        let mut best: HashMap<&str, f64> = HashMap::new();
        for (spelling, canonical) in &self.spellings {
            let alike = likeness(&folded, spelling);
            let known = best.entry(canonical).or_default();
            *known = known.max(alike);
        }
        let mut best: Vec<_> = best.into_iter().filter(|(_, alike)| *alike >= threshold).collect();
        best.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
        match best.as_slice() {
            [] => Found::Unknown,
            [(first, likeness), (second, next), ..] if likeness - next < MARGIN => {
                Found::Between((*first).to_owned(), (*second).to_owned())
            }
            [(canonical, likeness), ..] => Found::Alike((*canonical).to_owned(), *likeness),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Map;

    fn refused(text: &str, why: &str) {
        let error = Map::parse(text, "map").expect_err("a bad map");
        assert!(error.message.contains(why), "{}", error.message);
        assert!(error.hint.is_some() || why == "line 2", "{} has a hint", error.message);
    }

    #[test]
    fn contradictions_and_circles_are_refused() {
        refused(
            "raw,canonical\nNeuro,Neurologia\nNEURO,Psiquiatria\n",
            "line 3: `NEURO` is `Psiquiatria` here, `Neurologia` in line 2",
        );
        refused("raw,canonical\na,b\nb,a\n", "line 2: `a` leads to `b`, which line 3 leads on to `a`");
        refused("raw,canonical\na,b\nb,c\n", "leads on to `c`");
        refused("raw\na\n", "line 2");
        Map::parse("raw,canonical\nNeuro,Neurologia\nneuro,Neurologia\n", "map").expect("twice the same is no harm");
    }
}
