//! Plans a build: which of the selected models are built, and what is tested.

use std::collections::{BTreeMap, BTreeSet};

use host_core::error::{Error, Result};
use host_core::progress::{Event, Progress};
use host_ledger::models::{self, PublishedModel, PublishedModels, StagedModel};
use host_warehouse::ColumnType;

use crate::files::{Model, ModelKind};
use crate::fingerprint::{self, Hashes, hashes};
use crate::request::{BuildRequest, BuildTarget};
use crate::testing::{TestResults, Tester, test_dependencies};
use crate::{Graph, select};

/// The plan of a build or of a run of the tests.
pub(super) struct BuildPlan<'a> {
    /// All models as they were last published.
    pub(super) published: &'a PublishedModels,
    /// The hashes of all models and checks, by name.
    pub(super) hashes: BTreeMap<String, Hashes>,
    /// The models to build, in dependency order.
    pub(super) to_build: Vec<&'a Model>,
    /// The models whose tests run.
    pub(super) tested: Vec<&'a Model>,
    /// The models and checks whose unit tests run.
    pub(super) units: Vec<&'a Model>,
    /// The checks that run.
    pub(super) checks: Vec<&'a Model>,
    /// The models that a failed build staged and whose inputs have not changed since, by name.
    pub(super) reusable: BTreeMap<String, StagedModel>,
}

/// The results of all tests.
#[derive(Default)]
pub(super) struct TestSummary {
    pub(super) checks_passed: usize,
    pub(super) tests_passed: usize,
    pub(super) warnings: Vec<String>,
    pub(super) failures: Vec<TestFailure>,
    /// The names of models and checks with warnings. The next build tests them again.
    pub(super) warned: BTreeSet<String>,
}

impl<'a> BuildPlan<'a> {
    /// Plans a build: the selected models whose inputs changed, and all tests that the new rows affect.
    pub(super) fn new(
        graph: &'a Graph,
        target: &BuildTarget<'_>,
        request: &BuildRequest,
        published: &'a PublishedModels,
        catalog: &BTreeMap<String, Vec<ColumnType>>,
    ) -> Result<Self> {
        let mut staged = if request.retry { models::staged(target.warehouse)? } else { BTreeMap::new() };
        staged.retain(|name, _| graph.model(name).is_some());
        let mut selected = if request.retry {
            if staged.is_empty() {
                return Err(Error::config("`--retry`: no failed build to continue")
                    .hint("run `host build PIPELINE` to build the changed models"));
            }
            // A new model may be the fix of a failed model that reads it.
            let new = graph.models().map(Model::name).filter(|name| !published.contains_key(name));
            staged.keys().cloned().chain(graph.checks().map(Model::name)).chain(new).collect()
        } else {
            selected_names(graph, request, published)?
        };
        select_dependent_views(graph, &mut selected, published);
        let hashes = hashes(graph, target.warehouse, target.variables, published, &|name| selected.contains(name))?;
        let is_same = |name: &str, part: fn(&Hashes) -> &str, published_part: fn(&PublishedModel) -> &str| {
            hashes.get(name).zip(published.get(name)).is_some_and(|(now, last)| part(now) == published_part(last))
        };
        let must_build = |model: &&Model| {
            let name = model.name();
            let is_built = catalog.contains_key(&name.to_lowercase());
            let is_current = is_built && is_same(&name, |h| h.fingerprint.as_str(), |p| p.fingerprint.as_str());
            selected.contains(&name) && (request.full_refresh || !is_current)
        };
        let to_build: Vec<_> = graph.models().filter(must_build).collect();
        for model in &to_build {
            let name = model.name();
            let is_published = published.keys().any(|other| other.eq_ignore_ascii_case(&name));
            if catalog.contains_key(&name.to_lowercase()) && !is_published {
                let error = Error::config("a table of this name exists, and no model built it");
                return Err(model.error(None, error).hint("rename the model, or drop the table if it is unused"));
            }
        }
        let built_names: BTreeSet<_> = to_build.iter().map(|model| model.name()).collect();
        let is_new = |name: &str| !is_same(name, |h| h.files.as_str(), |p| p.files.as_str());
        let exists = |name: &str| built_names.contains(name) || published.contains_key(name);
        let tested = graph.models().filter(|model| {
            let name = model.name();
            let is_affected = test_dependencies(graph, model).iter().any(|other| built_names.contains(other));
            exists(&name) && (built_names.contains(&name) || selected.contains(&name) && is_new(&name) || is_affected)
        });
        let units = graph.all().filter(|model| {
            let name = model.name();
            let can_run = model.kind != ModelKind::Check || graph.reads(&name).iter().all(|read| exists(read));
            can_run
                && selected.contains(&name)
                && !model.config.unit_test.is_empty()
                && (request.full_refresh || is_new(&name))
        });
        let checks = graph.checks().filter(|check| {
            let name = check.name();
            let reads = graph.reads(&name);
            let is_due = selected.contains(&name) || reads.iter().any(|read| built_names.contains(read));
            let is_current = is_same(&name, |h| h.fingerprint.as_str(), |p| p.fingerprint.as_str());
            is_due && (request.full_refresh || !is_current) && reads.iter().all(|read| exists(read))
        });
        let (tested, units, checks) = (tested.collect(), units.collect(), checks.collect());
        let is_reusable = |name: &str, fingerprint: &str| {
            let staged = format!("{}__next", name.to_lowercase());
            hashes.get(name).is_some_and(|hashes| hashes.fingerprint == fingerprint) && catalog.contains_key(&staged)
        };
        let reusable = staged.into_iter().filter_map(|(name, built)| {
            let (fingerprint, model) = built?;
            (built_names.contains(&name) && is_reusable(&name, &fingerprint)).then_some((name, model))
        });
        let reusable = reusable.collect();
        Ok(Self { published, hashes, to_build, tested, units, checks, reusable })
    }

