//! Orders failed tests by their causes: a failure that explains others comes first, with its consequences below it.

use std::collections::BTreeSet;

use host_core::error::Error;

use crate::Graph;
use crate::plan::TestFailure;

/// Returns the failures as one error. The failures of models that read a failed model, directly or not, are
/// consequences of its failure.
pub(crate) fn causes_first(graph: &Graph, failures: Vec<TestFailure>) -> Option<Error> {
    let mut failures: Vec<_> = failures
        .into_iter()
        .map(|TestFailure { model, error }| {
            let subjects = subjects(graph, &model);
            (position(graph, &subjects), subjects, error)
        })
        .collect();
    failures.sort_by_key(|(position, ..)| *position);
    let mut causes: Vec<(BTreeSet<String>, Error, Vec<Error>)> = Vec::new();
    for (_, subjects, error) in failures {
        let upstream: BTreeSet<_> = subjects.iter().flat_map(|model| upstream(graph, model)).collect();
        match causes.iter_mut().find(|(explained, ..)| !explained.is_disjoint(&upstream)) {
            Some((_, _, consequences)) => consequences.push(error),
            None => causes.push((subjects, error, Vec::new())),
        }
    }
    Error::all(causes.into_iter().map(|(_, error, consequences)| error.with_consequences(consequences)).collect())
}

/// Returns the models that a failure concerns: the model itself, or the models that a check reads.
fn subjects(graph: &Graph, name: &str) -> BTreeSet<String> {
    let is_check = graph.checks().any(|check| check.name() == name);
    if is_check { graph.reads(name).iter().cloned().collect() } else { BTreeSet::from([name.to_owned()]) }
}

/// Returns the position of the last of some models in build order.
fn position(graph: &Graph, models: &BTreeSet<String>) -> usize {
    graph
        .models()
        .enumerate()
        .filter(|(_, model)| models.contains(&model.name()))
        .map(|(at, _)| at + 1)
        .max()
        .unwrap_or_default()
}

/// Returns all models that a model reads, directly or not.
fn upstream(graph: &Graph, name: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut pending = graph.reads(name).to_vec();
    while let Some(read) = pending.pop() {
        if found.insert(read.clone()) {
            pending.extend_from_slice(graph.reads(&read));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use host_core::error::Error;
    use host_warehouse::Warehouse;

    use super::causes_first;
    use crate::plan::TestFailure;
    use crate::{Graph, files};

    #[test]
    fn a_failed_check_explains_the_failures_of_downstream_models() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        };
        write("core/rates.sql", "SELECT 1 AS a");
        write("core/fct.sql", "FROM core.rates");
        write("core/other.sql", "SELECT 1 AS a");
        write("marts/ltv.sql", "FROM core.fct");
        write("checks/rates.sql", "FROM core.rates WHERE a = 2");
        let warehouse = Warehouse::memory().expect("DuckDB in memory");
        let files = files::read(folder.path()).expect("models");
        let graph = Graph::new(files, &warehouse, &BTreeMap::new(), &|_| false).expect("a graph");
        let failure =
            |model: &str| TestFailure { model: model.to_owned(), error: Error::data(format!("{model} failed")) };
        let failures = ["marts.ltv", "core.other", "core.fct", "checks.rates"].map(failure);
        let error = causes_first(&graph, failures.into()).expect("an error");
        let causes: Vec<_> =
            error.problems().iter().map(|problem| (problem.message.as_str(), problem.count_consequences())).collect();
        assert_eq!(causes, [("checks.rates failed", 2), ("core.other failed", 0)]);
        assert!(causes_first(&graph, Vec::new()).is_none());
    }
}
