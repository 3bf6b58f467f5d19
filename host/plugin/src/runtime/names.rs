//! Checks the names of streams and columns: the warehouse, a pipeline and the host must be able to use them.

use std::collections::HashSet;

use host_core::error::{Error, Result};
use host_core::schema::{EXTRACTED_AT, LOAD_ID, UNFIT};
use host_core::secret::is_secret;

use super::text::sanitize_line;

/// Characters of a name.
const NAME_CHARS: usize = 200;
/// The suffix of tables that the host stages.
const STAGED: &str = "__next";

/// Checks the name of a stream: it is `source.stream` in pipelines, and the name of a table.
pub(super) fn check_stream_name(name: &str) -> Result<()> {
    let is_allowed = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '-';
    if !name.is_empty()
        && name.chars().count() <= NAME_CHARS
        && name.chars().all(is_allowed)
        && !name.to_lowercase().contains(STAGED)
    {
        return check_no_secret("stream", name);
    }
    let error = Error::plugin(format!("`{}` is not a valid stream name", shown(name)));
    Err(error
        .hint(format!("a name has 1 to {NAME_CHARS} letters, digits, `_` and `-`, and does not contain `{STAGED}`")))
}

/// Checks the names of all streams of a source. They must differ in more than case, which the warehouse ignores.
pub(super) fn check_stream_names<'a>(names: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut known = HashSet::new();
    for name in names {
        check_stream_name(name)?;
        if !known.insert(name.to_lowercase()) {
            return Err(duplicate("stream", name));
        }
    }
    Ok(())
}

/// Checks that the names of columns differ in more than case. The warehouse ignores the case of ASCII letters.
pub(super) fn check_distinct<'a>(what: &str, mut names: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut known = HashSet::new();
    let mut is_known = |name: &&str| !known.insert(name.to_ascii_lowercase());
    names.find(|name| is_known(name)).map_or(Ok(()), |name| Err(duplicate(what, name)))
}

fn duplicate(what: &str, name: &str) -> Error {
    let error = Error::plugin(format!("duplicate {what} `{}`", shown(name)));
    error.hint("the warehouse ignores case: names must differ in more than case")
}

/// Checks the name of a column, which may be in any language.
pub(super) fn check_column_name(name: &str) -> Result<()> {
    if !name.is_empty() && name.chars().count() <= NAME_CHARS && !name.chars().any(char::is_control) {
        return check_no_secret("column", name);
    }
    let error = Error::plugin(format!("`{}` is not a valid column name", shown(name)));
    Err(error.hint(format!("a name has 1 to {NAME_CHARS} characters, none of them a control character")))
}

/// Refuses a name that repeats a secret: names are in every table, page and log.
fn check_no_secret(what: &str, name: &str) -> Result<()> {
    if !is_secret(name) {
        return Ok(());
    }
    // The message shows `***` in its place.
    let error = Error::plugin(format!("the name of the {what} `{}` repeats a secret", shown(name)));
    Err(error.hint("the source returned a token of the pipeline as a name"))
}

/// Whether a column's name is reserved for the host.
pub(super) fn is_reserved(column: &str) -> bool {
    let lower = column.to_lowercase();
    lower.starts_with("_host") || [UNFIT, LOAD_ID, EXTRACTED_AT].contains(&lower.as_str())
}

/// A name as messages show it.
pub(super) fn shown(name: &str) -> String {
    sanitize_line(name, NAME_CHARS)
}

#[cfg(test)]
mod tests {
    use super::{check_column_name, check_stream_name};

    #[test]
    fn names_are_checked() {
        for valid in ["contacts", "p123_patients", "deals-2026", "clínicas", "_next"] {
            assert!(check_stream_name(valid).is_ok(), "{valid}");
        }
        let long = "x".repeat(201);
        for invalid in
            ["", ".", "a.b", "a b", "a\"b", "a`b", "a'b", "a\u{1b}[2J", "a\nb", "a__next", "A__NEXT_0", &long]
        {
            let error = check_stream_name(invalid).expect_err(invalid);
            assert!(!error.message().contains(char::is_control) && error.hint_text().is_some(), "{error}");
        }
        for valid in ["Gasto \"total\" (R$)", "a.b", "_id"] {
            assert!(check_column_name(valid).is_ok(), "{valid}");
        }
        for invalid in ["", "a\u{1b}[2J", &long] {
            assert!(check_column_name(invalid).is_err(), "{invalid}");
        }
    }
}
