//! The `sql/` folder: a folder a schema, a file a model, and beside it a TOML file for what SQL cannot say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::config::{Config, Kept, Severity, Strategy, schema};
use crate::error::{Error, Result, nearest};
use crate::pipeline::{Places, Step};
use crate::warehouse::Table;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Materialized {
    /// A CSV file as a table.
    Seed,
    /// A query kept as a query.
    View,
    /// A query kept as its rows.
    Table,
    /// A query kept as its rows, of which only new and changed ones are computed.
    Incremental,
    /// A query kept as all versions that its rows ever had.
    Snapshot,
    /// A query that must return nothing.
    Check,
}

impl std::fmt::Display for Materialized {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}

/// A file of the folder.
#[derive(Debug, Clone)]
pub struct Model {
    /// What it becomes: the folder's name and the file's.
    pub table: Table,
    /// What it is.
    pub kind: Materialized,
    /// The file.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// What the file beside it says.
    pub config: Config,
    /// The text of that file, and where what stands in it.
    pub(super) beside: Option<(String, Places)>,
}

impl Model {
    /// `schema.name`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}.{}", self.table.schema, self.table.name)
    }

    /// Whether it is a check whose rows only warn.
    pub(super) fn is_warning(&self) -> bool {
        self.config.severity == Some(Severity::Warn)
    }

    /// An error of this model, at a line of its file.
    pub(super) fn error(&self, line: Option<usize>, error: Error) -> Error {
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        error.on(format!("{}{line}: model `{}`", self.path.display(), self.name()))
    }

    /// `file:line:column` in the file beside it.
    pub(super) fn place(&self, path: &[Step]) -> String {
        match &self.beside {
            Some((_, places)) => places.at(path),
            None => self.path.display().to_string(),
        }
    }
}

/// Reads every seed, model and check below a folder.
pub(super) fn read(folder: &Path) -> Result<Vec<Model>> {
    let mut models = Vec::new();
    let mut problems = Vec::new();
    for schema in entries(folder)?.into_iter().filter(|path| path.is_dir()) {
        let paths = entries(&schema)?;
        for path in &paths {
            let extension = path.extension().and_then(|extension| extension.to_str());
            match extension {
                _ if path.is_dir() => {
                    let is_model = |inner: &PathBuf| inner.extension().is_some_and(|it| it == "sql" || it == "csv");
                    if entries(path)?.iter().any(is_model) {
                        let message = format!("{}: models in a schema's subfolder are not read", path.display());
                        let hint = format!("a schema is one folder: move its files to {}", schema.display());
                        problems.push(Error::config(message).hint(hint));
                    }
                }
                Some("sql" | "csv") => match model(&schema, path) {
                    Ok(model) => models.push(model),
                    Err(error) => problems.push(error),
                },
                Some("toml") if !["sql", "csv"].iter().any(|other| paths.contains(&path.with_extension(other))) => {
                    let error = Error::config(format!("{}: no model stands beside it", path.display()));
                    problems.push(error.hint("it is named like the `.sql` or `.csv` file that it is about"));
                }
                _ => {}
            }
        }
    }
    let is_model = |path: &PathBuf| path.extension().is_some_and(|it| it == "sql" || it == "csv");
    problems.extend(entries(folder)?.into_iter().filter(is_model).map(|path| {
        let error = Error::config(format!("{}: a model stands in a folder, which is its schema", path.display()));
        error.hint("move it into one, such as `marts`")
    }));
    if models.is_empty() && problems.is_empty() {
        return Err(Error::config(format!("{}: no models below this folder", folder.display())));
    }
    problems.extend(named_twice(&models));
    Error::all(problems).map_or(Ok(models), Err)
}

/// DuckDB's names are the same whatever their case.
fn named_twice(models: &[Model]) -> Vec<Error> {
    let mut seen: BTreeMap<String, &Model> = BTreeMap::new();
    let mut problems = Vec::new();
    for model in models {
        if let Some(other) = seen.insert(model.name().to_lowercase(), model) {
            let error = Error::config(format!("{} is a model of the same name", other.path.display()));
            problems
                .push(model.error(None, error).hint("rename one; names that differ in case alone are one to DuckDB"));
        }
    }
    problems
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let broken = |cause: std::io::Error| {
        let error = Error::config(format!("the folder of models {}: {cause}", folder.display()));
        error.hint("`path` in `[marts]` names it, from the pipeline file's folder")
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(broken)? {
        paths.push(entry.map_err(broken)?.path());
    }
    paths.sort();
    Ok(paths)
}

fn model(folder: &Path, path: &Path) -> Result<Model> {
    let name = |path: &Path| path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
    let text = std::fs::read_to_string(path).map_err(|cause| Error::config(format!("{}: {cause}", path.display())))?;
    let schema = name(folder);
    let is_seed = path.extension().is_some_and(|extension| extension == "csv");
    let (config, beside) = beside(&path.with_extension("toml"))?;
    let kind = match (schema.as_str(), config.materialized) {
        _ if is_seed => Materialized::Seed,
        ("checks", _) => Materialized::Check,
        (_, Some(Kept::View)) | ("staging", None) => Materialized::View,
        (_, Some(Kept::Table) | None) => Materialized::Table,
        (_, Some(Kept::Incremental)) => Materialized::Incremental,
        (_, Some(Kept::Snapshot)) => Materialized::Snapshot,
    };
    // The start stays as it is, so that lines of errors are lines of the file.
    let text = if is_seed { text } else { text.trim_end().trim_end_matches(';').to_owned() };
    let model = Model { table: Table::new(schema, name(path)), kind, path: path.to_path_buf(), text, config, beside };
    Error::all(problems(&model)).map_or(Ok(model), Err)
}

/// The file beside a model; all as by default where there is none.
fn beside(path: &Path) -> Result<(Config, Option<(String, Places)>)> {
    if !path.is_file() {
        return Ok((Config::default(), None));
    }
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|cause| Error::config(format!("{name}: {cause}")))?;
    let places = Places::parse(&text, &name)?;
    let (value, _) = places.value(None);
    match serde_json::from_value(value.clone()) {
        Ok(config) => Ok((config, Some((text, places)))),
        Err(cause) => {
            let violations = places.violations(&[], &schema(), &value);
            Err(Error::all(violations).unwrap_or_else(|| Error::config(format!("{name}: {cause}"))))
        }
    }
}

