//! Which models `--select` and `--exclude` mean, written as dbt writes it: `name`, `+name+`, `2+name`, `tag:x`,
//! `state:modified`, a folder, wildcards; several are a union, `,` between two is what both mean.

use std::collections::{BTreeMap, BTreeSet};

use super::Graph;
use super::files::{Model, unknown};
use crate::error::{Error, Result};

/// The models and checks, by name, that expressions mean; all where there is none. `is_modified` tells of a model
/// whether it differs from what is published.
pub(super) fn select(
    graph: &Graph,
    select: &[String],
    exclude: &[String],
    is_modified: &dyn Fn(&Model) -> bool,
) -> Result<BTreeSet<String>> {
    let selector = Selector { graph, is_modified, readers: readers(graph) };
    let mut chosen = if select.is_empty() {
        graph.all().map(Model::name).collect()
    } else {
        selector.union(select).map_err(|error| error.on("`--select`"))?
    };
    let out = selector.union(exclude).map_err(|error| error.on("`--exclude`"))?;
    chosen.retain(|name| !out.contains(name));
    Ok(chosen)
}

/// By model: those that read it.
fn readers(graph: &Graph) -> BTreeMap<String, Vec<String>> {
    let mut readers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, reads) in &graph.edges {
        reads.iter().for_each(|read| readers.entry(read.clone()).or_default().push(name.clone()));
    }
    readers
}

struct Selector<'a> {
    graph: &'a Graph,
    is_modified: &'a dyn Fn(&Model) -> bool,
    readers: BTreeMap<String, Vec<String>>,
}

impl Selector<'_> {
    fn union(&self, expressions: &[String]) -> Result<BTreeSet<String>> {
        let mut all = BTreeSet::new();
        for expression in expressions.iter().flat_map(|expression| expression.split_whitespace()) {
            let mut parts = expression.split(',').map(|part| self.part(part));
            let mut found = parts.next().unwrap_or_else(|| Ok(BTreeSet::new()))?;
            for part in parts {
                let part = part?;
                found.retain(|name| part.contains(name));
            }
            all.append(&mut found);
        }
        Ok(all)
    }

    /// `2+name+`: what is named, with what it reads and what reads it.
    fn part(&self, part: &str) -> Result<BTreeSet<String>> {
        let (up, body) = match part.split_once('+') {
            Some((depth, body)) if depth.chars().all(|c| c.is_ascii_digit()) => (Some(depth), body),
            _ => (None, part),
        };
        let (body, down) = match body.rsplit_once('+') {
            Some((body, depth)) if depth.chars().all(|c| c.is_ascii_digit()) => (body, Some(depth)),
            _ => (body, None),
        };
        // Without a number the way goes to its end.
        let depth = |depth: &str| depth.parse::<usize>().unwrap_or(usize::MAX);
        let found = self.named(body)?;
        let mut all = found.clone();
        if let Some(up) = up {
            all.append(&mut reach(&found, &self.graph.edges, depth(up)));
        }
        if let Some(down) = down {
            all.append(&mut reach(&found, &self.readers, depth(down)));
        }
        Ok(all)
    }

    fn named(&self, body: &str) -> Result<BTreeSet<String>> {
        let names = |is_meant: &dyn Fn(&Model) -> bool| -> BTreeSet<String> {
            self.graph.all().filter(|model| is_meant(model)).map(Model::name).collect()
        };
        if let Some((method, value)) = body.split_once(':') {
            return match method {
                "tag" => {
                    let found = names(&|model| model.config.tags.iter().any(|tag| is_like(tag, value)));
                    let tags: BTreeSet<_> = self.graph.all().flat_map(|model| &model.config.tags).collect();
                    let tags: Vec<_> = tags.into_iter().map(String::as_str).collect();
                    if found.is_empty() { Err(unknown("model has the tag", value, &tags)) } else { Ok(found) }
                }
                "state" if value == "modified" => Ok(names(self.is_modified)),
                "state" => Err(unknown("state", value, &["modified"])),
                _ => Err(unknown("way to select", method, &["tag", "state"])),
            };
        }
        let found = names(&|model| {
            [&model.table.name, &model.table.schema, &model.name()].iter().any(|name| is_like(name, body))
        });
        if !found.is_empty() {
            return Ok(found);
        }
        let known: Vec<_> = self.graph.all().flat_map(|model| [model.table.name.clone(), model.name()]).collect();
        let error = unknown("model", body, &known.iter().map(String::as_str).collect::<Vec<_>>());
        let is_listed = error.hint.as_ref().is_some_and(|hint| hint.starts_with("there are"));
        Err(if is_listed { Error::config(error.message).hint("`host models PIPELINE` lists them") } else { error })
    }
}

