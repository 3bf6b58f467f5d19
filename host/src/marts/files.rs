//! The `sql/` folder: a folder a schema, a file a model, a comment header for what SQL cannot say.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result, nearest};
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
    /// A query that must return nothing.
    Check,
}

/// A file of the folder.
#[derive(Debug, Clone)]
pub struct Model {
    /// What it becomes: the folder's name and the file's.
    pub table: Table,
    /// What it is.
    pub kind: Materialized,
    /// Whether a check that returns rows only warns.
    pub is_warning: bool,
    /// The file.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// Dependencies that the header names beside those that the query shows.
    pub depends_on: Vec<String>,
}

impl Model {
    /// `schema.name`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}.{}", self.table.schema, self.table.name)
    }

    /// An error of this model, at a line of its file.
    pub(super) fn error(&self, line: Option<usize>, error: Error) -> Error {
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        error.on(format!("{}{line}: model `{}`", self.path.display(), self.name()))
    }
}

/// The keys of a header.
const KEYS: [&str; 3] = ["materialized", "severity", "depends_on"];

/// Reads every seed, model and check below a folder.
pub(super) fn read(folder: &Path) -> Result<Vec<Model>> {
    let mut models = Vec::new();
    let mut problems = Vec::new();
    for schema in entries(folder)?.into_iter().filter(|path| path.is_dir()) {
        for path in entries(&schema)? {
            let extension = path.extension().and_then(|extension| extension.to_str());
            let Some(extension) = extension.filter(|extension| ["sql", "csv"].contains(extension)) else { continue };
            match model(&schema, &path, extension == "csv") {
                Ok(model) => models.push(model),
                Err(error) => problems.push(error),
            }
        }
    }
    if models.is_empty() && problems.is_empty() {
        return Err(Error::config(format!("{}: no models below this folder", folder.display())));
    }
    Error::all(problems).map_or(Ok(models), Err)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let broken = |cause: std::io::Error| Error::config(format!("{}: {cause}", folder.display()));
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(broken)? {
        paths.push(entry.map_err(broken)?.path());
    }
    paths.sort();
    Ok(paths)
}

fn model(folder: &Path, path: &Path, is_seed: bool) -> Result<Model> {
    let name = |path: &Path| path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
    let text = std::fs::read_to_string(path).map_err(|cause| Error::config(format!("{}: {cause}", path.display())))?;
    let schema = name(folder);
    let kind = match schema.as_str() {
        _ if is_seed => Materialized::Seed,
        "checks" => Materialized::Check,
        "staging" => Materialized::View,
        _ => Materialized::Table,
    };
    let table = Table::new(schema, name(path));
    let mut model = Model { table, kind, is_warning: false, path: path.to_path_buf(), text, depends_on: Vec::new() };
    if !is_seed {
        header(&mut model)?;
        // The start stays as it is, so that lines of errors are lines of the file.
        model.text = model.text.trim_end().trim_end_matches(';').to_owned();
    }
    Ok(model)
}

/// Lines `-- key: value` before the query.
fn header(model: &mut Model) -> Result<()> {
    let text = model.text.clone();
    for (index, line) in
        text.lines().enumerate().take_while(|(_, line)| line.starts_with("--") || line.trim().is_empty())
    {
        let comment = line.trim_start_matches('-').trim();
        let Some((key, value)) = comment.split_once(':') else { continue };
        let (key, value) = (key.trim(), value.trim());
        let on = |error: Error| error.on(format!("{}:{}", model.path.display(), index + 1));
        let wrong = |allowed: &str| on(Error::config(format!("`{key}: {value}`")).hint(format!("it is {allowed}")));
        match key {
            "materialized" => {
                model.kind = match value {
                    "view" => Materialized::View,
                    "table" => Materialized::Table,
                    _ => return Err(wrong("`view` or `table`")),
                }
            }
            "severity" => {
                model.is_warning = match value {
                    "warn" => true,
                    "error" => false,
                    _ => return Err(wrong("`warn` or `error`")),
                }
            }
            "depends_on" => model.depends_on = value.split(',').map(|name| name.trim().to_owned()).collect(),
            // Prose may have a colon; a word that is nearly a key may not.
            _ if !key.contains(' ') && nearest(key, KEYS).is_some() => {
                let error = Error::config(format!("unknown key `{key}`"));
                return Err(on(error.hint(nearest(key, KEYS).unwrap_or_default())));
            }
            _ => {}
        }
    }
    Ok(())
}
