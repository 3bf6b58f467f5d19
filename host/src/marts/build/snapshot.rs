//! Snapshots (SCD2): all versions that a query's rows ever had, each with the time from which and until which it held.

use super::{Builder, Form, incremental, same_key};
use crate::error::{Error, Result};
use crate::marts::config::Snapshot;
use crate::marts::files::{Model, unknown};
use crate::warehouse::{LoadedStream, Named, Table, Warehouse, quote, quote_all};

/// The columns that a snapshot adds.
pub(in crate::marts) const ADDED: [&str; 2] = ["valid_from", "valid_to"];

/// What a snapshot loses of who was forgotten, as SQL on its versions, `published`.
struct Erased {
    /// True of versions that stay.
    stays: String,
    /// Columns of text, which may name somebody, …
    texts: Vec<String>,
    /// … in the versions of which this is true.
    is_linked: String,
}

impl Builder<'_> {
    /// History is never computed anew, also by a full refresh: what a query no longer gives is nowhere else.
    pub(super) fn snapshot(&self, model: &Model) -> Result<Form> {
        let Some(config) = &model.config.snapshot else { return Err(Error::internal("no `[snapshot]`")) };
        let all = self.columns.get(&model.name().to_lowercase()).cloned().unwrap_or_default();
        let columns: Vec<_> = all.iter().map(|c| c.name.as_str()).filter(|name| !ADDED.contains(name)).collect();
        let listed = [("key", &config.key), ("compare", &config.compare)];
        let listed = listed.into_iter().flat_map(|(key, names)| names.iter().map(move |name| (key, name)));
        let listed = listed.chain(config.records.keys().map(|name| ("records", name)));
        for (key, name) in listed.chain(config.updated_at.iter().map(|name| ("updated_at", name))) {
            if !columns.iter().any(|column| column.eq_ignore_ascii_case(name)) {
                return Err(unknown("column", name, &columns).on(model.place(&["snapshot".into(), key.into()])));
            }
        }
        if !config.records.is_empty() {
            let streams: Vec<_> = self.warehouse.loaded_streams()?.iter().map(LoadedStream::name).collect();
            let names: Vec<_> = streams.iter().map(String::as_str).collect();
            if let Some((column, stream)) = config.records.iter().find(|(_, stream)| !streams.contains(stream)) {
                let place = model.place(&["snapshot".into(), "records".into(), column.as_str().into()]);
                return Err(unknown("stream", stream, &names).on(place));
            }
        }
        let (next, query) = (model.table.suffixed("__next"), self.query(model)?);
        let key = model.name().to_lowercase();
        let Some(before) = self.catalog.get(&key).filter(|_| self.published.contains_key(&model.name())) else {
            let began = self.began(model, "_rows");
            self.warehouse.execute(&format!(
                "CREATE TABLE {next} AS WITH _rows AS ({query}\n) SELECT *, {began} AS valid_from, \
                 CAST(NULL AS TIMESTAMPTZ) AS valid_to FROM _rows"
            ))?;
            self.check_key(model, &next, &config.key, "true")?;
            return Ok(Form::Whole);
        };
        let gone = format!(
            "published.valid_to IS NULL AND EXISTS (SELECT 1 FROM {} AS delta WHERE {})",
            model.table.suffixed("__delta"),
            same_key(&config.key, "delta", "published")
        );
        if *before == all && !self.erases {
            self.versions(model, &model.table, &query, &columns)?;
            self.show_delta(model, &gone)?;
            return Ok(Form::Delta { replaced: gone });
        }
        // The history in the columns of today, without who was forgotten, then what is new.
        let Erased { stays, texts, is_linked } = self.erased(config, &all);
        let was_there = |name: &str| before.iter().any(|other| other.name.eq_ignore_ascii_case(name));
        let fitted = all.iter().map(|column| {
            let (name, data_type) = (quote(&column.name), &column.data_type);
            let value = if !was_there(&column.name) {
                "NULL".to_owned()
            } else if texts.contains(&column.name) {
                // What today's row does not say either.
                format!("CASE WHEN _today.{name} IS NULL AND ({is_linked}) THEN NULL ELSE published.{name} END")
            } else {
                format!("published.{name}")
            };
            format!("CAST({value} AS {data_type}) AS {name}")
        });
        let fitted = fitted.collect::<Vec<_>>().join(", ");
        let today = if texts.is_empty() {
            String::new()
        } else {
            format!("LEFT JOIN ({query}\n) AS _today ON {}", same_key(&config.key, "_today", "published"))
        };
        self.warehouse.execute(&format!(
            "CREATE TABLE {next} AS SELECT {fitted} FROM {} AS published {today} WHERE {stays}",
            model.table
        ))?;
        self.versions(model, &next, &query, &columns)?;
        incremental::apply(self.warehouse, &next, &model.table.suffixed("__delta"), &gone)?;
        self.warehouse.execute(&format!("DROP TABLE {}", model.table.suffixed("__delta")))?;
        Ok(Form::Whole)
    }

    /// When the version of a row began.
    fn began(&self, model: &Model, row: &str) -> String {
        let updated_at = model.config.snapshot.as_ref().and_then(|config| config.updated_at.as_ref());
        let now = &self.now;
        updated_at.map_or_else(
            || now.clone(),
            |column| format!("coalesce(CAST({row}.{} AS TIMESTAMPTZ), {now})", quote(column)),
        )
    }

    /// Which versions are of records that were forgotten, and which of such that are linked with them.
    fn erased(&self, config: &Snapshot, columns: &[Named]) -> Erased {
        let (mut gone, mut linked) = (Vec::new(), Vec::new());
        for (column, stream) in config.records.iter().filter(|_| self.erases) {
            let key = format!("published.{}::VARCHAR", quote(column));
            gone.push(Warehouse::is_forgotten(&key, stream));
            linked.push(Warehouse::is_linked_with_forgotten(&key, stream));
        }
        let stays =
            if gone.is_empty() { "true".to_owned() } else { format!("NOT coalesce({}, false)", gone.join(" OR ")) };
        let is_fixed = |name: &str| {
            let mut fixed = config.key.iter().chain(config.records.keys());
            fixed.any(|other| other.eq_ignore_ascii_case(name))
        };
        let texts = columns.iter().filter(|column| column.data_type == "VARCHAR" && !is_fixed(&column.name));
        let texts = texts.filter(|_| !linked.is_empty()).map(|column| column.name.clone());
        Erased { stays, texts: texts.collect(), is_linked: linked.join(" OR ") }
    }

    /// Writes into `name__delta` the versions that begin, and those of `history` that end, with their end.
    fn versions(&self, model: &Model, history: &Table, query: &str, columns: &[&str]) -> Result<()> {
        let Some(config) = &model.config.snapshot else { return Ok(()) };
        let delta = model.table.suffixed("__delta");
        let is_one_of = |name: &str, names: &[String]| names.iter().any(|other| other.eq_ignore_ascii_case(name));
        let compared: Vec<_> = if config.compare.is_empty() {
            let is_fixed = |name: &str| is_one_of(name, &config.key) || is_one_of(name, config.updated_at.as_slice());
            columns.iter().filter(|name| !is_fixed(name)).map(|name| (*name).to_owned()).collect()
        } else {
            config.compare.clone()
        };
        let differs =
            compared.iter().map(|name| format!("_rows.{name} IS DISTINCT FROM _open.{name}", name = quote(name)));
        // Rows of one key are new versions too, and thereby found below.
        let differs: Vec<_> =
            differs.chain(["_open.valid_from IS NULL".to_owned(), "_rows._same > 1".to_owned()]).collect();
        let keys = quote_all(config.key.iter().map(String::as_str), "");
        let rows = quote_all(columns.iter().copied(), "_rows.");
        let open = quote_all(columns.iter().copied(), "_open.");
        let names = quote_all(columns.iter().copied(), "");
        let (began, now) = (self.began(model, "_rows"), &self.now);
        let same = |one: &str, other: &str| same_key(&config.key, one, other);
        self.warehouse.execute(&format!(
            "CREATE TABLE {delta} AS WITH _given AS ({query}\n), \
             _rows AS MATERIALIZED (SELECT *, count(*) OVER (PARTITION BY {keys}) AS _same FROM _given), \
             _open AS (SELECT * FROM {history} WHERE valid_to IS NULL), \
             _ends AS (SELECT {keys}, max(coalesce(valid_to, valid_from)) AS _end FROM {history} GROUP BY {keys}), \
             _fresh AS MATERIALIZED (SELECT {rows}, \
             CASE WHEN _ends._end IS NULL OR {began} > _ends._end THEN {began} ELSE greatest({now}, _ends._end) END AS valid_from \
             FROM _rows LEFT JOIN _open ON {} LEFT JOIN _ends ON {} WHERE {}) \
             SELECT {names}, valid_from, CAST(NULL AS TIMESTAMPTZ) AS valid_to FROM _fresh \
             UNION ALL SELECT {open}, _open.valid_from, coalesce(_fresh.valid_from, greatest({now}, _open.valid_from)) \
             FROM _open LEFT JOIN _fresh ON {} \
             WHERE _fresh.valid_from IS NOT NULL OR NOT EXISTS (SELECT 1 FROM _rows WHERE {})",
            same("_rows", "_open"),
            same("_rows", "_ends"),
            differs.join(" OR "),
            same("_fresh", "_open"),
            same("_rows", "_open"),
        ))?;
        self.check_key(model, &delta, &config.key, "valid_to IS NULL")
    }
}
