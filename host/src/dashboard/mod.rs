//! Reads the dashboard that `dashboard.toml` declares, and runs the queries of its items and drills. The selected
//! values of the filters are the only parameter of each query.

mod check;
mod file;
mod selection;

use std::path::Path;

use host_core::error::{Error, FaultClass, Kind, Place, Result, nearest, unknown};
use host_document::SourceMap;
use host_models::{DrillConfig, Graph, Model};
use host_warehouse::{QueryResult, Row, Warehouse, quote_all};
use serde_json::{Value, json};

use crate::explain::DrillQuery;
use file::{DashboardFile, DashboardView, Filter, FilterKind, Item};

pub use file::schema;
pub use selection::FilterSelection;

/// A checked `dashboard.toml`.
#[derive(Debug, Clone)]
pub struct Dashboard {
    file: DashboardFile,
    /// The path of the file, as errors show it.
    name: String,
}

/// The rows that an item shows.
#[derive(Debug, serde::Serialize)]
pub struct ItemRows {
    /// The columns and rows of the item.
    #[serde(flatten)]
    pub rows: QueryResult,
    /// The past values of a figure, if it has a trend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trend: Option<QueryResult>,
}

impl Dashboard {
    /// Reads `dashboard.toml` from a models folder and checks it. Returns `None` if there is no such file.
    ///
    /// # Errors
    /// The file cannot be read, or has problems: all of them are one error.
    pub fn load(folder: &Path, graph: &Graph, warehouse: &Warehouse) -> Result<Option<Self>> {
        let path = folder.join("dashboard.toml");
        if !path.is_file() {
            return Ok(None);
        }
        let name = path.display().to_string();
        let text =
            std::fs::read_to_string(&path).map_err(|cause| Error::config(format!("cannot read `{name}`: {cause}")))?;
        let source_map = SourceMap::parse(&text, &name)?;
        let (value, _) = source_map.value(None);
        let file: DashboardFile = serde_json::from_value(value.clone()).map_err(|cause| {
            let violations = source_map.violations(&[], &schema(), &value);
            Error::all(violations).unwrap_or_else(|| Error::config(cause.to_string()).at(&Place::file(&name)))
        })?;
        Error::check(source_map.violations(&[], &schema(), &value))?;
        Error::check(check::problems(&file, &source_map, graph, warehouse))?;
        Ok(Some(Self { file, name }))
    }

    /// Returns the declaration as JSON for the page: `title`, `filters` with their values, and `sections` with their
    /// items.
    ///
    /// # Errors
    /// The query of a filter's values fails.
    pub fn declaration(&self, graph: &Graph, warehouse: &Warehouse) -> Result<Value> {
        let filter = |filter: &Filter| {
            let values = self.on_file(selection::values(filter, warehouse))?;
            let values: Vec<_> = match filter.kind {
                FilterKind::Period => values.iter().map(|day| day.chars().take(7).collect()).collect(),
                _ => values,
            };
            let Filter { name, kind, label, default, .. } = filter;
            Ok(json!({ "name": name, "kind": kind, "label": label, "values": values, "default": default }))
        };
        let filters = self.file.filter.iter().map(filter).collect::<Result<Vec<_>>>()?;
        let item = |item: &Item| {
            let drills = self.marts(item).filter_map(|(_, mart)| graph.model(mart)).flat_map(|mart| &mart.config.drill);
            let drills = drills.map(|drill| json!({ "name": drill.name, "description": drill.description }));
            let mut shown = json!(item);
            shown["drills"] = drills.collect();
            shown
        };
        let section = |section: &file::Section| {
            let items: Vec<_> = section.item.iter().map(item).collect();
            json!({ "label": section.label, "items": items })
        };
        let sections: Vec<_> = self.file.section.iter().map(section).collect();
        Ok(json!({ "title": self.file.title, "filters": filters, "sections": sections }))
    }

    /// Reads the selected values of the filters from the parameters of an address, as pairs of name and value.
    ///
    /// # Errors
    /// A parameter is not that of a filter, or a value cannot be selected.
    pub fn select(&self, parameters: &[(String, String)], warehouse: &Warehouse) -> Result<FilterSelection> {
        FilterSelection::read(&self.file.filter, parameters, warehouse)
    }