/// What the shape of the file cannot say: keys that need each other, names that are there twice.
fn problems(model: &Model) -> Vec<Error> {
    let config = &model.config;
    let mut problems = Vec::new();
    let mut wrong = |path: &[Step], message: String, hint: &str| {
        let error = Error::config(message).on(model.place(path));
        problems.push(if hint.is_empty() { error } else { error.hint(hint) });
    };
    let is_query = !matches!(model.kind, Materialized::Seed | Materialized::Check);
    if config.materialized.is_some() && !is_query {
        wrong(&["materialized".into()], format!("a {} is not materialized otherwise", model.kind), "");
    }
    if config.severity.is_some() && model.kind != Materialized::Check {
        wrong(&["severity".into()], "only a check has a severity".to_owned(), "a column and a test have their own");
    }
    if config.incremental.is_some() != (model.kind == Materialized::Incremental) {
        let path = if config.incremental.is_some() { "incremental" } else { "materialized" };
        wrong(&[path.into()], "`materialized = \"incremental\"` and `[incremental]` go together".to_owned(), "");
    }
    if config.snapshot.is_some() != (model.kind == Materialized::Snapshot) {
        let path = if config.snapshot.is_some() { "snapshot" } else { "materialized" };
        wrong(&[path.into()], "`materialized = \"snapshot\"` and `[snapshot]` go together".to_owned(), "");
    }
    if let Some(incremental) = &config.incremental {
        let missing = match incremental.strategy {
            Strategy::Append => [("cursor", incremental.cursor.is_none()), ("", false)],
            Strategy::Merge | Strategy::DeleteInsert => [("key", incremental.key.is_empty()), ("", false)],
            Strategy::TimeWindow => {
                [("time_column", incremental.time_column.is_none()), ("window", incremental.window.is_none())]
            }
        };
        for (key, _) in missing.iter().filter(|(_, missing)| *missing) {
            wrong(&["incremental".into(), "strategy".into()], format!("this strategy needs `{key}`"), "");
        }
    }
    let named = [
        ("column", config.column.iter().map(|column| column.name.to_lowercase()).collect::<Vec<_>>()),
        ("test", config.test.iter().map(|test| test.name.clone()).collect()),
        ("unit_test", config.unit_test.iter().map(|test| test.name.clone()).collect()),
        ("drill", config.drill.iter().map(|drill| drill.name.clone()).collect()),
    ];
    for (key, names) in named {
        for (index, name) in names.iter().enumerate().filter(|(index, name)| names[..*index].contains(name)) {
            wrong(&[key.into(), index.into(), "name".into()], format!("`{name}` is there twice"), "");
        }
    }
    for (index, column) in config.column.iter().enumerate() {
        if config.contract && column.data_type.is_none() {
            let message = format!("column `{}` has no `type`, which a contract needs", column.name);
            wrong(&["column".into(), index.into(), "name".into()], message, "");
        }
        if column.references.as_ref().is_some_and(|target| target.split('.').count() != 3) {
            let path = ["column".into(), index.into(), "references".into()];
            wrong(&path, "it is written `schema.table.column`".to_owned(), "");
        }
    }
    for name in config.depends_on.iter().filter(|name| name.split('.').count() != 2) {
        wrong(&["depends_on".into()], format!("`{name}` is not `schema.name`"), "");
    }
    problems.extend(reserved(model));
    problems
}

/// Schemas and names that the host writes itself.
fn reserved(model: &Model) -> Option<Error> {
    let Table { schema, name } = &model.table;
    let schema = schema.to_lowercase();
    let of_duckdb = ["main", "temp", "system", "information_schema", "pg_catalog"];
    let is_ours = schema == "_host" || schema.starts_with("raw_") || schema.starts_with("clean_");
    if is_ours || of_duckdb.contains(&schema.as_str()) {
        let whose = if is_ours { "the host" } else { "DuckDB" };
        let error = Error::config(format!("schema `{schema}` belongs to {whose}"));
        return Some(model.error(None, error).hint("give the folder another name"));
    }
    let suffix = ["__next", "__delta"].into_iter().find(|suffix| name.ends_with(suffix))?;
    let error = Error::config(format!("names that end in `{suffix}` are for what the host builds aside"));
    Some(model.error(None, error).hint("give the file another name"))
}

/// An error on a name that is not there, with those nearest to it or all that there are.
pub(super) fn unknown(what: &str, name: &str, known: &[&str]) -> Error {
    let error = Error::config(format!("no {what} `{name}`"));
    let hint = nearest(name, known.iter().copied()).or_else(|| {
        let all = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        (!known.is_empty()).then(|| format!("there are {all}"))
    });
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
