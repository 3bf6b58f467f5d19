//! Reads the models folder: one subfolder per schema, one file per model, and an optional TOML file beside each model.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use host_core::error::{Error, Place, Result, Subject};
use host_document::{PathStep, SourceMap};
use host_warehouse::Table;

use crate::config::{Materialization, ModelConfig, Severity, Strategy, schema};

/// The kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    /// A CSV file that is loaded into a table.
    Seed,
    /// A query that runs whenever the model is read.
    View,
    /// A query whose rows are stored.
    Table,
    /// A stored query of which a build computes only new and changed rows.
    Incremental,
    /// A stored query with every version that its rows ever had.
    Snapshot,
    /// A query that must return no rows.
    Check,
}

impl std::fmt::Display for ModelKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}

/// A model, seed or check, as its files declare it.
#[derive(Debug, Clone)]
pub struct Model {
    /// The table or view: the folder is its schema and the file is its name.
    pub table: Table,
    /// The kind of file.
    pub kind: ModelKind,
    /// The path of the SQL or CSV file.
    pub path: PathBuf,
    /// The text of that file.
    pub text: String,
    /// The keys of the TOML file beside it.
    pub config: ModelConfig,
    /// The text of the TOML file and the positions of its values. `None` if there is no such file.
    pub(super) config_source: Option<(String, SourceMap)>,
}

impl Model {
    /// Returns `schema.name`.
    #[must_use]
    pub fn name(&self) -> String {
        self.table.full_name()
    }

    /// Whether this is a check whose rows only warn.
    pub(super) fn is_warning(&self) -> bool {
        self.config.severity == Some(Severity::Warn)
    }

    /// Places an error at a line of this model's file, from 1.
    pub(super) fn error(&self, line: Option<usize>, error: Error) -> Error {
        let file = Place::file(self.path.display().to_string());
        let excerpt = line.and_then(|line| self.text.lines().nth(line.checked_sub(1)?)).map(str::to_owned);
        error.about(&Subject::Model(self.name())).at(&Place { line, excerpt, ..file })
    }

    /// Returns the place of a value in the TOML file beside the model.
    pub(super) fn place(&self, path: &[PathStep]) -> Place {
        match &self.config_source {
            Some((_, source_map)) => source_map.at(path),
            None => Place::file(self.path.display().to_string()),
        }
    }
}

/// Reads every seed, model and check of a models folder.
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
                        let message = format!("{}: models in a subfolder of a schema are not read", path.display());
                        let hint = format!("move the files to {}", schema.display());
                        problems.push(Error::config(message).hint(hint));
                    }
                }
                Some("sql" | "csv") => match model(&schema, path) {
                    Ok(model) => models.push(model),
                    Err(error) => problems.push(error),
                },
                Some("toml") if !["sql", "csv"].iter().any(|other| paths.contains(&path.with_extension(other))) => {
                    let error = Error::config(format!("{}: no model has this name", path.display()));
                    problems.push(error.hint("name the file like the `.sql` or `.csv` file that it configures"));
                }
                _ => {}
            }
        }
    }
    let is_model = |path: &PathBuf| path.extension().is_some_and(|it| it == "sql" || it == "csv");
    problems.extend(entries(folder)?.into_iter().filter(is_model).map(|path| {
        let error = Error::config(format!("{}: the model is not in a schema folder", path.display()));
        error.hint("move the file into a folder such as `marts`")
    }));
    if models.is_empty() && problems.is_empty() {
        return Err(Error::config(format!("{}: the folder has no models", folder.display())));
    }
    problems.extend(duplicate_names(&models));
    Error::check(problems).map(|()| models)
}

/// Models with the same name. Names in DuckDB are case-insensitive.
fn duplicate_names(models: &[Model]) -> Vec<Error> {
    let mut seen: BTreeMap<String, &Model> = BTreeMap::new();
    let mut problems = Vec::new();
    for model in models {
        if let Some(other) = seen.insert(model.name().to_lowercase(), model) {
            let error = Error::config(format!("{} has the same model name", other.path.display()));
            problems.push(model.error(None, error).hint("rename one of them: names in DuckDB are case-insensitive"));
        }
    }
    problems
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |cause: std::io::Error| {
        let error = Error::config(format!("cannot read the models folder: {}: {cause}", folder.display()));
        error.hint("set `path` in `[marts]`, relative to the folder of the pipeline file")
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        paths.push(entry.map_err(unreadable)?.path());
    }
    paths.sort();
    Ok(paths)
}

