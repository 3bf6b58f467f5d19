//! Names that plugins give to streams and columns: refused where the warehouse, a pipeline or the host could not use them.

use super::state::plain;
use crate::error::{Error, Result};
use crate::schema::{EXTRACTED_AT, LOAD_ID, UNFIT};

/// Characters of a name.
const NAME: usize = 200;
/// How tables end that the host builds aside.
const ASIDE: &str = "__next";

/// A stream is `source.stream` in pipelines, and a table.
pub(super) fn check_stream(name: &str) -> Result<()> {
    let is_fine = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '-';
    if !name.is_empty()
        && name.chars().count() <= NAME
        && name.chars().all(is_fine)
        && !name.to_lowercase().contains(ASIDE)
    {
        return Ok(());
    }
    let error = Error::plugin(format!("`{}` is no name of a stream", shown(name)));
    Err(error.hint(format!("letters, digits, `_` and `-` are allowed, {NAME} at most, without `{ASIDE}`")))
}

/// Names of streams, each once. The warehouse takes no notice of their case.
pub(super) fn check_streams<'a>(names: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut known = std::collections::HashSet::new();
    for name in names {
        check_stream(name)?;
        if !known.insert(name.to_lowercase()) {
            let error = Error::plugin(format!("the stream `{name}` is there twice"));
            return Err(error.hint("names that differ in their case alone are one to the warehouse"));
        }
    }
    Ok(())
}

/// A column may be named in any language.
pub(super) fn check_column(name: &str) -> Result<()> {
    if !name.is_empty() && name.chars().count() <= NAME && !name.chars().any(char::is_control) {
        return Ok(());
    }
    let error = Error::plugin(format!("`{}` is no name of a column", shown(name)));
    Err(error.hint(format!("a name has from 1 to {NAME} characters, none of them a control character")))
}

/// Whether the host writes a column of this name itself.
pub(super) fn is_hosts_own(name: &str) -> bool {
    let lower = name.to_lowercase();
    lower.starts_with("_host") || [UNFIT, LOAD_ID, EXTRACTED_AT].contains(&lower.as_str())
}

/// A name as messages show it.
pub(super) fn shown(name: &str) -> String {
    plain(name, NAME).replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::{check_column, check_stream};

    #[test]
    fn names_are_checked() {
        for fine in ["contacts", "p123_patients", "deals-2026", "clínicas", "_next"] {
            assert!(check_stream(fine).is_ok(), "{fine}");
        }
        let long = "x".repeat(201);
        for bad in ["", ".", "a.b", "a b", "a\"b", "a`b", "a'b", "a\u{1b}[2J", "a\nb", "a__next", "A__NEXT_0", &long] {
            let error = check_stream(bad).expect_err(bad);
            assert!(!error.message.contains(char::is_control) && error.hint.is_some(), "{error}");
        }
        for fine in ["Gasto \"total\" (R$)", "a.b", "_id"] {
            assert!(check_column(fine).is_ok(), "{fine}");
        }
        for bad in ["", "a\u{1b}[2J", &long] {
            assert!(check_column(bad).is_err(), "{bad}");
        }
    }
}
