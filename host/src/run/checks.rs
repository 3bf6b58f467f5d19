//! What is checked before anything is written: streams, rules, models, reports, the command's own selection.

use super::{Context, Discovered, Options, Selected};
use crate::clean;
use crate::error::{Error, Result};
use crate::marts::{self, Graph};
use crate::pipeline::InputName;
use crate::prepare::{Chosen, PreparedRule, PreparedSource, Skipped};
use crate::schema::Stream;
use crate::warehouse::{LoadedStream, Table, Warehouse};

impl Context<'_> {
    /// Opens every rule on the schema that its streams will have.
    pub async fn check_rules(
        &self,
        rules: &[PreparedRule],
        sources: &[(PreparedSource, Vec<Stream>)],
        skipped: &[Skipped],
    ) -> Result<()> {
        let mut problems = Vec::new();
        for (source, streams) in sources {
            for stream in streams {
                let name = format!("{}.{}", source.name, stream.name);
                let rules: Vec<_> = rules.iter().filter(|rule| rule.streams.contains(&name)).collect();
                let schema_of = |input: &InputName| {
                    let found = sources.iter().find(|(source, _)| source.name == input.stream.source)?;
                    let stream = found.1.iter().find(|stream| stream.name == input.stream.stream)?;
                    Some(if input.is_merges { clean::merges_schema() } else { stream.schema.clone() })
                };
                if let Err(error) = clean::open(&rules, &name, &stream.schema, &schema_of).await {
                    problems.push(error);
                }
            }
        }
        let names = names(sources);
        let known = |name: &String| names.contains(name) || skipped.iter().any(|skipped| skipped.stream == *name);
        for rule in rules {
            for stream in rule.streams.iter().filter(|stream| !known(stream)) {
                let error =
                    Error::config(format!("rule `{}`: no stream `{stream}` is loaded", rule.name)).on(&rule.place);
                let hint = crate::error::nearest(stream, names.iter().map(String::as_str));
                problems.push(error.hint(hint.unwrap_or_else(|| "add it to the `streams` of its source".to_owned())));
            }
        }
        Error::all(problems).map_or(Ok(()), Err)
    }

    /// The models, checked against the tables that these streams will have. A model that needs a skipped stream which
    /// was never loaded is an error that says why it was skipped.
    pub fn models(
        &self,
        warehouse: &Warehouse,
        sources: &[(PreparedSource, Vec<Stream>)],
        skipped: &[Skipped],
    ) -> Result<Option<Graph>> {
        let Some(marts) = &self.pipeline.file.marts else { return Ok(None) };
        let missing = std::cell::RefCell::new(Vec::new());
        let will_exist = |table: &Table| {
            sources.iter().any(|(source, streams)| {
                streams.iter().any(|stream| {
                    *table == Table::raw(&source.name, &stream.name)
                        || *table == Table::clean(&source.name, &stream.name)
                })
            })
        };
        // Cleaning makes the clean table of every stream that was loaded, even where the first run ended before it.
        let loaded = warehouse.loaded_streams()?;
        let was_loaded = |table: &Table| loaded.iter().any(|s| *table == Table::clean(&s.source, &s.stream));
        let exists = |table: &Table| {
            if will_exist(table) || was_loaded(table) || matches!(warehouse.columns(table), Ok(Some(_))) {
                return true;
            }
            let is_table = |skipped: &&Skipped| {
                let split = skipped.stream.split_once('.');
                split.is_some_and(|(s, t)| *table == Table::raw(s, t) || *table == Table::clean(s, t))
            };
            let skipped = skipped.iter().find(is_table);
            missing.borrow_mut().extend(skipped.cloned());
            skipped.is_some()
        };
        let graph = marts::load(&self.pipeline.path(&marts.path), warehouse, &self.variables(), &exists)?;
        for (index, report) in self.pipeline.file.report.iter().enumerate() {
            let place = || self.pipeline.places.at(&["report".into(), index.into(), "query".into()]);
            let on = |error: Error| error.on(format!("{}: report `{}`", place(), report.title));
            for table in marts::reads(&report.query, warehouse).map_err(on)? {
                let split = table.split_once('.').unwrap_or(("", &table));
                let is_model = graph.models().any(|model| model.name() == table);
                if !is_model && !exists(&Table::new(split.0, split.1)) {
                    let error = Error::config(format!("unknown table `{table}`"));
                    let names: Vec<_> = graph.models().map(marts::Model::name).collect();
                    let near = crate::error::nearest(&table, names.iter().map(String::as_str));
                    return Err(on(error.hint(near.unwrap_or_else(|| "`host plan` lists the models".to_owned()))));
                }
            }
        }
        let needed = missing.into_inner();
        let error = |skipped: Skipped| {
            let Skipped { stream, error, .. } = skipped;
            error.on(format!("models need stream `{stream}`, which was never loaded"))
        };
        let mut seen = std::collections::BTreeSet::new();
        let needed = needed.into_iter().filter(|skipped| seen.insert(skipped.stream.clone()));
        Error::all(needed.map(error).collect()).map_or(Ok(Some(graph)), Err)
    }

    /// A warning for each loaded stream that the pipeline no longer has: its tables stay as they were last loaded.
    pub(super) fn streams_left(
        &self,
        warehouse: &Warehouse,
        all: &[(PreparedSource, Vec<Stream>)],
        skipped: &[Skipped],
    ) -> Result<Vec<String>> {
        let names = names(all);
        let has = |name: &String| names.contains(name) || skipped.iter().any(|skipped| skipped.stream == *name);
        let loaded = warehouse.loaded_streams()?;
        let left = loaded.iter().map(LoadedStream::name).filter(|name| !has(name));
        let warning =
            |name| format!("{name}: the pipeline no longer loads it; models that read it see it as it was last loaded");
        Ok(left.map(warning).collect())
    }

    /// The streams of each source that are read, and those that cannot be.
    pub fn choose(&self, discovered: &[Discovered], select: &[String]) -> Result<(Selected, Vec<Skipped>)> {
        let (mut selected, mut all_skipped) = (Vec::new(), Vec::new());
        for Discovered { source, streams } in discovered {
            let Chosen { streams, mut skipped } = source.choose(streams.clone(), select, self.pipeline)?;
            all_skipped.append(&mut skipped);
            selected.push((source.clone(), streams));
        }
        Ok((selected, all_skipped))
    }

    pub(super) fn check_selection(&self, options: &Options, all: &[(PreparedSource, Vec<Stream>)]) -> Result<()> {
        let names = names(all);
        let unknown =
            |select: &&String| !names.iter().any(|name| name == *select || name.ends_with(&format!(".{select}")));
        match options.select.iter().find(unknown) {
            None => Ok(()),
            Some(select) => {
                let error = Error::config(format!("`--select {select}`: no such stream in this pipeline"));
                Err(error.hint(format!("it has {}", names.join(", "))))
            }
        }
    }
}

/// Every stream as `source.stream`.
pub(super) fn names(sources: &[(PreparedSource, Vec<Stream>)]) -> Vec<String> {
    let of = |(source, streams): &(PreparedSource, Vec<Stream>)| {
        streams.iter().map(|stream| format!("{}.{}", source.name, stream.name)).collect::<Vec<_>>()
    };
    sources.iter().flat_map(of).collect()
}
