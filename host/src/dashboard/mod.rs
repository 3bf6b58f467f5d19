//! The first page as `dashboard.toml` declares it: filters, figures, charts, and what is behind each. Queries on models,
//! with what is chosen as their one parameter.

mod check;
mod chosen;
mod file;

use std::path::Path;

use serde_json::{Value, json};

use crate::error::{Error, Kind, Result, nearest};
use crate::explain::Drilling;
use crate::marts::{Drill, Graph, Model};
use crate::pipeline::Places;
use crate::warehouse::{Answer, Row, Warehouse};
use file::{File, Filter, FilterKind, Item, View};

pub use chosen::Chosen;
pub use file::schema;

/// A checked declaration.
#[derive(Debug, Clone)]
pub struct Dashboard {
    file: File,
    /// How errors call the file.
    name: String,
}

/// What an item shows.
#[derive(Debug, serde::Serialize)]
pub struct ItemRows {
    /// Its columns and rows.
    #[serde(flatten)]
    pub rows: Answer,
    /// Of a figure: its past.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trend: Option<Answer>,
}

impl Dashboard {
    /// Reads `dashboard.toml` of a folder of models and checks it against them; none where the folder has none.
    pub fn load(folder: &Path, graph: &Graph, warehouse: &Warehouse) -> Result<Option<Self>> {
        let path = folder.join("dashboard.toml");
        if !path.is_file() {
            return Ok(None);
        }
        let name = path.display().to_string();
        let text = std::fs::read_to_string(&path).map_err(|cause| Error::config(format!("{name}: {cause}")))?;
        let places = Places::parse(&text, &name)?;
        let (value, _) = places.value(None);
        let file: File = serde_json::from_value(value.clone()).map_err(|cause| {
            let violations = places.violations(&[], &schema(), &value);
            Error::all(violations).unwrap_or_else(|| Error::config(format!("{name}: {cause}")))
        })?;
        Error::all(places.violations(&[], &schema(), &value)).map_or(Ok(()), Err)?;
        Error::all(check::problems(&file, &places, graph, warehouse)).map_or(Ok(()), Err)?;
        Ok(Some(Self { file, name }))
    }

    /// The declaration with the filters' values and the drills, for the page.
    pub fn declaration(&self, graph: &Graph, warehouse: &Warehouse) -> Result<Value> {
        let filter = |filter: &Filter| {
            let values = self.told(chosen::values(filter, warehouse))?;
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

    /// Reads what an address chooses of the filters; names that are none of theirs are an error.
    pub fn choose(&self, asked: &[(String, String)], warehouse: &Warehouse) -> Result<Chosen> {
        Chosen::read(&self.file.filter, asked, warehouse)
    }

    /// What an item shows.
    pub fn rows(&self, warehouse: &Warehouse, item: &str, chosen: Chosen) -> Result<ItemRows> {
        let item = self.item(item)?;
        let parameter = chosen.without(&self.file.filter, &item.without).parameter();
        let answer = |sql: &String| {
            let sql = format!("{} SELECT * FROM ({sql}\n)", self.with());
            self.told(warehouse.answer(&sql, &[&parameter])).map_err(|error| error.on(format!("item `{}`", item.name)))
        };
        Ok(ItemRows { rows: answer(&item.sql)?, trend: item.trend.as_ref().map(answer).transpose()? })
    }

    /// The rows behind an item, or behind one of its rows by `key`, as a drill of its marts gives them.
    pub fn behind<'a>(
        &'a self,
        (graph, warehouse): (&'a Graph, &'a Warehouse),
        (item, drill): (&str, &str),
        chosen: Chosen,
        key: Row,
    ) -> Result<Drilling<'a>> {
        let item = self.item(item)?;
        let (view, model, drill) = self.drill(graph, item, drill)?;
        let narrowed: Vec<_> = item.drill_key.iter().filter(|name| key.contains_key(*name)).cloned().collect();
        let columns = crate::warehouse::quote_all(drill.key.iter().map(String::as_str), "");
        let row = chosen::is_row(&narrowed);
        let wanted = format!("{} SELECT DISTINCT {columns} FROM {} WHERE {row}", self.with(), view.name);
        let parameter = chosen.without(&self.file.filter, &item.without).of_row(key).parameter();
        Ok(Drilling::of(warehouse, model, drill, wanted, parameter))
    }

    /// Whether there is such an item, and such a drill of it; an error says what there is.
    pub fn known(&self, graph: &Graph, item: &str, drill: Option<&str>) -> Result<()> {
        let item = self.item(item)?;
        drill.map_or(Ok(()), |drill| self.drill(graph, item, drill).map(drop))
    }

    /// The view, the mart and the drill behind an item that are meant.
    fn drill<'a>(&'a self, graph: &'a Graph, item: &'a Item, drill: &str) -> Result<(&'a View, &'a Model, &'a Drill)> {
        let mut names = Vec::new();
        for (view, mart) in self.marts(item) {
            let Some(model) = graph.model(mart) else { continue };
            if let Some(found) = model.config.drill.iter().find(|known| known.name == drill) {
                return Ok((view, model, found));
            }
            names.extend(model.config.drill.iter().map(|drill| drill.name.as_str()));
        }
        let error = Error::config(format!("item `{}` has no drill `{drill}`", item.name));
        Err(error.hint(nearest(drill, names.iter().copied()).unwrap_or_else(|| match names.as_slice() {
            [] => "it has none".to_owned(),
            names => format!("there are {}", names.join(", ")),
        })))
    }

    fn item(&self, name: &str) -> Result<&Item> {
        let items = || self.file.section.iter().flat_map(|section| &section.item);
        items().find(|item| item.name == name).ok_or_else(|| {
            let error = Error::config(format!("no figure or chart `{name}`"));
            let near = nearest(name, items().map(|item| item.name.as_str()));
            error.hint(near.unwrap_or_else(|| format!("{} lists them", self.name)))
        })
    }

    /// The views behind an item, each with its mart.
    fn marts<'a>(&'a self, item: &'a Item) -> impl Iterator<Item = (&'a View, &'a String)> {
        let view = |name: &String| self.file.view.iter().find(|view| view.name == *name);
        item.behind.iter().filter_map(move |name| view(name).and_then(|view| Some((view, view.mart.as_ref()?))))
    }

    /// The filters and the views, for a query after them.
    fn with(&self) -> String {
        let views = self.file.view.iter().map(|View { name, sql, .. }| format!(", {name} AS ({sql}\n)"));
        format!("WITH {}{}", chosen::table(&self.file.filter), views.collect::<String>())
    }

    /// An error of a query is the file's, or there is nothing built to read yet.
    fn told<T>(&self, answer: Result<T>) -> Result<T> {
        answer.map_err(|error| match error.kind {
            Kind::Internal if error.message.starts_with("Catalog Error") => {
                let first = error.message.lines().next().unwrap_or_default().to_owned();
                Error::config(format!("{}: {first}", self.name))
                    .hint("the models were not built since: `host run PIPELINE` or `host build PIPELINE` builds them")
            }
            Kind::Internal => Error::config(error.message).on(&self.name),
            _ => error,
        })
    }
}
