//! Rule: personal data is hashed, cut short or removed before it reaches clean tables. No value of a masked column
//! leaves the rule, neither in a note nor in an error.

mod hash;
mod partial;
mod redact;
mod unfit;
mod year;

use std::collections::BTreeMap;

use plugin_sdk::column::AnyColumn;
use plugin_sdk::prelude::*;

use hash::Hasher;
use redact::Redacted;
use unfit::Unfit;

/// Settings of the rule.
// Without `Debug`: it holds the salt.
#[derive(Deserialize, JsonSchema)]
struct Config {
    /// How each column is masked.
    columns: BTreeMap<String, Method>,
    /// The key of the hashes, of 16 characters or more; keep it out of the pipeline, as `${MASK_SALT}`.
    // Its length is no part of the schema, since an error about that would show it.
    salt: Option<String>,
    /// Whether texts that differ in case and in spaces at their ends alone have the same hash.
    #[serde(default = "yes")]
    fold: bool,
}

/// How a column is masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Method {
    /// It becomes null. Takes columns of every type.
    Redact,
    /// It becomes a salted hash, the same for the same text. Takes text.
    Hash,
    /// Its last four letters or digits stay, of an e-mail address its domain. Takes text.
    Partial,
    /// It becomes the first day of its year. Takes dates, timestamps, and text that starts with an ISO date.
    Year,
}

fn yes() -> bool {
    true
}

struct Mask {
    columns: Vec<Masked>,
    /// What did not fit a masked column's type stands here.
    unfit: Option<Unfit>,
}

struct Masked {
    name: String,
    how: How,
}

/// A method with the column that it masks.
enum How {
    Redact(Redacted),
    Hash(TextColumn, Box<Hasher>),
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
        let unfit = Unfit::find(input, columns.keys());
        let masked = |(name, method): (String, Method)| {
            let how = match method {
                Method::Redact => How::Redact(Redacted::find(input, &name)?),
                Method::Hash => How::Hash(input.text(&name)?, Box::new(Hasher::new(salt.as_deref(), fold)?)),
                Method::Partial => How::Partial(input.text(&name)?),
                Method::Year => input
                    .text(&name)
                    .map(How::YearOfText)
                    .or_else(|error| input.column(&name).map(How::YearOfDate).map_err(|_| error))
                    .or_else(|error| input.column(&name).map(How::YearOfTimestamp).map_err(|_| error))?,
            };
            Ok(Masked { name, how })
        };
        Ok(Self { columns: columns.into_iter().map(masked).collect::<Result<_>>()?, unfit })
    }

    fn plan(&self) -> Plan {
        let unfit = || self.unfit.iter().map(|unfit| AnyColumn::from(unfit.column));
        // What is redacted is not even read.
        let read = self.columns.iter().filter(|masked| !matches!(masked.how, How::Redact(_)));
        Plan::row()
            .reads_all(read.map(Masked::column).chain(unfit()))
            .masks_all(self.columns.iter().map(Masked::column).chain(unfit()))
    }

    fn apply(&mut self, rows: &Rows<'_>, patch: &mut Patch) -> Result<()> {
        for Masked { name, how } in &self.columns {
            match how {
                How::Redact(column) => column.redact(rows.len(), patch),
                How::Hash(column, hasher) => patch.map(*column, rows, |text| hasher.hash(text))?,
                How::Partial(column) => patch.map(*column, rows, partial::partial)?,
                How::YearOfText(column) => year_of_text(*column, name, rows, patch)?,
                How::YearOfDate(column) => patch.map(*column, rows, year::of_date)?,
                How::YearOfTimestamp(column) => patch.map(*column, rows, year::of_timestamp)?,
            }
        }
        if let Some(unfit) = &self.unfit {
            patch.map(unfit.column, rows, |text| unfit.without_masked(text))?;
        }
        Ok(())
    }
}

impl Masked {
    fn column(&self) -> AnyColumn {
        match &self.how {
            How::Redact(column) => (*column).into(),
            How::Hash(column, _) | How::Partial(column) | How::YearOfText(column) => (*column).into(),
            How::YearOfDate(column) => (*column).into(),
            How::YearOfTimestamp(column) => (*column).into(),
        }
    }
}

/// Text that names no day could be anything: it becomes null, with a note.
fn year_of_text(column: TextColumn, name: &str, rows: &Rows<'_>, patch: &mut Patch) -> Result<()> {
    let mut built = TextBuilder::new();
    for (row, text) in rows.column(column)?.iter().enumerate() {
        let text = text.map(str::trim).filter(|text| !text.is_empty());
        let year = text.and_then(year::of_text);
        if text.is_some() && year.is_none() {
            let message = format!("`{name}` does not start with a date such as 2026-01-31, and was set to null");
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
        let error = trial().open(config).expect_err("a config that is refused");
        assert_eq!(error.message, expect);
    }

    fn check_unfit(columns: Value, unfit: &str, expect: Option<&str>) {
        let outcome = trial().run(json!({ "columns": columns }), json!([{ "_unfit": unfit }])).expect("a rule");
        assert_eq!(outcome.column("_unfit"), json!([expect]), "{unfit}");
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
        let outcome = trial().run(config, json!([row, {}])).expect("a rule");
        let ana = "0da4152c1bf981e867b838091537484bd2664bc205358711c4f0fb4ddf66e806";
        assert_eq!(outcome.column("email"), json!([ana, null]));
        assert_eq!(outcome.column("amount"), json!([null, null]));
        assert_eq!(outcome.column("birth"), json!([7_305, null]));
        assert_eq!(outcome.column("seen_at"), json!([631_152_000_000_000_i64, null]));
        assert_eq!(outcome.column("phone"), json!(["***4321", null]));
    }

    #[test]
    fn masked_columns_leave_nothing_behind() {
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
    fn what_cannot_be_masked_is_refused() {
        check_refused(json!({ "columns": {} }), "`columns` is empty");
        check_refused(json!({ "columns": { "cpf": "redact" } }), "no column `cpf`");
        let other_type = "column `amount` is of type decimal: expected text";
        check_refused(json!({ "columns": { "amount": "partial" } }), other_type);
        check_refused(json!({ "columns": { "amount": "year" } }), other_type);
        check_refused(json!({ "columns": { "amount": "hash" }, "salt": SALT }), other_type);
    }

    #[test]
    fn hashes_need_a_salt() {
        let needed = "`hash` needs a `salt` of 16 characters or more";
        check_refused(json!({ "columns": { "email": "hash" } }), needed);
        check_refused(json!({ "columns": { "email": "hash" }, "salt": "0123456789abcde" }), needed);
    }
}
