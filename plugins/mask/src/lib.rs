//! Rule: hashes, shortens or removes personal data before it reaches clean tables. The rule writes no value of a masked
//! column into a note or an error.

mod hash;
mod partial;
mod redact;
mod unfit_column;
mod year;

use std::collections::BTreeMap;

use plugin_sdk::column::AnyColumn;
use plugin_sdk::prelude::*;

use hash::SaltedHasher;
use redact::RedactedColumn;
use unfit_column::UnfitColumn;

/// Settings of the rule.
// No `Debug`, since it holds the salt.
#[derive(Deserialize, JsonSchema)]
struct Config {
    /// The columns to mask, each with a method.
    columns: BTreeMap<String, Method>,
    /// The key of the hashes, with at least 16 characters. Keep it out of the pipeline: write `${MASK_SALT}`.
    // The schema has no minimum length, since the error about a short salt would show the salt.
    salt: Option<String>,
    /// Whether texts that differ only in case and in spaces at the start and end get the same hash.
    #[serde(default = "yes")]
    fold: bool,
}

/// How a column is masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Method {
    /// Set the column to null. For columns of every type.
    Redact,
    /// Replace the value by a salted hash, which is the same for the same text. For text columns.
    Hash,
    /// Keep the domain of an e-mail address, or the last four letters or digits. For text columns.
    Partial,
    /// Replace the value by the first day of its year. For dates, timestamps, and text that starts with an ISO date.
    Year,
}

fn yes() -> bool {
    true
}

struct Mask {
    columns: Vec<MaskedColumn>,
    /// Where the host keeps values that did not fit a masked column.
    unfit: Option<UnfitColumn>,
}

struct MaskedColumn {
    name: String,
    masking: Masking,
}

/// A method with the column that it masks.
enum Masking {
    Redact(RedactedColumn),
    Hash(TextColumn, Box<SaltedHasher>),
    Partial(TextColumn),
    YearOfText(TextColumn),
    YearOfDate(Column<Date>),
    YearOfTimestamp(Column<Timestamp>),
}

impl Rule for Mask {
    type Config = Config;

    fn open(config: Config, input: &Schema) -> Result<Self> {
        let Config { columns, salt, fold } = config;
        if columns.is_empty() {
            return Err(Error::config("`columns` is empty"));
        }
        let unfit = UnfitColumn::find(input, columns.keys());
        let masked = |(name, method): (String, Method)| {
            let masking = match method {
                Method::Redact => Masking::Redact(RedactedColumn::find(input, &name)?),
                Method::Hash => Masking::Hash(input.text(&name)?, Box::new(SaltedHasher::new(salt.as_deref(), fold)?)),
                Method::Partial => Masking::Partial(input.text(&name)?),
                Method::Year => match input.data_type(&name)? {
                    Type::Text | Type::Json => Masking::YearOfText(input.text(&name)?),
                    Type::Date => Masking::YearOfDate(input.column(&name)?),
                    Type::Timestamp => Masking::YearOfTimestamp(input.column(&name)?),
                    found => {
                        let message = format!("column `{name}` is of type {found}: expected date, timestamp or text");
                        return Err(Error::config(message));
                    }
                },
            };
            Ok(MaskedColumn { name, masking })
        };
        Ok(Self { columns: columns.into_iter().map(masked).collect::<Result<_>>()?, unfit })
    }

    fn plan(&self) -> Plan {
        let unfit = || self.unfit.iter().map(|unfit| AnyColumn::from(unfit.column));
        let read = self.columns.iter().filter(|masked| !matches!(masked.masking, Masking::Redact(_)));
        Plan::row()
            .reads_all(read.map(MaskedColumn::column).chain(unfit()))
            .masks_all(self.columns.iter().map(MaskedColumn::column).chain(unfit()))
    }

    fn apply(&mut self, rows: &Rows<'_>, patch: &mut Patch) -> Result<()> {
        for MaskedColumn { name, masking } in &self.columns {
            match masking {
                Masking::Redact(column) => column.redact(rows.len(), patch),
                Masking::Hash(column, hasher) => patch.map(*column, rows, |text| hasher.hash(text))?,
                Masking::Partial(column) => patch.map(*column, rows, partial::partial)?,
                Masking::YearOfText(column) => year_of_text(*column, name, rows, patch)?,
                Masking::YearOfDate(column) => patch.map(*column, rows, year::of_date)?,
                Masking::YearOfTimestamp(column) => patch.map(*column, rows, year::of_timestamp)?,
            }
        }
        if let Some(unfit) = &self.unfit {
            patch.map(unfit.column, rows, |text| unfit.without_masked(text))?;
        }
        Ok(())
    }
}

