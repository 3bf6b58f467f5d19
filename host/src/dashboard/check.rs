//! What the shape of `dashboard.toml` cannot say: names that are known, unique, and of models; queries that parse.

use std::collections::BTreeSet;

use super::file::{File, FilterKind, Item, ItemKind};
use crate::error::{Error, nearest};
use crate::marts::{Graph, reads};
use crate::pipeline::{Places, Step};
use crate::warehouse::Warehouse;

/// Every problem of the file, each at its place.
pub(super) fn problems(file: &File, places: &Places, graph: &Graph, warehouse: &Warehouse) -> Vec<Error> {
    let mut check = Check { places, graph, warehouse, problems: Vec::new() };
    let mut seen = BTreeSet::new();
    for (at, filter) in file.filter.iter().enumerate() {
        let path = |key: &str| vec!["filter".into(), at.into(), key.into()];
        check.once(&mut seen, &filter.name, path("name"));
        check.query(&filter.values, &[], path("values"));
        if filter.default.is_some() && filter.kind != FilterKind::One {
            check.wrong(path("default"), "only a filter of kind `one` has a default");
        }
    }
    let mut views: Vec<&str> = vec!["filter"];
    for (at, view) in file.view.iter().enumerate() {
        let path = |key: &str| vec!["view".into(), at.into(), key.into()];
        if views.contains(&view.name.as_str()) {
            check.wrong(path("name"), &format!("`{}` is there already", view.name));
        }
        check.query(&view.sql, &views, path("sql"));
        if let Some(mart) = &view.mart {
            let names: Vec<_> = graph.models().map(crate::marts::Model::name).collect();
            check.known("model", mart, &names, path("mart"));
        }
        views.push(&view.name);
    }
    let mut seen = BTreeSet::new();
    for (section_at, section) in file.section.iter().enumerate() {
        for (at, item) in section.item.iter().enumerate() {
            let path = |key: &str| vec!["section".into(), section_at.into(), "item".into(), at.into(), key.into()];
            check.once(&mut seen, &item.name, path("name"));
            check.query(&item.sql, &views, path("sql"));
            if let Some(trend) = &item.trend {
                check.query(trend, &views, path("trend"));
            }
            check.item(file, item, &path);
        }
    }
    check.problems
}

struct Check<'a> {
    places: &'a Places,
    graph: &'a Graph,
    warehouse: &'a Warehouse,
    problems: Vec<Error>,
}

impl Check<'_> {
    fn wrong(&mut self, path: Vec<Step>, message: &str) {
        self.problems.push(Error::config(message).on(self.places.at(&path)));
    }

    fn once<'a>(&mut self, seen: &mut BTreeSet<&'a str>, name: &'a str, path: Vec<Step>) {
        if !seen.insert(name) {
            self.wrong(path, &format!("`{name}` is there already"));
        }
    }

    fn known(&mut self, what: &str, name: &str, names: &[String], path: Vec<Step>) {
        if names.iter().any(|known| known == name) {
            return;
        }
        let error = Error::config(format!("no {what} `{name}`")).on(self.places.at(&path));
        let near = nearest(name, names.iter().map(String::as_str));
        self.problems.push(error.hint(near.unwrap_or_else(|| format!("there are {}", names.join(", ")))));
    }

    fn item(&mut self, file: &File, item: &Item, path: &dyn Fn(&str) -> Vec<Step>) {
        let is_drawn = matches!(item.kind, ItemKind::Bar | ItemKind::Line | ItemKind::Curves);
        if is_drawn && (item.x.is_none() || item.y.is_empty()) {
            self.wrong(path("kind"), "a chart of this kind needs `x` and `y`");
        }
        if item.trend.is_some() && item.kind != ItemKind::Figure {
            self.wrong(path("trend"), "only a figure has a past");
        }
        let filters: Vec<_> = file.filter.iter().map(|filter| filter.name.clone()).collect();
        for name in &item.without {
            self.known("filter", name, &filters, path("without"));
        }
        for name in item.filter_on_click.values() {
            self.known("filter", name, &filters, path("filter_on_click"));
        }
        let marts: Vec<_> = file.view.iter().filter(|view| view.mart.is_some()).map(|view| view.name.clone()).collect();
        let mut drills = BTreeSet::new();
        for name in &item.behind {
            self.known("view with a mart", name, &marts, path("behind"));
            let mart = file.view.iter().find(|view| view.name == *name).and_then(|view| view.mart.as_ref());
            for drill in mart.and_then(|mart| self.graph.model(mart)).iter().flat_map(|model| &model.config.drill) {
                if !drills.insert(drill.name.clone()) {
                    self.wrong(path("behind"), &format!("two of these marts have a drill `{}`", drill.name));
                }
            }
        }
    }

    /// One query, of models and of what stands before it.
    fn query(&mut self, sql: &str, views: &[&str], path: Vec<Step>) {
        let tables = match reads(sql, self.warehouse) {
            Ok(tables) => tables,
            Err(error) => return self.problems.push(error.on(self.places.at(&path))),
        };
        let models: Vec<_> = self.graph.models().map(crate::marts::Model::name).collect();
        for table in tables {
            let bare = table.trim_start_matches('.');
            let is_known = models.iter().any(|model| model.eq_ignore_ascii_case(&table))
                || (table.starts_with('.') && views.iter().any(|view| view.eq_ignore_ascii_case(bare)));
            if is_known {
                continue;
            }
            let error = Error::config(format!("no model or view `{bare}`")).on(self.places.at(&path));
            let near = nearest(bare, models.iter().map(String::as_str).chain(views.iter().copied()));
            self.problems.push(error.hint(near.unwrap_or_else(|| {
                "a query here reads models, `filter`, and the views above it; never raw or clean records".to_owned()
            })));
        }
    }
}
