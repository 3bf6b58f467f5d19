//! Resolves `--select` and `--exclude` in dbt's syntax: `name`, `+name+`, `2+name`, `tag:x`, `state:modified`, a
//! folder, wildcards. Several expressions are a union; a comma between two expressions is their intersection.

use std::collections::{BTreeMap, BTreeSet};

use host_core::error::{Error, Result, nearest, unknown};

use super::Graph;
use crate::files::Model;

/// Returns the names of the selected models and checks: all of them if `select` is empty. `is_modified` returns whether
/// a model differs from its published version.
pub(super) fn select(
    graph: &Graph,
    select: &[String],
    exclude: &[String],
    is_modified: &dyn Fn(&Model) -> bool,
) -> Result<BTreeSet<String>> {
    let selector = Selector { graph, is_modified, readers: readers(graph) };
    let mut selected = if select.is_empty() {
        graph.all().map(Model::name).collect()
    } else {
        selector.union(select).map_err(|error| error.on("`--select`"))?
    };
    let excluded = selector.union(exclude).map_err(|error| error.on("`--exclude`"))?;
    selected.retain(|name| !excluded.contains(name));
    Ok(selected)
}

/// Returns the models and checks that read each model, by its name.
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

    /// Resolves one part such as `2+name+`: the named models, the models that they read and the models that read them.
    fn part(&self, part: &str) -> Result<BTreeSet<String>> {
        let (up, body) = match part.split_once('+') {
            Some((depth, body)) if depth.chars().all(|c| c.is_ascii_digit()) => (Some(depth), body),
            _ => (None, part),
        };
        let (body, down) = match body.rsplit_once('+') {
            Some((body, depth)) if depth.chars().all(|c| c.is_ascii_digit()) => (body, Some(depth)),
            _ => (body, None),
        };
        // Without a number the depth is unlimited.
        let depth = |depth: &str| depth.parse::<usize>().unwrap_or(usize::MAX);
        let found = self.named(body)?;
        let mut all = found.clone();
        if let Some(up) = up {
            all.append(&mut reachable(&found, &self.graph.edges, depth(up)));
        }
        if let Some(down) = down {
            all.append(&mut reachable(&found, &self.readers, depth(down)));
        }
        Ok(all)
    }

    fn named(&self, body: &str) -> Result<BTreeSet<String>> {
        let names = |is_selected: &dyn Fn(&Model) -> bool| -> BTreeSet<String> {
            self.graph.all().filter(|model| is_selected(model)).map(Model::name).collect()
        };
        if let Some((method, value)) = body.split_once(':') {
            return match method {
                "tag" => {
                    let found = names(&|model| model.config.tags.iter().any(|tag| matches_pattern(tag, value)));
                    let tags: BTreeSet<_> = self.graph.all().flat_map(|model| &model.config.tags).collect();
                    let tags: Vec<_> = tags.into_iter().map(String::as_str).collect();
                    if found.is_empty() { Err(unknown("tag", value, tags)) } else { Ok(found) }
                }
                "state" if value == "modified" => Ok(names(self.is_modified)),
                "state" => Err(unknown("state", value, ["modified"])),
                _ => Err(unknown("selection method", method, ["tag", "state"])),
            };
        }
        let found = names(&|model| {
            [&model.table.name, &model.table.schema, &model.name()].iter().any(|name| matches_pattern(name, body))
        });
        if !found.is_empty() {
            return Ok(found);
        }
        let known: Vec<_> = self.graph.all().flat_map(|model| [model.table.name.clone(), model.name()]).collect();
        let near = nearest(body, known.iter().map(String::as_str));
        let hint = near.unwrap_or_else(|| "`host models PIPELINE` lists the models".to_owned());
        Err(Error::config(format!("unknown model `{body}`")).hint(hint))
    }
}

/// Returns the models within `depth` edges of some models.
fn reachable(from: &BTreeSet<String>, edges: &BTreeMap<String, Vec<String>>, depth: usize) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut frontier = from.clone();
    for _ in 0..depth {
        let next = frontier.iter().flat_map(|name| edges.get(name).into_iter().flatten());
        frontier = next.filter(|name| !found.contains(*name)).cloned().collect();
        if frontier.is_empty() {
            break;
        }
        found.extend(frontier.iter().cloned());
    }
    found
}

/// Whether a name matches a pattern, ignoring ASCII case: `*` stands for any characters, `?` for one.
fn matches_pattern(name: &str, pattern: &str) -> bool {
    let mut letters = pattern.chars();
    match letters.next() {
        None => name.is_empty(),
        Some('*') => name
            .char_indices()
            .map(|(at, _)| at)
            .chain([name.len()])
            .any(|at| matches_pattern(&name[at..], letters.as_str())),
        Some(letter) => {
            let mut rest = name.chars();
            rest.next().is_some_and(|first| letter == '?' || first.eq_ignore_ascii_case(&letter))
                && matches_pattern(rest.as_str(), letters.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::select;
    use crate::{Graph, files};
    use host_warehouse::Warehouse;

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
    fn expressions_follow_dbt() {
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
    fn unknown_names_fail_with_the_nearest_one() {
        let graph = graph();
        let fails = |expression: &str| {
            let error = select(&graph, &[expression.to_owned()], &[], &|_| false).expect_err("no such model");
            format!("{} {}", error.message(), error.hint_text().unwrap_or_default())
        };
        assert_eq!(fails("+ltvs"), "`--select`: unknown model `ltvs` did you mean `ltv`?");
        assert_eq!(fails("tag:x"), "`--select`: unknown tag `x` expected `finance`");
        assert_eq!(fails("state:odd"), "`--select`: unknown state `odd` expected `modified`");
    }
}
