//! Builds snapshots, which are slowly changing dimensions of type 2: every version of a row with its period of
//! validity.

use host_core::error::{Error, Result, unknown};
use host_ledger::forgotten::Matching;
use host_ledger::models::ModelForm;
use host_ledger::streams::{self, LoadedStream};
use host_warehouse::{ColumnType, Table, quote, quote_all, same_key};

use super::builder::ModelBuilder;
use super::incremental;
use crate::config::SnapshotConfig;
use crate::files::Model;

/// The columns that a snapshot adds to those of its query.
pub(crate) const VALIDITY_COLUMNS: [&str; 2] = ["valid_from", "valid_to"];

/// The effect of an erasure on a snapshot, as SQL on its versions, `published`.
struct ErasureConditions {
    /// SQL that is true of versions that stay.
    stays: String,
    /// Text columns, which may contain personal data in versions of linked records.
    texts: Vec<String>,
    /// SQL that is true of versions of records that are linked with a forgotten record.
    is_linked: String,
}

impl ModelBuilder<'_> {
    /// Builds a snapshot. The history is kept even in a full refresh, because it cannot be computed from current rows.
    pub(super) fn snapshot(&self, model: &Model) -> Result<ModelForm> {
        let Some(config) = &model.config.snapshot else { return Err(Error::internal("no `[snapshot]`")) };
        let all = self.columns.get(&model.name().to_lowercase()).cloned().unwrap_or_default();
        let columns: Vec<_> =
            all.iter().map(|c| c.name.as_str()).filter(|name| !VALIDITY_COLUMNS.contains(name)).collect();
        let listed = [("key", &config.key), ("compare", &config.compare)];
        let listed = listed.into_iter().flat_map(|(key, names)| names.iter().map(move |name| (key, name)));
        let listed = listed.chain(config.records.keys().map(|name| ("records", name)));
        for (key, name) in listed.chain(config.updated_at.iter().map(|name| ("updated_at", name))) {
            if !columns.iter().any(|column| column.eq_ignore_ascii_case(name)) {
                let place = model.place(&["snapshot".into(), key.into()]);
                return Err(unknown("column", name, columns.iter().copied()).at(&place));
            }
        }
        if !config.records.is_empty() {
            let streams: Vec<_> = streams::loaded(self.warehouse)?.iter().map(LoadedStream::name).collect();
            if let Some((column, stream)) = config.records.iter().find(|(_, stream)| !streams.contains(stream)) {
                let place = model.place(&["snapshot".into(), "records".into(), column.as_str().into()]);
                return Err(unknown("stream", stream, streams.iter().map(String::as_str)).at(&place));
            }
        }
        let (next, query) = (model.table.suffixed("__next"), self.query(model)?);
        let key = model.name().to_lowercase();
        let Some(before) = self.catalog.get(&key).filter(|_| self.published.contains_key(&model.name())) else {
            let valid_from = self.valid_from(model, "_rows");
            self.warehouse.execute(&format!(
                "CREATE TABLE {next} AS WITH _rows AS ({query}\n) SELECT *, {valid_from} AS valid_from, \
                 CAST(NULL AS TIMESTAMPTZ) AS valid_to FROM _rows"
            ))?;
            self.check_key(model, &next, &config.key, "true")?;
            return Ok(ModelForm::Whole);
        };
        let replaced = format!(
            "published.valid_to IS NULL AND EXISTS (SELECT 1 FROM {} AS delta WHERE {})",
            model.table.suffixed("__delta"),
            same_key(&config.key, "delta", "published")
        );
        if *before == all && !self.has_pending_erasure {
            self.write_versions(model, &model.table, &query, &columns)?;
            self.create_delta_view(model, &replaced)?;
            return Ok(ModelForm::Delta { replaced });
        }
        // Copies the history into the current columns without the forgotten records, then applies the new versions.
        let ErasureConditions { stays, texts, is_linked } = self.erasure_conditions(config, &all);
        let existed = |name: &str| before.iter().any(|other| other.name.eq_ignore_ascii_case(name));
        let fitted = all.iter().map(|column| {
            let (name, data_type) = (quote(&column.name), &column.data_type);
            let value = if !existed(&column.name) {
                "NULL".to_owned()
            } else if texts.contains(&column.name) {
                // Without a text in the current row, the erasure may have removed it: the history loses it too.
                format!("CASE WHEN _current.{name} IS NULL AND ({is_linked}) THEN NULL ELSE published.{name} END")
            } else {
                format!("published.{name}")
            };
            format!("CAST({value} AS {data_type}) AS {name}")
        });
        let fitted = fitted.collect::<Vec<_>>().join(", ");
        let current = if texts.is_empty() {
            String::new()
        } else {
            format!("LEFT JOIN ({query}\n) AS _current ON {}", same_key(&config.key, "_current", "published"))
        };
        self.warehouse.execute(&format!(
            "CREATE TABLE {next} AS SELECT {fitted} FROM {} AS published {current} WHERE {stays}",
            model.table
        ))?;
        self.write_versions(model, &next, &query, &columns)?;
        incremental::apply(self.warehouse, &next, &model.table.suffixed("__delta"), &replaced)?;
        self.warehouse.execute(&format!("DROP TABLE {}", model.table.suffixed("__delta")))?;
        Ok(ModelForm::Whole)
    }

    /// Returns SQL for the time at which the version of a row starts.
    fn valid_from(&self, model: &Model, row: &str) -> String {
        let updated_at = model.config.snapshot.as_ref().and_then(|config| config.updated_at.as_ref());
        let now = &self.now;
        updated_at.map_or_else(
            || now.clone(),
            |column| format!("coalesce(CAST({row}.{} AS TIMESTAMPTZ), {now})", quote(column)),
        )
    }

    /// Returns which versions are of forgotten records, and which are of records linked with them.
    fn erasure_conditions(&self, config: &SnapshotConfig, columns: &[ColumnType]) -> ErasureConditions {
        let (mut forgotten, mut linked) = (Vec::new(), Vec::new());
        for (column, stream) in config.records.iter().filter(|_| self.has_pending_erasure) {
            let key = format!("published.{}::VARCHAR", quote(column));
            forgotten.push(Matching::Forgotten.condition(&key, stream));
            linked.push(Matching::Linked.condition(&key, stream));
        }
        let stays = if forgotten.is_empty() {
            "true".to_owned()
        } else {
            format!("NOT coalesce({}, false)", forgotten.join(" OR "))
        };
        let is_fixed = |name: &str| {
            let mut fixed = config.key.iter().chain(config.records.keys());
            fixed.any(|other| other.eq_ignore_ascii_case(name))
        };
        let texts = columns.iter().filter(|column| column.data_type == "VARCHAR" && !is_fixed(&column.name));
        let texts = texts.filter(|_| !linked.is_empty()).map(|column| column.name.clone());
        ErasureConditions { stays, texts: texts.collect(), is_linked: linked.join(" OR ") }
    }

    /// Writes the versions that start, and the versions of `history` that end, into `name__delta`.
    fn write_versions(&self, model: &Model, history: &Table, query: &str, columns: &[&str]) -> Result<()> {
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
        // Rows with the same key count as new versions, so that the check of the key below finds them.
        let differs: Vec<_> =
            differs.chain(["_open.valid_from IS NULL".to_owned(), "_rows._host_same > 1".to_owned()]).collect();
        let keys = quote_all(config.key.iter().map(String::as_str), "");
        let rows = quote_all(columns.iter().copied(), "_rows.");
        let open = quote_all(columns.iter().copied(), "_open.");
        let names = quote_all(columns.iter().copied(), "");
        let (valid_from, now) = (self.valid_from(model, "_rows"), &self.now);
        let same = |one: &str, other: &str| same_key(&config.key, one, other);
        self.warehouse.execute(&format!(
            "CREATE TABLE {delta} AS WITH _given AS ({query}\n), \
             _rows AS MATERIALIZED (SELECT *, count(*) OVER (PARTITION BY {keys}) AS _host_same FROM _given), \
             _open AS (SELECT * FROM {history} WHERE valid_to IS NULL), \
             _ends AS (SELECT {keys}, max(coalesce(valid_to, valid_from)) AS _host_end FROM {history} GROUP BY {keys}), \
             _fresh AS MATERIALIZED (SELECT {rows}, \
             CASE WHEN _ends._host_end IS NULL OR {valid_from} > _ends._host_end THEN {valid_from} ELSE greatest({now}, _ends._host_end) END AS valid_from \
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
