//! Infers the order of models from their queries. Cycles, unknown tables and unknown variables are errors.

use std::collections::{BTreeMap, BTreeSet};

use host_core::error::{Error, Result, nearest, unknown};
use host_document::PathStep;
use host_warehouse::{Table, Warehouse};

use crate::files::{Model, ModelKind};
use crate::parse::{ParseError, parse_expression};
use crate::query::Query;

/// The models in dependency order, and the checks.
#[derive(Debug)]
pub struct Graph {
    models: Vec<Model>,
    checks: Vec<Model>,
    /// The models that each model or check reads. Keys and values are `schema.name`.
    pub edges: BTreeMap<String, Vec<String>>,
    /// The tables that each model or check reads and that are not models. Keys are `schema.name`.
    pub external_tables: BTreeMap<String, Vec<Table>>,
    queries: BTreeMap<String, Query>,
    /// The parsed queries of tests and drills, by model and name.
    config_queries: BTreeMap<(String, String), Query>,
}

/// Returns whether the models may read a table that is not a model, and it exists or will exist after the streams are
/// loaded.
pub type TableExists<'a> = dyn Fn(&Table) -> bool + 'a;

impl Graph {
    /// Parses every query. Returns all problems as one error.
    pub(super) fn new(
        files: Vec<Model>,
        warehouse: &Warehouse,
        variables: &BTreeMap<String, String>,
        exists: &TableExists<'_>,
    ) -> Result<Self> {
        let models = files.iter().filter(|file| file.kind != ModelKind::Check);
        let known = models.map(|file| (file.name().to_lowercase(), file.table.clone())).collect();
        let mut reader = QueryReader { known, warehouse, variables, exists, problems: Vec::new() };
        let mut graph = Self {
            models: Vec::new(),
            checks: Vec::new(),
            edges: BTreeMap::new(),
            external_tables: BTreeMap::new(),
            queries: BTreeMap::new(),
            config_queries: BTreeMap::new(),
        };
        reader.problems.extend(ambiguous_schema(&files, warehouse)?);
        for model in &files {
            if model.kind != ModelKind::Seed {
                reader.model(model, &mut graph);
            }
            reader.config_queries(model, &mut graph);
        }
        Error::check(reader.problems)?;
        let (checks, models): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| file.kind == ModelKind::Check);
        graph.models = sort(models, &graph)?;
        graph.checks = checks;
        Ok(graph)
    }

    /// Returns seeds, views and tables in the order in which they are built.
    pub fn models(&self) -> impl Iterator<Item = &Model> {
        self.models.iter()
    }

    /// Returns the checks.
    pub fn checks(&self) -> impl Iterator<Item = &Model> {
        self.checks.iter()
    }

    /// Returns the models in build order, then the checks.
    pub fn all(&self) -> impl Iterator<Item = &Model> {
        self.models.iter().chain(&self.checks)
    }

    /// Returns the model or check with the name `schema.name`, ignoring ASCII case.
    #[must_use]
    pub fn model(&self, name: &str) -> Option<&Model> {
        self.all().find(|model| model.name().eq_ignore_ascii_case(name))
    }

    /// Returns the names of the models that a model or check reads.
    #[must_use]
    pub fn reads(&self, name: &str) -> &[String] {
        self.edges.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns the parsed query of a model. `None` for a seed.
    pub(super) fn query(&self, name: &str) -> Option<&Query> {
        self.queries.get(name)
    }

    /// Returns the parsed query of a test or drill of a model.
    pub(super) fn config_query(&self, model: &Model, name: &str) -> Option<&Query> {
        self.config_queries.get(&(model.name(), name.to_owned()))
    }
}

/// A schema with the name of the warehouse file is ambiguous in every query of DuckDB.
fn ambiguous_schema(files: &[Model], warehouse: &Warehouse) -> Result<Option<Error>> {
    let database = warehouse.database()?;
    let model = files.iter().find(|file| file.table.schema.eq_ignore_ascii_case(&database));
    Ok(model.map(|model| {
        let error = Error::config(format!("the schema has the same name as the warehouse file, `{database}`"));
        model.error(None, error).hint("rename the folder or the warehouse file: DuckDB cannot distinguish the two")
    }))
}

