//! Opens rule plugins from the folder HOST_PLUGINS on a stream of text columns.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use host::plugin::{Engine, Grants, PluginFolders, RuleInput, RulePlugin, RuleRun};
use host::project::Project;
use host::schema::{Field, Schema, Type};
use serde_json::Value;

use crate::Result;

/// The stream that the rules clean.
pub(crate) const STREAM: &str = "bench.rows";
/// The name of the file that `canonicalize` needs.
pub(crate) const MAP: &str = "map";

/// Opens a rule on these text columns and the primary key `id`.
pub(crate) async fn open(plugin: &str, grants: Grants, config: &Value, columns: &[&str]) -> Result<RuleRun> {
    let engine = Engine::new(None)?;
    let folders =
        PluginFolders::new(std::env::var_os("HOST_PLUGINS").map(PathBuf::from), &Project::of_folder(Path::new(".")));
    let component = engine.load_found(&folders.find(plugin, Path::new("."))?, None)?;
    let field = |name: &&str| Field { name: (*name).to_owned(), data_type: Type::Text, metadata: BTreeMap::new() };
    let fields = ["id"].iter().chain(columns).map(field).collect();
    let schema = Schema { fields, primary_key: vec!["id".to_owned()], cursor: None };
    Ok(RulePlugin::new(&engine, &component, grants, config)
        .open(&[RuleInput { name: STREAM.to_owned(), schema }])
        .await?)
}
