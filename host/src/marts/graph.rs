//! The order of models, inferred from their queries; circles, unknown tables and unknown variables are errors.

use std::collections::{BTreeMap, BTreeSet};

use super::ast::{Query, Syntax};
use super::files::{Materialized, Model, unknown};
use crate::error::{Error, Result, nearest};
use crate::pipeline::Step;
use crate::warehouse::{Table, Warehouse};

/// Models in the order of their dependencies, checks last.
#[derive(Debug)]
pub struct Graph {
    models: Vec<Model>,
    checks: Vec<Model>,
    /// By `schema.name`: the models that it reads.
    pub edges: BTreeMap<String, Vec<String>>,
    /// By `schema.name`: the tables that it reads and that no model makes.
    pub outside: BTreeMap<String, Vec<Table>>,
    queries: BTreeMap<String, Query>,
    /// By model and name: the queries of its tests and drills.
    beside: BTreeMap<(String, String), Query>,
}

/// Whether a table that no model makes is there, or will be once the streams are loaded.
pub type Exists<'a> = dyn Fn(&Table) -> bool + 'a;

impl Graph {
    /// Parses every query; all problems are one error.
    pub(super) fn new(
        files: Vec<Model>,
        warehouse: &Warehouse,
        variables: &BTreeMap<String, String>,
        exists: &Exists<'_>,
    ) -> Result<Self> {
        let models = files.iter().filter(|file| file.kind != Materialized::Check);
        let known = models.map(|file| (file.name().to_lowercase(), file.table.clone())).collect();
        let mut reader = Reader { known, warehouse, variables, exists, problems: Vec::new() };
        let mut graph = Self {
            models: Vec::new(),
            checks: Vec::new(),
            edges: BTreeMap::new(),
            outside: BTreeMap::new(),
            queries: BTreeMap::new(),
            beside: BTreeMap::new(),
        };
        reader.problems.extend(named_like_the_file(&files, warehouse)?);
        for model in &files {
            if model.kind != Materialized::Seed {
                reader.model(model, &mut graph);
            }
            reader.tests(model, &mut graph);
        }
        Error::all(reader.problems).map_or(Ok(()), Err)?;
        let (checks, models): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| file.kind == Materialized::Check);
        graph.models = sort(models, &graph)?;
        graph.checks = checks;
        Ok(graph)
    }

    /// Seeds, views and tables in the order of building.
    pub fn models(&self) -> impl Iterator<Item = &Model> {
        self.models.iter()
    }

    /// Checks.
    pub fn checks(&self) -> impl Iterator<Item = &Model> {
        self.checks.iter()
    }

    /// All files.
    pub fn all(&self) -> impl Iterator<Item = &Model> {
        self.models.iter().chain(&self.checks)
    }

    /// The file of a `schema.name`.
    #[must_use]
    pub fn model(&self, name: &str) -> Option<&Model> {
        self.all().find(|model| model.name().eq_ignore_ascii_case(name))
    }

    /// The models that one reads.
    #[must_use]
    pub fn reads(&self, name: &str) -> &[String] {
        self.edges.get(name).map_or(&[], Vec::as_slice)
    }

    /// The parsed query of a model; none of a seed.
    pub(super) fn query(&self, name: &str) -> Option<&Query> {
        self.queries.get(name)
    }

    /// The parsed query of a model's test or drill.
    pub(super) fn query_beside(&self, model: &Model, name: &str) -> Option<&Query> {
        self.beside.get(&(model.name(), name.to_owned()))
    }
}

/// A schema named like the warehouse's file is ambiguous to DuckDB wherever it is written.
fn named_like_the_file(files: &[Model], warehouse: &Warehouse) -> Result<Option<Error>> {
    let database = warehouse.value("SELECT current_database()", &[])?.unwrap_or_default();
    let model = files.iter().find(|file| file.table.schema.eq_ignore_ascii_case(&database));
    Ok(model.map(|model| {
        let error = Error::config(format!("its schema is named like the warehouse's file, `{database}`"));
        model.error(None, error).hint("rename the folder or the file: DuckDB cannot tell which of them is meant")
    }))
}

struct Reader<'a> {
    known: BTreeMap<String, Table>,
    warehouse: &'a Warehouse,
    variables: &'a BTreeMap<String, String>,
    exists: &'a Exists<'a>,
    problems: Vec<Error>,
}

