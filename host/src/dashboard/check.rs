//! Checks what the JSON Schema of `dashboard.toml` cannot express: unique and known names, and queries that parse.

use std::collections::BTreeSet;

use host_core::error::{Error, nearest, unknown};
use host_document::{PathStep, SourceMap};
use host_models::{Graph, Model, reads};
use host_warehouse::Warehouse;

use super::file::{DashboardFile, FilterKind, Item, ItemKind};

/// Returns every problem of the file, each with its place.
pub(super) fn problems(
    file: &DashboardFile,
    source_map: &SourceMap,
    graph: &Graph,
    warehouse: &Warehouse,
) -> Vec<Error> {
    let mut checker = Checker { source_map, graph, warehouse, problems: Vec::new() };
    let mut seen = BTreeSet::new();
    for (at, filter) in file.filter.iter().enumerate() {
        let path = |key: &str| vec!["filter".into(), at.into(), key.into()];
        checker.unique(&mut seen, &filter.name, path("name"));
        checker.query(&filter.values, &[], path("values"));
        if filter.default.is_some() && filter.kind != FilterKind::One {
            checker.report(path("default"), "`default` is allowed only for a filter of kind `one`");
        }
    }
    let mut views: Vec<&str> = vec!["filter"];
    for (at, view) in file.view.iter().enumerate() {
        let path = |key: &str| vec!["view".into(), at.into(), key.into()];
        if views.contains(&view.name.as_str()) {
            checker.report(path("name"), &format!("duplicate name `{}`", view.name));
        }
        checker.query(&view.sql, &views, path("sql"));
        if let Some(mart) = &view.mart {
            let names: Vec<_> = graph.models().map(Model::name).collect();
            checker.known_name("model", mart, &names, path("mart"));
        }
        views.push(&view.name);
    }
    let mut seen = BTreeSet::new();
    for (section_at, section) in file.section.iter().enumerate() {
        for (at, item) in section.item.iter().enumerate() {
            let path = |key: &str| vec!["section".into(), section_at.into(), "item".into(), at.into(), key.into()];
            checker.unique(&mut seen, &item.name, path("name"));
            checker.query(&item.sql, &views, path("sql"));
            if let Some(trend) = &item.trend {
                checker.query(trend, &views, path("trend"));
            }
            checker.item(file, item, &path);
        }
    }
    checker.problems
}

/// Collects the problems of a file.
struct Checker<'a> {
    source_map: &'a SourceMap,
    graph: &'a Graph,
    warehouse: &'a Warehouse,
    problems: Vec<Error>,
}

impl Checker<'_> {
    fn report(&mut self, path: Vec<PathStep>, message: &str) {
        self.problems.push(Error::config(message).at(&self.source_map.at(&path)));
    }

    /// Reports a name that occurs twice.
    fn unique<'a>(&mut self, seen: &mut BTreeSet<&'a str>, name: &'a str, path: Vec<PathStep>) {
        if !seen.insert(name) {
            self.report(path, &format!("duplicate name `{name}`"));
        }
    }

    /// Reports a name that is not one of `names`.
    fn known_name(&mut self, what: &str, name: &str, names: &[String], path: Vec<PathStep>) {
        if names.iter().any(|known| known == name) {
            return;
        }
        let error = unknown(what, name, names.iter().map(String::as_str));
        self.problems.push(error.at(&self.source_map.at(&path)));
    }

    /// Checks the keys of an item that depend on other keys.
    fn item(&mut self, file: &DashboardFile, item: &Item, path: &dyn Fn(&str) -> Vec<PathStep>) {
        let is_chart = matches!(item.kind, ItemKind::Bar | ItemKind::Line | ItemKind::Curves);
        if is_chart && (item.x.is_none() || item.y.is_empty()) {
            self.report(path("kind"), "a chart of this kind needs `x` and `y`");
        }
        if item.trend.is_some() && item.kind != ItemKind::Figure {
            self.report(path("trend"), "`trend` is allowed only for an item of kind `figure`");
        }
        let filters: Vec<_> = file.filter.iter().map(|filter| filter.name.clone()).collect();
        for name in &item.without {
            self.known_name("filter", name, &filters, path("without"));
        }
        for name in item.filter_on_click.values() {
            self.known_name("filter", name, &filters, path("filter_on_click"));
        }
        let marts: Vec<_> = file.view.iter().filter(|view| view.mart.is_some()).map(|view| view.name.clone()).collect();
        let mut drills = BTreeSet::new();
        for name in &item.behind {
            self.known_name("view with a mart", name, &marts, path("behind"));
            let mart = file.view.iter().find(|view| view.name == *name).and_then(|view| view.mart.as_ref());
            for drill in mart.and_then(|mart| self.graph.model(mart)).iter().flat_map(|model| &model.config.drill) {
                if !drills.insert(drill.name.clone()) {
                    self.report(path("behind"), &format!("several of these marts have a drill `{}`", drill.name));
                }
            }
        }
    }

    /// Checks that a query parses, and reads only models and the filters and views before it.
    fn query(&mut self, sql: &str, views: &[&str], path: Vec<PathStep>) {
        let tables = match reads(sql, self.warehouse) {
            Ok(tables) => tables,
            Err(error) => return self.problems.push(error.at(&self.source_map.at(&path))),
        };
        let models: Vec<_> = self.graph.models().map(Model::name).collect();
        for table in tables {
            let bare = table.trim_start_matches('.');
            let is_known = models.iter().any(|model| model.eq_ignore_ascii_case(&table))
                || (table.starts_with('.') && views.iter().any(|view| view.eq_ignore_ascii_case(bare)));
            if is_known {
                continue;
            }
            let error = Error::config(format!("unknown model or view `{bare}`")).at(&self.source_map.at(&path));
            let near = nearest(bare, models.iter().map(String::as_str).chain(views.iter().copied()));
            self.problems.push(error.hint(near.unwrap_or_else(|| {
                "a dashboard query can read models, `filter` and earlier views, but no raw or clean tables".to_owned()
            })));
        }
    }
}