/// What is at most so many steps away.
fn reach(from: &BTreeSet<String>, edges: &BTreeMap<String, Vec<String>>, depth: usize) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut edge = from.clone();
    for _ in 0..depth {
        let next = edge.iter().flat_map(|name| edges.get(name).into_iter().flatten());
        edge = next.filter(|name| !found.contains(*name)).cloned().collect();
        if edge.is_empty() {
            break;
        }
        found.extend(edge.iter().cloned());
    }
    found
}

/// Whether a name is what a pattern means: `*` is any letters, `?` is one.
fn is_like(name: &str, pattern: &str) -> bool {
    let mut letters = pattern.chars();
    match letters.next() {
        None => name.is_empty(),
        Some('*') => {
            name.char_indices().map(|(at, _)| at).chain([name.len()]).any(|at| is_like(&name[at..], letters.as_str()))
        }
        Some(letter) => {
            let mut rest = name.chars();
            rest.next().is_some_and(|first| letter == '?' || first.eq_ignore_ascii_case(&letter))
                && is_like(rest.as_str(), letters.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::select;
    use crate::marts::{Graph, files};
    use crate::warehouse::Warehouse;

    /// staging.deals, staging.contacts → core.fct → marts.ltv (tag finance), marts.kpi; checks.ok reads marts.ltv.
    fn graph() -> Graph {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        };
        write("staging/deals.sql", "SELECT 1 AS a");
        write("staging/contacts.sql", "SELECT 1 AS a");
        write("core/fct.sql", "FROM staging.deals JOIN staging.contacts USING (a)");
        write("marts/ltv.sql", "FROM core.fct");
        write("marts/ltv.toml", "tags = [\"finance\"]");
        write("marts/kpi.sql", "FROM core.fct");
        write("checks/ok.sql", "FROM marts.ltv WHERE a = 2");
        let warehouse = Warehouse::memory().expect("DuckDB in memory");
        let files = files::read(folder.path()).expect("models");
        Graph::new(files, &warehouse, &BTreeMap::new(), &|_| false).expect("a graph")
    }

    fn check(graph: &Graph, expressions: &[&str], exclude: &[&str], expected: &[&str]) {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        let is_modified = |model: &files::Model| model.name() == "core.fct";
        let found = select(graph, &owned(expressions), &owned(exclude), &is_modified).expect("a selection");
        assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected, "{expressions:?}");
    }

    #[test]
    fn expressions_mean_what_they_mean_to_dbt() {
        let graph = graph();
        let all = ["checks.ok", "core.fct", "marts.kpi", "marts.ltv", "staging.contacts", "staging.deals"];
        check(&graph, &[], &[], &all);
        check(&graph, &["ltv"], &[], &["marts.ltv"]);
        check(&graph, &["marts.ltv", "deals"], &[], &["marts.ltv", "staging.deals"]);
        check(&graph, &["+ltv"], &[], &["core.fct", "marts.ltv", "staging.contacts", "staging.deals"]);
        check(&graph, &["1+ltv"], &[], &["core.fct", "marts.ltv"]);
        check(&graph, &["deals+1"], &[], &["core.fct", "staging.deals"]);
        check(&graph, &["+fct+"], &["staging", "checks.*"], &["core.fct", "marts.kpi", "marts.ltv"]);
        check(&graph, &["tag:fin*"], &[], &["marts.ltv"]);
        check(&graph, &["state:modified+1"], &[], &["core.fct", "marts.kpi", "marts.ltv"]);
        check(&graph, &["marts", "m?rts.kpi"], &[], &["marts.kpi", "marts.ltv"]);
        check(&graph, &["marts.*,fct+"], &["tag:finance"], &["marts.kpi"]);
    }

    #[test]
    fn what_is_not_there_is_named_with_the_nearest() {
        let graph = graph();
        let fails = |expression: &str| {
            let error = select(&graph, &[expression.to_owned()], &[], &|_| false).expect_err("no such model");
            format!("{} {}", error.message, error.hint.unwrap_or_default())
        };
        assert_eq!(fails("+ltvs"), "`--select`: no model `ltvs` did you mean `ltv`?");
        assert_eq!(fails("tag:x"), "`--select`: no model has the tag `x` there are `finance`");
        assert_eq!(fails("state:odd"), "`--select`: no state `odd` there are `modified`");
    }
}