impl Reader<'_> {
    fn model(&mut self, model: &Model, graph: &mut Graph) {
        let query = match Query::parse(&model.text, self.warehouse) {
            Ok(query) => query,
            Err(Syntax { line, error }) => return self.problems.push(model.error(line, error)),
        };
        let named = model.config.depends_on.iter().filter_map(|name| name.split_once('.'));
        let named = named.map(|(schema, name)| (Table::new(schema, name), None));
        let (mut reads, mut outside) = (BTreeSet::new(), BTreeSet::new());
        for (table, line) in query.tables().into_iter().chain(named) {
            match self.resolve(&table) {
                Ok(Some(known)) => drop(reads.insert(format!("{}.{}", known.schema, known.name))),
                Ok(None) => drop(outside.insert(table)),
                Err(error) => self.problems.push(model.error(line, error)),
            }
        }
        let unset = query.variables.named.iter();
        for named in unset.filter(|named| !named.has_default && !self.variables.contains_key(&named.name)) {
            let names: Vec<_> = self.variables.keys().map(String::as_str).collect();
            let error = unknown("variable", &named.name, &names);
            let there = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let hint = format!("give it a value in `variables` of `[marts]`; there are {there}");
            self.problems.push(model.error(named.line, Error { hint: Some(hint), ..error }));
        }
        graph.edges.insert(model.name(), reads.into_iter().collect());
        graph.outside.insert(model.name(), outside.into_iter().collect());
        graph.queries.insert(model.name(), query);
    }

    /// The queries beside a model, and the tables that its columns refer to.
    fn tests(&mut self, model: &Model, graph: &mut Graph) {
        let config = &model.config;
        let tests = config.test.iter().enumerate().map(|(index, test)| ("test", index, &test.name, &test.sql));
        let drills = config.drill.iter().enumerate().map(|(index, drill)| ("drill", index, &drill.name, &drill.sql));
        for (key, index, name, sql) in tests.chain(drills) {
            let place = model.place(&[key.into(), index.into(), "sql".into()]);
            let on = |line: Option<usize>, error: Error| {
                let line = line.filter(|line| *line > 1).map(|line| format!(" line {line}:")).unwrap_or_default();
                error.on(format!("{place}: {key} `{name}`:{line}").trim_end_matches(':'))
            };
            match Query::parse(sql.trim().trim_end_matches(';'), self.warehouse) {
                Ok(query) => {
                    let tables = query.tables();
                    let wrong =
                        tables.into_iter().filter_map(|(table, line)| Some((self.resolve(&table).err()?, line)));
                    let wrong: Vec<_> = wrong.map(|(error, line)| on(line, error)).collect();
                    self.problems.extend(wrong);
                    graph.beside.insert((model.name(), name.clone()), query);
                }
                Err(Syntax { line, error }) => self.problems.push(on(line, error)),
            }
        }
        for (index, column) in config.column.iter().enumerate() {
            let Some((table, _)) = column.references.as_ref().and_then(|target| target.rsplit_once('.')) else {
                continue;
            };
            let table = table.split_once('.').map(|(schema, name)| Table::new(schema, name));
            if let Some(Err(error)) = table.map(|table| self.resolve(&table)) {
                let path: [Step; 3] = ["column".into(), index.into(), "references".into()];
                self.problems.push(error.on(model.place(&path)));
            }
        }
    }

    /// The model that a name means; none where it is another table that is there.
    fn resolve(&self, table: &Table) -> Result<Option<Table>> {
        let name = format!("{}.{}", table.schema, table.name);
        if let Some(known) = self.known.get(&name.to_lowercase()) {
            return Ok(Some(known.clone()));
        }
        if (self.exists)(table) {
            return Ok(None);
        }
        if table.schema.is_empty() {
            let ends = format!(".{}", table.name.to_lowercase());
            let mut could: BTreeSet<_> = self.known.keys().filter(|name| name.ends_with(&ends)).cloned().collect();
            let sql = "SELECT DISTINCT schema_name || '.' || table_name AS name FROM duckdb_columns() \
                       WHERE table_name = ? AND database_name = current_database() AND NOT internal";
            let others = self.warehouse.query(sql, &[&table.name])?;
            could.extend(others.iter().filter_map(|row| row.get("name")?.as_str().map(str::to_owned)));
            if !could.is_empty() {
                let error = Error::config(format!("`{}` names no schema", table.name));
                let could: Vec<_> = could.iter().map(|name| format!("`{name}`")).collect();
                return Err(error.hint(format!("it could be {}: write which", could.join(" or "))));
            }
        }
        let name = name.trim_start_matches('.');
        let known = self.known.values().map(|table| format!("{}.{}", table.schema, table.name)).collect::<Vec<_>>();
        let hint = nearest(name, known.iter().map(String::as_str)).unwrap_or_else(|| {
            "write it as `schema.name`; raw and clean tables exist once a run has loaded them".to_owned()
        });
        Err(Error::config(format!("unknown table `{name}`")).hint(hint))
    }
}

/// Depth first, so that a circle is found with its path.
fn sort(models: Vec<Model>, graph: &Graph) -> Result<Vec<Model>> {
    let (mut order, mut path) = (Vec::new(), Vec::new());
    for model in &models {
        if let Err(circle) = visit(&model.name(), &graph.edges, &mut order, &mut path) {
            let first = models.iter().find(|model| model.name() == circle[0]).unwrap_or(model);
            let tables = graph.query(&circle[0]).map(Query::tables).unwrap_or_default();
            let next = tables.into_iter().find(|(table, _)| same(table, &circle[1]));
            let message = format!("models depend on each other in a circle: {}", circle.join(" → "));
            return Err(first.error(next.and_then(|(_, line)| line), Error::config(message)));
        }
    }
    let mut by_name: BTreeMap<_, _> = models.into_iter().map(|model| (model.name(), model)).collect();
    Ok(order.iter().filter_map(|name| by_name.remove(name)).collect())
}

/// Whether a table as a query writes it is the one of this `schema.name`.
pub(super) fn same(table: &Table, name: &str) -> bool {
    format!("{}.{}", table.schema, table.name).eq_ignore_ascii_case(name)
}

/// Adds a model after those that it reads; a circle is an error that lists it, its first again at the end.
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