    /// Plans all tests of the selected models that are published. Nothing is built.
    pub(super) fn for_tests(
        graph: &'a Graph,
        target: &BuildTarget<'_>,
        request: &BuildRequest,
        published: &'a PublishedModels,
    ) -> Result<Self> {
        let hashes = hashes(graph, target.warehouse, target.variables, published, &|_| false)?;
        let selected = selected_names(graph, request, published)?;
        let is_selected = |model: &&Model| selected.contains(&model.name());
        let exists = |name: &str| published.contains_key(name);
        let tested: Vec<_> = graph.models().filter(is_selected).filter(|model| exists(&model.name())).collect();
        let units = graph.all().filter(is_selected).filter(|model| {
            model.kind != ModelKind::Check || graph.reads(&model.name()).iter().all(|read| exists(read))
        });
        let is_tested = |name: &String| tested.iter().any(|model| model.name() == *name);
        let checks = graph.checks().filter(|check| {
            let reads = graph.reads(&check.name());
            (is_selected(check) || reads.iter().any(is_tested)) && reads.iter().all(|read| exists(read))
        });
        let (units, checks) = (units.collect(), checks.collect());
        Ok(Self { published, hashes, to_build: Vec::new(), tested, units, checks, reusable: BTreeMap::new() })
    }

    /// Returns the names of the models and checks that must bind.
    pub(super) fn bound_names(&self) -> BTreeSet<String> {
        let all = [&self.to_build, &self.tested, &self.units, &self.checks];
        all.into_iter().flatten().map(|model| model.name()).collect()
    }

    /// Runs the tests and checks of the plan.
    pub(super) fn test(
        &self,
        tester: &Tester<'_>,
        progress: &Progress,
        stopped: &dyn Fn() -> bool,
    ) -> Result<TestSummary> {
        let mut tested = TestSummary::default();
        let mut record = |name: String, results: TestResults, passed: fn(&mut TestSummary) -> &mut usize| {
            *passed(&mut tested) += results.passed;
            if !results.warnings.is_empty() {
                tested.warned.insert(name.clone());
            }
            tested.warnings.extend(results.warnings);
            tested
                .failures
                .extend(results.failures.into_iter().map(|error| TestFailure { model: name.clone(), error }));
        };
        let stop = || if stopped() { Err(Error::stopped()) } else { Ok(()) };
        for model in &self.tested {
            stop()?;
            record(model.name(), tester.model(model)?, |tested| &mut tested.tests_passed);
        }
        for (done, check) in self.checks.iter().enumerate() {
            stop()?;
            let results = tester.check(check)?;
            let failed = !results.failures.is_empty();
            record(check.name(), results, |tested| &mut tested.checks_passed);
            let (done, of) = (self.to_build.len() + done + 1, self.to_build.len() + self.checks.len());
            progress.send(Event::Model { model: check.name(), failed, done, of });
        }
        Ok(tested)
    }

    /// Returns the models and checks that were tested without being built, and passed without warnings.
    pub(super) fn retested<'b>(&'b self, warned: &'b BTreeSet<String>) -> impl Iterator<Item = &'a Model> + 'b {
        let is_built = |model: &Model| self.to_build.iter().any(|other| other.name() == model.name());
        let tested = self.tested.iter().filter(move |model| !is_built(model));
        let all = tested.chain(&self.checks).filter(|model| !warned.contains(&model.name()));
        all.copied()
    }
}

/// A failed test of a model, or a failed check.
pub(super) struct TestFailure {
    /// The name of the model or check.
    pub(super) model: String,
    /// The failure.
    pub(super) error: Error,
}

/// Returns the names of the selected models and checks. `state:modified` compares their files with the published ones.
fn selected_names(graph: &Graph, request: &BuildRequest, published: &PublishedModels) -> Result<BTreeSet<String>> {
    let is_modified =
        |model: &Model| published.get(&model.name()).is_none_or(|last| last.files != fingerprint::files(model));
    select::select(graph, &request.select, &request.exclude, &is_modified)
}

/// Selects the unchanged views that read a selected model. Otherwise readers and other models would see its old version
/// through them.
fn select_dependent_views(graph: &Graph, selected: &mut BTreeSet<String>, published: &PublishedModels) {
    for model in graph.models().filter(|model| model.kind == ModelKind::View) {
        let name = model.name();
        // A view reads the current variables of the pipeline whenever it is read.
        let has_variables =
            graph.query(&name).is_some_and(|query| query.variables.reads_all || !query.variables.named.is_empty());
        let is_unchanged = published.get(&name).is_some_and(|last| last.files == fingerprint::files(model));
        if is_unchanged && (has_variables || graph.reads(&name).iter().any(|read| selected.contains(read))) {
            selected.insert(name);
        }
    }
}