fn model(folder: &Path, path: &Path) -> Result<Model> {
    let name = |path: &Path| path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
    let text = std::fs::read_to_string(path).map_err(|cause| Error::config(format!("{}: {cause}", path.display())))?;
    let schema = name(folder);
    let is_seed = path.extension().is_some_and(|extension| extension == "csv");
    let (config, config_source) = read_config(&path.with_extension("toml"))?;
    let kind = match (schema.as_str(), config.materialized) {
        _ if is_seed => ModelKind::Seed,
        ("checks", _) => ModelKind::Check,
        (_, Some(Materialization::View)) | ("staging", None) => ModelKind::View,
        (_, Some(Materialization::Table) | None) => ModelKind::Table,
        (_, Some(Materialization::Incremental)) => ModelKind::Incremental,
        (_, Some(Materialization::Snapshot)) => ModelKind::Snapshot,
    };
    // The start is not trimmed, so that lines of errors are lines of the file.
    let text = if is_seed { text } else { text.trim_end().trim_end_matches(';').to_owned() };
    let model =
        Model { table: Table::new(schema, name(path)), kind, path: path.to_path_buf(), text, config, config_source };
    Error::check(problems(&model)).map(|()| model)
}

/// Reads the TOML file beside a model. Returns the defaults if there is no such file.
fn read_config(path: &Path) -> Result<(ModelConfig, Option<(String, SourceMap)>)> {
    if !path.is_file() {
        return Ok((ModelConfig::default(), None));
    }
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|cause| Error::config(format!("{name}: {cause}")))?;
    let source_map = SourceMap::parse(&text, &name)?;
    let (value, _) = source_map.value(None);
    match serde_json::from_value(value.clone()) {
        Ok(config) => Ok((config, Some((text, source_map)))),
        Err(cause) => {
            let violations = source_map.violations(&[], &schema(), &value);
            Err(Error::all(violations).unwrap_or_else(|| Error::config(cause.to_string()).at(&Place::file(&name))))
        }
    }
}

/// Problems that the JSON Schema cannot express: keys that require each other, duplicate names.
fn problems(model: &Model) -> Vec<Error> {
    let config = &model.config;
    let mut problems = Vec::new();
    let mut report = |path: &[PathStep], message: String, hint: &str| {
        let error = Error::config(message).at(&model.place(path));
        problems.push(if hint.is_empty() { error } else { error.hint(hint) });
    };
    let is_query = !matches!(model.kind, ModelKind::Seed | ModelKind::Check);
    if config.materialized.is_some() && !is_query {
        report(&["materialized".into()], format!("`materialized` is not allowed for a {}", model.kind), "");
    }
    if config.severity.is_some() && model.kind != ModelKind::Check {
        report(
            &["severity".into()],
            "`severity` at the top level is allowed only for a check".to_owned(),
            "set it on a column or a test instead",
        );
    }
    if config.incremental.is_some() != (model.kind == ModelKind::Incremental) {
        let path = if config.incremental.is_some() { "incremental" } else { "materialized" };
        report(&[path.into()], "`materialized = \"incremental\"` and `[incremental]` go together".to_owned(), "");
    }
    if config.snapshot.is_some() != (model.kind == ModelKind::Snapshot) {
        let path = if config.snapshot.is_some() { "snapshot" } else { "materialized" };
        report(&[path.into()], "`materialized = \"snapshot\"` and `[snapshot]` go together".to_owned(), "");
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
            report(&["incremental".into(), "strategy".into()], format!("this strategy needs `{key}`"), "");
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
            report(&[key.into(), index.into(), "name".into()], format!("duplicate name `{name}`"), "");
        }
    }
    for (index, column) in config.column.iter().enumerate() {
        if config.contract && column.data_type.is_none() {
            let message = format!("column `{}` has no `type`: a contract requires one", column.name);
            report(&["column".into(), index.into(), "name".into()], message, "");
        }
        if let Some(target) = column.references.as_ref().filter(|target| target.split('.').count() != 3) {
            let path = ["column".into(), index.into(), "references".into()];
            report(&path, format!("`{target}` is not a valid reference: expected `schema.table.column`"), "");
        }
    }
    for name in config.depends_on.iter().filter(|name| name.split('.').count() != 2) {
        report(&["depends_on".into()], format!("`{name}` is not a valid table name: expected `schema.name`"), "");
    }
    problems.extend(reserved(model));
    problems
}

/// Refuses schemas and names that the host or DuckDB writes itself.
fn reserved(model: &Model) -> Option<Error> {
    let Table { schema, name } = &model.table;
    let schema = schema.to_lowercase();
    let duckdb_schemas = ["main", "temp", "system", "information_schema", "pg_catalog"];
    let is_host = schema == "_host" || ["raw_", "clean_", "ledger_"].iter().any(|prefix| schema.starts_with(prefix));
    if is_host || duckdb_schemas.contains(&schema.as_str()) {
        let owner = if is_host { "the host" } else { "DuckDB" };
        let error = Error::config(format!("schema `{schema}` is reserved for {owner}"));
        return Some(model.error(None, error).hint("rename the folder"));
    }
    let suffix = ["__next", "__delta"].into_iter().find(|suffix| name.ends_with(suffix))?;
    let error = Error::config(format!("names that end in `{suffix}` are reserved for staged models"));
    Some(model.error(None, error).hint("rename the file"))
}