impl MaskedColumn {
    fn column(&self) -> AnyColumn {
        match &self.masking {
            Masking::Redact(column) => (*column).into(),
            Masking::Hash(column, _) | Masking::Partial(column) | Masking::YearOfText(column) => (*column).into(),
            Masking::YearOfDate(column) => (*column).into(),
            Masking::YearOfTimestamp(column) => (*column).into(),
        }
    }
}

/// Reduces text to its year. Text that does not start with a day may be anything, so it is set to null with a note.
fn year_of_text(column: TextColumn, name: &str, rows: &Rows<'_>, patch: &mut Patch) -> Result<()> {
    let mut built = TextBuilder::new();
    for (row, text) in rows.column(column)?.iter().enumerate() {
        let text = text.map(str::trim).filter(|text| !text.is_empty());
        let year = text.and_then(year::of_text);
        if text.is_some() && year.is_none() {
            let message = format!("`{name}` does not start with a date such as 2026-01-31: set to null");
            patch.note(row, Some(name), "unreadable", message);
        }
        built.push(year.as_deref());
    }
    patch.set(column, built);
    Ok(())
}

export_rule!(Mask);

#[cfg(test)]
mod tests {
    use plugin_sdk::prelude::*;
    use plugin_sdk::testing::{Trial, Value, json};

    const SALT: &str = "0123456789abcdef";

    fn trial() -> Trial {
        let fields = vec![
            Field::text("id"),
            Field::text("email"),
            Field::text("phone"),
            Field::new("amount", Type::Decimal),
            Field::new("birth", Type::Date),
            Field::new("seen_at", Type::Timestamp),
            Field::text("_unfit"),
        ];
        Trial::new(super::component(), Schema::new(fields, &["id"]))
    }

    fn check_refused(config: Value, expect: &str) {
        let error = trial().open(config).expect_err("an invalid config");
        assert_eq!(error.message, expect);
    }

    fn check_unfit(columns: Value, unfit: &str, expect: Option<&str>) {
        let output = trial().run(json!({ "columns": columns }), json!([{ "_unfit": unfit }])).expect("a valid config");
        assert_eq!(output.column("_unfit"), json!([expect]), "{unfit}");
    }

    #[test]
    fn columns_are_masked() {
        let columns =
            json!({ "email": "hash", "amount": "redact", "birth": "year", "seen_at": "year", "phone": "partial" });
        let config = json!({ "columns": columns, "salt": SALT });
        let row = json!({
            "email": "ana@exemplo.com", "amount": 1, "birth": 7_427, "seen_at": 641_737_800_000_000_i64,
            "phone": "(11) 98765-4321",
        });
        let output = trial().run(config, json!([row, {}])).expect("a valid config");
        let ana = "0da4152c1bf981e867b838091537484bd2664bc205358711c4f0fb4ddf66e806";
        assert_eq!(output.column("email"), json!([ana, null]));
        assert_eq!(output.column("amount"), json!([null, null]));
        assert_eq!(output.column("birth"), json!([7_305, null]));
        assert_eq!(output.column("seen_at"), json!([631_152_000_000_000_i64, null]));
        assert_eq!(output.column("phone"), json!(["***4321", null]));
    }

    #[test]
    fn values_of_masked_columns_are_removed_from_unfit() {
        let columns = || json!({ "birth": "year", "phone": "redact" });
        check_unfit(columns(), r#"{"birth": "03/05/1990"}"#, None);
        check_unfit(columns(), r#"{"birth": "03/05/1990", "amount": "abc"}"#, Some(r#"{"amount":"abc"}"#));
        check_unfit(columns(), r#"{"birth": "03/05/1990", "phone": "52998224725"}"#, None);
        check_unfit(columns(), r#"{"amount": "abc"}"#, Some(r#"{"amount": "abc"}"#));
        check_unfit(columns(), "{}", None);
        check_unfit(columns(), "birth: 03/05/1990", None);
        check_unfit(json!({ "_unfit": "redact" }), r#"{"amount": "abc"}"#, None);
    }

    #[test]
    fn invalid_configs_are_refused() {
        check_refused(json!({ "columns": {} }), "`columns` is empty");
        check_refused(json!({ "columns": { "cpf": "redact" } }), "no column `cpf`");
        let not_text = "column `amount` is of type decimal: expected text";
        check_refused(json!({ "columns": { "amount": "partial" } }), not_text);
        check_refused(json!({ "columns": { "amount": "hash" }, "salt": SALT }), not_text);
        let no_year = "column `amount` is of type decimal: expected date, timestamp or text";
        check_refused(json!({ "columns": { "amount": "year" } }), no_year);
    }

    #[test]
    fn hashes_need_a_salt() {
        let needed = "`hash` needs a `salt` of at least 16 characters";
        check_refused(json!({ "columns": { "email": "hash" } }), needed);
        check_refused(json!({ "columns": { "email": "hash" }, "salt": "0123456789abcde" }), needed);
    }
}
