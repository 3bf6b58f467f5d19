//! Checks the keys of rows. Rows are merged on them, so a row without a key could replace another one.

use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, RecordBatch};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use host_core::error::{Error, Result};
use host_core::schema::UNFIT;

use super::text::sanitize_line;

/// The most characters of a value in a message.
const VALUE_CHARS: usize = 100;

/// Fails if rows lack a key column, or on the first row without a value in one.
pub(super) fn check(rows: &RecordBatch, primary_key: &[String]) -> Result<()> {
    for name in primary_key {
        let missing = || Error::plugin(format!("the rows have no column `{name}`, which is a primary key"));
        let column = rows.column_by_name(name).ok_or_else(missing)?;
        if column.null_count() == 0 {
            continue;
        }
        if let Some(row) = (0..rows.num_rows()).find(|row| column.is_null(*row)) {
            return Err(without_key(rows, primary_key, name, row));
        }
    }
    Ok(())
}

/// The error of a row without a key. It names the row by its position, its other key columns, and a value that did not fit.
/// Other columns may be personal data.
fn without_key(rows: &RecordBatch, primary_key: &[String], name: &str, row: usize) -> Error {
    let text = |name: &String| {
        let column = rows.column_by_name(name).filter(|column| column.is_valid(row))?;
        let text = ArrayFormatter::try_new(column, &FormatOptions::default()).ok()?.value(row).to_string();
        Some(format!("`{name}` is `{}`", sanitize_line(text, VALUE_CHARS)))
    };
    let others: Vec<_> = primary_key.iter().filter_map(text).collect();
    let others = if others.is_empty() { String::new() } else { format!(" ({})", others.join(", ")) };
    let error = Error::data(format!("row {}{others} has no value in its primary key `{name}`", row + 1));
    let unfit = rows.column_by_name(UNFIT).and_then(|column| column.as_string_opt::<i32>());
    let unfit = unfit.filter(|unfit| unfit.is_valid(row)).and_then(|unfit| unfit_value(unfit.value(row), name));
    error.hint(match unfit {
        Some(value) => format!("the value `{}` does not fit the type of the column", sanitize_line(value, VALUE_CHARS)),
        None => "each record needs a value in every column of the primary key: correct it in the source".to_owned(),
    })
}

/// The value of a column that did not fit, in the JSON of such values.
fn unfit_value(json: &str, name: &str) -> Option<String> {
    let values: serde_json::Value = serde_json::from_str(json).ok()?;
    values.get(name)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};

    use super::check;

    fn rows(ids: Vec<Option<i64>>, kinds: Vec<Option<&str>>) -> RecordBatch {
        let unfit = ids.iter().map(|id| id.is_none().then_some(r#"{"id":"x7"}"#)).collect::<StringArray>();
        let (ids, kinds): (ArrayRef, ArrayRef) = (Arc::new(Int64Array::from(ids)), Arc::new(StringArray::from(kinds)));
        let columns = [("id", ids, true), ("kind", kinds, true), ("_unfit", Arc::new(unfit) as ArrayRef, true)];
        RecordBatch::try_from_iter_with_nullable(columns).expect("rows")
    }

    #[test]
    fn a_row_without_a_key_is_named() {
        let key = ["id".to_owned(), "kind".to_owned()];
        assert!(check(&rows(vec![Some(1), Some(2)], vec![Some("a"), Some("")]), &key).is_ok());
        let error = check(&rows(vec![Some(1), None], vec![Some("a"), Some("b\n")]), &key).expect_err("no id");
        assert_eq!(error.message(), "row 2 (`kind` is `b `) has no value in its primary key `id`");
        assert_eq!(error.hint_text().as_deref(), Some("the value `x7` does not fit the type of the column"));
        let error = check(&rows(vec![Some(1)], vec![None]), &key).expect_err("no kind");
        assert_eq!(error.message(), "row 1 (`id` is `1`) has no value in its primary key `kind`");
        assert!(check(&rows(vec![], vec![]), &["other".to_owned()]).is_err());
    }
}