    /// Returns the rows of an item, and of its trend.
    ///
    /// # Errors
    /// The item does not exist, or a query fails.
    pub fn rows(&self, warehouse: &Warehouse, item: &str, selection: FilterSelection) -> Result<ItemRows> {
        let item = self.item(item)?;
        let parameter = selection.without(&self.file.filter, &item.without).parameter();
        let run = |sql: &String| {
            let sql = format!("{} SELECT * FROM ({sql}\n)", self.with_clause());
            self.on_file(warehouse.result(&sql, [parameter.as_str()]))
                .map_err(|error| error.on(format!("item `{}`", item.name)))
        };
        Ok(ItemRows { rows: run(&item.sql)?, trend: item.trend.as_ref().map(run).transpose()? })
    }

    /// Returns the drill query for an item, or for one row of the item if `key` has values of its `drill_key` columns.
    ///
    /// # Errors
    /// The item or the drill does not exist, or `key` has another column.
    pub fn behind<'a>(
        &'a self,
        (graph, warehouse): (&'a Graph, &'a Warehouse),
        (item, drill): (&str, &str),
        selection: FilterSelection,
        key: Row,
    ) -> Result<DrillQuery<'a>> {
        let item = self.item(item)?;
        let (view, model, drill) = self.drill(graph, item, drill)?;
        if let Some(column) = key.keys().find(|column| !item.drill_key.contains(column)) {
            let error = unknown("column", column, item.drill_key.iter().map(String::as_str));
            return Err(error.on(format!("the key of a row of item `{}`", item.name)));
        }
        let key_columns: Vec<_> = item.drill_key.iter().filter(|name| key.contains_key(*name)).cloned().collect();
        let columns = quote_all(drill.key.iter().map(String::as_str), "");
        let row = selection::row_condition(&key_columns);
        let keys = format!("{} SELECT DISTINCT {columns} FROM {} WHERE {row}", self.with_clause(), view.name);
        let parameter = selection.without(&self.file.filter, &item.without).with_row(key).parameter();
        Ok(DrillQuery::for_keys(warehouse, model, drill, keys, parameter))
    }

    /// Checks that an item exists, and that it has a drill of this name.
    ///
    /// # Errors
    /// The item or the drill does not exist. The hint lists the existing names.
    pub fn known(&self, graph: &Graph, item: &str, drill: Option<&str>) -> Result<()> {
        let item = self.item(item)?;
        drill.map_or(Ok(()), |drill| self.drill(graph, item, drill).map(drop))
    }

    /// Returns a drill of an item by its name, with its view and its mart.
    fn drill<'a>(
        &'a self,
        graph: &'a Graph,
        item: &'a Item,
        drill: &str,
    ) -> Result<(&'a DashboardView, &'a Model, &'a DrillConfig)> {
        let mut names = Vec::new();
        for (view, mart) in self.marts(item) {
            let Some(model) = graph.model(mart) else { continue };
            if let Some(found) = model.config.drill.iter().find(|other| other.name == drill) {
                return Ok((view, model, found));
            }
            names.extend(model.config.drill.iter().map(|drill| drill.name.as_str()));
        }
        Err(unknown("drill", drill, names).on(format!("item `{}`", item.name)))
    }

    /// Returns an item by its name.
    fn item(&self, name: &str) -> Result<&Item> {
        let items = || self.file.section.iter().flat_map(|section| &section.item);
        items().find(|item| item.name == name).ok_or_else(|| {
            let error = Error::config(format!("unknown item `{name}`"));
            let near = nearest(name, items().map(|item| item.name.as_str()));
            error.hint(near.unwrap_or_else(|| format!("the items are listed in `{}`", self.name)))
        })
    }

    /// Returns the views of an item that have a mart, each with its mart.
    fn marts<'a>(&'a self, item: &'a Item) -> impl Iterator<Item = (&'a DashboardView, &'a String)> {
        let view = |name: &String| self.file.view.iter().find(|view| view.name == *name);
        item.behind.iter().filter_map(move |name| view(name).and_then(|view| Some((view, view.mart.as_ref()?))))
    }

    /// Returns the `WITH` clause that defines the filters and the views.
    fn with_clause(&self) -> String {
        let views = self.file.view.iter().map(|DashboardView { name, sql, .. }| format!(", {name} AS ({sql}\n)"));
        format!("WITH {}{}", selection::filter_table(&self.file.filter), views.collect::<String>())
    }

    /// Turns an error of the database into a configuration error of the file. Its hint covers models that are not built
    /// yet.
    fn on_file<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| {
            if error.kind != Kind::Internal {
                return error;
            }
            let is_missing = error.is_fault(FaultClass::Catalog);
            let hint = is_missing.then(|| "build the models: `host run PIPELINE` or `host build PIPELINE`".to_owned());
            error.with_kind(Kind::Config).at(&Place::file(&self.name)).maybe_hint(hint)
        })
    }
}
