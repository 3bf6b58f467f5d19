//! What a build has to do: which models are selected, which of them changed, what is to be tested.

use std::collections::{BTreeMap, BTreeSet};

use super::build::Aside;
use super::files::{Materialized, Model};
use super::fingerprint::{self, Hashes, hashes};
use super::plan::{Options, Target};
use super::record::{self, AllPublished, Published};
use super::testing::{Outcome, Tester, needed};
use super::{Graph, select};
use crate::error::{Error, Kind, Result};
use crate::progress::{Event, Progress};
use crate::warehouse::Named;

/// What a build has to do.
pub(super) struct Work<'a> {
    pub(super) published: &'a AllPublished,
    pub(super) hashes: BTreeMap<String, Hashes>,
    /// Models to build, in their order.
    pub(super) stale: Vec<&'a Model>,
    /// Models whose tests run.
    pub(super) tested: Vec<&'a Model>,
    /// Models whose unit tests run.
    pub(super) units: Vec<&'a Model>,
    pub(super) checks: Vec<&'a Model>,
    /// Models that a failed build left aside as they would be built now.
    pub(super) kept: BTreeMap<String, Aside>,
}

/// What all tests gave.
#[derive(Default)]
pub(super) struct Tested {
    pub(super) checks_passed: usize,
    pub(super) tests_passed: usize,
    pub(super) warnings: Vec<String>,
    pub(super) failures: Vec<Error>,
    /// Names of models and checks that warned: they are tested again next time.
    pub(super) warned: BTreeSet<String>,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        graph: &'a Graph,
        target: &Target<'_>,
        options: &Options,
        published: &'a AllPublished,
        catalog: &BTreeMap<String, Vec<Named>>,
    ) -> Result<Self> {
        let aside = if options.retry { record::aside(target.warehouse, graph)? } else { BTreeMap::new() };
        let mut selected = if options.retry {
            if aside.is_empty() {
                return Err(Error::config("`--retry`: no build that failed left anything to go on from")
                    .hint("`host build PIPELINE` builds what changed"));
            }
            // What mends a model may be a new one that it reads.
            let new = graph.models().map(Model::name).filter(|name| !published.contains_key(name));
            aside.keys().cloned().chain(graph.checks().map(Model::name)).chain(new).collect()
        } else {
            chosen(graph, options, published)?
        };
        follow(graph, &mut selected, published);
        let hashes = hashes(graph, target.warehouse, target.variables, published, &|name| selected.contains(name))?;
        let is_same = |name: &str, part: fn(&Hashes) -> &str, was: fn(&Published) -> &str| {
            hashes.get(name).zip(published.get(name)).is_some_and(|(is, then)| part(is) == was(then))
        };
        let is_stale = |model: &&Model| {
            let name = model.name();
            let is_built = catalog.contains_key(&name.to_lowercase());
            let is_current = is_built && is_same(&name, |h| h.fingerprint.as_str(), |p| p.fingerprint.as_str());
            selected.contains(&name) && (options.full_refresh || !is_current)
        };
        let stale: Vec<_> = graph.models().filter(is_stale).collect();
        for model in &stale {
            let name = model.name();
            let is_ours = published.keys().any(|other| other.eq_ignore_ascii_case(&name));
            if catalog.contains_key(&name.to_lowercase()) && !is_ours {
                let error = Error::config("a table of this name is there that no model made");
                return Err(model.error(None, error).hint("rename the model, or drop the table if it is of no use"));
            }
        }
        let stale_names: BTreeSet<_> = stale.iter().map(|model| model.name()).collect();
        let is_new = |name: &str| !is_same(name, |h| h.files.as_str(), |p| p.files.as_str());
        let is_there = |name: &str| stale_names.contains(name) || published.contains_key(name);
        let tested = graph.models().filter(|model| {
            let name = model.name();
            let is_touched = needed(graph, model).iter().any(|other| stale_names.contains(other));
            is_there(&name) && (stale_names.contains(&name) || selected.contains(&name) && is_new(&name) || is_touched)
        });
        let units = graph.all().filter(|model| {
            let name = model.name();
            let is_bound = model.kind != Materialized::Check || graph.reads(&name).iter().all(|read| is_there(read));
            is_bound
                && selected.contains(&name)
                && !model.config.unit_test.is_empty()
                && (options.full_refresh || is_new(&name))
        });
        let checks = graph.checks().filter(|check| {
            let name = check.name();
            let reads = graph.reads(&name);
            let is_due = selected.contains(&name) || reads.iter().any(|read| stale_names.contains(read));
            let is_done = is_same(&name, |h| h.fingerprint.as_str(), |p| p.fingerprint.as_str());
            is_due && (options.full_refresh || !is_done) && reads.iter().all(|read| is_there(read))
        });
        let (tested, units, checks) = (tested.collect(), units.collect(), checks.collect());
        let as_it_would_be = |name: &str, fingerprint: &str| {
            let next = format!("{}__next", name.to_lowercase());
            hashes.get(name).is_some_and(|hashes| hashes.fingerprint == fingerprint) && catalog.contains_key(&next)
        };
        let kept = aside.into_iter().filter_map(|(name, built)| {
            let (fingerprint, aside) = built?;
            (stale_names.contains(&name) && as_it_would_be(&name, &fingerprint)).then_some((name, aside))
        });
        let kept = kept.collect();
        Ok(Self { published, hashes, stale, tested, units, checks, kept })
    }

    /// All tests of what is selected and published; nothing is built.
    pub(super) fn of_tests(
        graph: &'a Graph,
        target: &Target<'_>,
        options: &Options,
        published: &'a AllPublished,
    ) -> Result<Self> {
        let hashes = hashes(graph, target.warehouse, target.variables, published, &|_| false)?;
        let selected = chosen(graph, options, published)?;
        let is_selected = |model: &&Model| selected.contains(&model.name());
        let is_there = |name: &str| published.contains_key(name);
        let tested: Vec<_> = graph.models().filter(is_selected).filter(|model| is_there(&model.name())).collect();
        let units = graph.all().filter(is_selected).filter(|model| {
            model.kind != Materialized::Check || graph.reads(&model.name()).iter().all(|read| is_there(read))
        });
        let is_tested = |name: &String| tested.iter().any(|model| model.name() == *name);
        let checks = graph.checks().filter(|check| {
            let reads = graph.reads(&check.name());
            (is_selected(check) || reads.iter().any(is_tested)) && reads.iter().all(|read| is_there(read))
        });
        let (units, checks) = (units.collect(), checks.collect());
        Ok(Self { published, hashes, stale: Vec::new(), tested, units, checks, kept: BTreeMap::new() })
    }

    /// Names of models and checks that must bind.
    pub(super) fn compiled(&self) -> BTreeSet<String> {
        let all = [&self.stale, &self.tested, &self.units, &self.checks];
        all.into_iter().flatten().map(|model| model.name()).collect()
    }

    pub(super) fn test(&self, tester: &Tester<'_>, progress: &Progress, stopped: &dyn Fn() -> bool) -> Result<Tested> {
        let mut tested = Tested::default();
        let mut note = |name: String, outcome: Outcome, passed: fn(&mut Tested) -> &mut usize| {
            *passed(&mut tested) += outcome.passed;
            if !outcome.warnings.is_empty() {
                tested.warned.insert(name);
            }
            tested.warnings.extend(outcome.warnings);
            tested.failures.extend(outcome.failures);
        };
        let stop = || if stopped() { Err(Error::new(Kind::Interrupted, "stopped")) } else { Ok(()) };
        for model in &self.tested {
            stop()?;
            note(model.name(), tester.model(model)?, |tested| &mut tested.tests_passed);
        }
        for (done, check) in self.checks.iter().enumerate() {
            stop()?;
            let outcome = tester.check(check)?;
            let failed = !outcome.failures.is_empty();
            note(check.name(), outcome, |tested| &mut tested.checks_passed);
            let (done, of) = (self.stale.len() + done + 1, self.stale.len() + self.checks.len());
            progress.tell(Event::Model { model: check.name(), failed, done, of });
        }
        Ok(tested)
    }

    /// Models and checks that were not built but tested, and held.
    pub(super) fn touched<'b>(&'b self, warned: &'b BTreeSet<String>) -> impl Iterator<Item = &'a Model> + 'b {
        let is_stale = |model: &Model| self.stale.iter().any(|other| other.name() == model.name());
        let tested = self.tested.iter().filter(move |model| !is_stale(model));
        let all = tested.chain(&self.checks).filter(|model| !warned.contains(&model.name()));
        all.copied()
    }
}

/// What is selected; `state:modified` is against what is published.
fn chosen(graph: &Graph, options: &Options, published: &AllPublished) -> Result<BTreeSet<String>> {
    let is_modified =
        |model: &Model| published.get(&model.name()).is_none_or(|was| was.files != fingerprint::files(model));
    select::select(graph, &options.select, &options.exclude, &is_modified)
}

/// A view that shows a selected model is selected with it: readers and other models would see the old one through it.
fn follow(graph: &Graph, selected: &mut BTreeSet<String>, published: &AllPublished) {
    for model in graph.models().filter(|model| model.kind == Materialized::View) {
        let name = model.name();
        // It reads the pipeline's variables as they are when it is read.
        let has_variables =
            graph.query(&name).is_some_and(|query| query.variables.any || !query.variables.named.is_empty());
        let is_known = published.get(&name).is_some_and(|was| was.files == fingerprint::files(model));
        if is_known && (has_variables || graph.reads(&name).iter().any(|read| selected.contains(read))) {
            selected.insert(name);
        }
    }
}