/// Parses queries and resolves the names in them.
struct QueryReader<'a> {
    /// The models, by `schema.name` in lower case.
    known: BTreeMap<String, Table>,
    warehouse: &'a Warehouse,
    variables: &'a BTreeMap<String, String>,
    exists: &'a TableExists<'a>,
    problems: Vec<Error>,
}

impl QueryReader<'_> {
    fn model(&mut self, model: &Model, graph: &mut Graph) {
        let query = match Query::parse(&model.text, self.warehouse) {
            Ok(query) => query,
            Err(ParseError { line, error, .. }) => return self.problems.push(model.error(line, error)),
        };
        let named = model.config.depends_on.iter().filter_map(|name| name.split_once('.'));
        let named = named.map(|(schema, name)| (Table::new(schema, name), None));
        let (mut reads, mut external) = (BTreeSet::new(), BTreeSet::new());
        for (table, line) in query.tables().into_iter().chain(named) {
            match self.resolve(&table) {
                Ok(Some(known)) => drop(reads.insert(known.full_name())),
                Ok(None) => drop(external.insert(table)),
                Err(error) => self.problems.push(model.error(line, error)),
            }
        }
        let references = query.variables.named.iter();
        for named in references.filter(|named| !named.has_default && !self.variables.contains_key(&named.name)) {
            let names: Vec<_> = self.variables.keys().map(String::as_str).collect();
            let error = unknown("variable", &named.name, names.iter().copied());
            let hint = format!("set the variable in `[marts]`: `variables = {{ {} = \"…\" }}`", named.name);
            self.problems.push(model.error(named.line, error.hint(hint)));
        }
        graph.edges.insert(model.name(), reads.into_iter().collect());
        graph.external_tables.insert(model.name(), external.into_iter().collect());
        graph.queries.insert(model.name(), query);
    }

    /// Parses the queries of tests and drills, and resolves the tables that columns reference.
    fn config_queries(&mut self, model: &Model, graph: &mut Graph) {
        let config = &model.config;
        let tests = config.test.iter().enumerate().map(|(index, test)| ("test", index, &test.name, &test.sql));
        let drills = config.drill.iter().enumerate().map(|(index, drill)| ("drill", index, &drill.name, &drill.sql));
        for (key, index, name, sql) in tests.chain(drills) {
            let place = model.place(&[key.into(), index.into(), "sql".into()]);
            let on = |line: Option<usize>, error: Error| {
                let line = line.filter(|line| *line > 1).map(|line| format!(", line {line}")).unwrap_or_default();
                error.on(format!("{key} `{name}`{line}")).at(&place)
            };
            match Query::parse(sql.trim().trim_end_matches(';'), self.warehouse) {
                Ok(query) => {
                    let tables = query.tables();
                    let errors =
                        tables.into_iter().filter_map(|(table, line)| Some(on(line, self.resolve(&table).err()?)));
                    let errors: Vec<_> = errors.collect();
                    self.problems.extend(errors);
                    graph.config_queries.insert((model.name(), name.clone()), query);
                }
                Err(ParseError { line, error, .. }) => self.problems.push(on(line, error)),
            }
        }
        for (index, drill) in config.drill.iter().enumerate() {
            for (column, aggregate) in &drill.agrees {
                if let Err(failure) = parse_expression(aggregate, self.warehouse) {
                    let path: [PathStep; 4] = ["drill".into(), index.into(), "agrees".into(), column.as_str().into()];
                    self.problems.push(failure.error.at(&model.place(&path)));
                }
            }
        }
        for (index, column) in config.column.iter().enumerate() {
            let Some((table, _)) = column.references.as_ref().and_then(|target| target.rsplit_once('.')) else {
                continue;
            };
            let table = table.split_once('.').map(|(schema, name)| Table::new(schema, name));
            if let Some(Err(error)) = table.map(|table| self.resolve(&table)) {
                let path: [PathStep; 3] = ["column".into(), index.into(), "references".into()];
                self.problems.push(error.at(&model.place(&path)));
            }
        }
    }

    /// Returns the model with this name. `None` if the name is that of another existing table.
    fn resolve(&self, table: &Table) -> Result<Option<Table>> {
        let name = table.full_name();
        if let Some(known) = self.known.get(&name.to_lowercase()) {
            return Ok(Some(known.clone()));
        }
        if (self.exists)(table) {
            return Ok(None);
        }
        if !table.schema.is_empty() && self.warehouse.exists(table)? {
            let error = Error::config(format!("the models may not read `{name}`"));
            return Err(error.hint(format!("allow it in `[marts]` of the pipeline: `reads = [\"{name}\"]`")));
        }
        if table.schema.is_empty() {
            let suffix = format!(".{}", table.name.to_lowercase());
            let mut candidates: BTreeSet<_> =
                self.known.keys().filter(|name| name.ends_with(&suffix)).cloned().collect();
            let sql = "SELECT DISTINCT schema_name || '.' || table_name AS name FROM duckdb_columns() \
                       WHERE table_name = ? AND database_name = current_database() AND NOT internal";
            candidates.extend(self.warehouse.values::<String>(sql, [&table.name])?);
            if !candidates.is_empty() {
                let error = Error::config(format!("`{}` has no schema", table.name));
                let candidates: Vec<_> = candidates.iter().map(|name| format!("`{name}`")).collect();
                return Err(error.hint(format!("write {}", candidates.join(" or "))));
            }
        }
        let name = if table.schema.is_empty() { &table.name } else { &name };
        let known = self.known.values().map(Table::full_name).collect::<Vec<_>>();
        let hint = nearest(name, known.iter().map(String::as_str)).unwrap_or_else(|| {
            "write it as `schema.name`; raw and clean tables exist once a run has loaded them".to_owned()
        });
        Err(Error::config(format!("unknown table `{name}`")).hint(hint))
    }
}

/// Sorts models into dependency order. Depth-first, so that a cycle is reported with its path.
fn sort(models: Vec<Model>, graph: &Graph) -> Result<Vec<Model>> {
    let (mut order, mut path) = (Vec::new(), Vec::new());
    for model in &models {
        if let Err(cycle) = visit(&model.name(), &graph.edges, &mut order, &mut path) {
            let first = models.iter().find(|model| model.name() == cycle[0]).unwrap_or(model);
            let tables = graph.query(&cycle[0]).map(Query::tables).unwrap_or_default();
            let next = tables.into_iter().find(|(table, _)| is_named(table, &cycle[1]));
            let message = format!("circular dependency: {}", cycle.join(" → "));
            return Err(first.error(next.and_then(|(_, line)| line), Error::config(message)));
        }
    }
    let mut by_name: BTreeMap<_, _> = models.into_iter().map(|model| (model.name(), model)).collect();
    Ok(order.iter().filter_map(|name| by_name.remove(name)).collect())
}

/// Whether a table has the name `schema.name`, ignoring ASCII case.
pub(super) fn is_named(table: &Table, name: &str) -> bool {
    table.full_name().eq_ignore_ascii_case(name)
}

/// Adds a model to `order` after the models that it reads. Returns a cycle as its path, which ends with its first
/// model.
fn visit(
    name: &str,
    edges: &BTreeMap<String, Vec<String>>,
    order: &mut Vec<String>,
    path: &mut Vec<String>,
) -> Result<(), Vec<String>> {
    if order.iter().any(|done| done == name) {
        return Ok(());
    }
    if let Some(start) = path.iter().position(|above| above == name) {
        return Err(path[start..].iter().cloned().chain([name.to_owned()]).collect());
    }
    path.push(name.to_owned());
    for dependency in edges.get(name).into_iter().flatten() {
        visit(dependency, edges, order, path)?;
    }
    path.pop();
    order.push(name.to_owned());
    Ok(())
}
