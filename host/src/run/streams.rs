//! The streams of a run: discovers them from the sources, selects them and checks them against the rules.

use futures_util::future::join_all;
use host_core::error::{Error, Result, Subject, collect, nearest, unknown};
use host_core::schema::Stream;
use host_ledger::streams::{self, LoadedStream};
use host_warehouse::Warehouse;

use super::session::Session;
use crate::clean;
use crate::pipeline::InputName;
use crate::prepare::{PreparedRule, PreparedSource, SelectedStreams, SkippedStream};

/// A source with its account and its streams.
pub struct DiscoveredSource {
    /// The source.
    pub source: PreparedSource,
    /// All of its streams.
    pub streams: Vec<Stream>,
}

/// Sources with the streams that are read from each.
pub(super) type SelectedSources = Vec<(PreparedSource, Vec<Stream>)>;

/// Reads the account and the streams of every source: the streams that the pipeline names, or `all`.
///
/// # Errors
/// The first source that fails, and a stop.
pub async fn discover(session: &Session<'_>, sources: &[PreparedSource], all: bool) -> Result<Vec<DiscoveredSource>> {
    let discover_one = |source: &PreparedSource| {
        let mut source = source.clone();
        async move {
            let subject = Subject::Source(source.name.clone());
            let on = |error: Error| error.about(&subject);
            source.account = source.plugin.identity().await.map_err(on)?;
            let wanted = source.wanted.as_deref().filter(|_| !all);
            let mut streams = source.plugin.discover(wanted).await.map_err(on)?;
            let exists = |name: &String| streams.iter().any(|stream| stream.name == *name);
            if wanted.is_some_and(|wanted| !wanted.iter().all(exists)) {
                // The error suggests the nearest name of any stream.
                streams = source.plugin.discover(None).await.map_err(on)?;
            }
            Ok(DiscoveredSource { source, streams })
        }
    };
    tokio::select! {
        all = join_all(sources.iter().map(discover_one)) => all.into_iter().collect(),
        () = session.stop.cancelled() => Err(Error::stopped()),
    }
}

/// The streams of each source that are read, and those that are skipped.
///
/// # Errors
/// Same as [`PreparedSource::select`].
pub(super) fn select(
    session: &Session<'_>,
    discovered: &[DiscoveredSource],
    select: &[String],
) -> Result<(SelectedSources, Vec<SkippedStream>)> {
    let (mut selected, mut all_skipped) = (Vec::new(), Vec::new());
    for DiscoveredSource { source, streams } in discovered {
        let SelectedStreams { streams, mut skipped } = source.select(streams.clone(), select, session.pipeline)?;
        all_skipped.append(&mut skipped);
        selected.push((source.clone(), streams));
    }
    Ok((selected, all_skipped))
}

/// Every stream as `source.stream`.
pub(super) fn names(sources: &[(PreparedSource, Vec<Stream>)]) -> Vec<String> {
    let of = |(source, streams): &(PreparedSource, Vec<Stream>)| {
        streams.iter().map(|stream| format!("{}.{}", source.name, stream.name)).collect::<Vec<_>>()
    };
    sources.iter().flat_map(of).collect()
}

/// Checks that each name of `--select` is the name of a stream.
///
/// # Errors
/// The first unknown name.
pub(super) fn check_selection(select: &[String], all: &[(PreparedSource, Vec<Stream>)]) -> Result<()> {
    let names = names(all);
    let is_known = |select: &String| names.iter().any(|name| name == select || name.ends_with(&format!(".{select}")));
    match select.iter().find(|select| !is_known(select)) {
        None => Ok(()),
        Some(select) => Err(unknown("stream", select, names.iter().map(String::as_str)).on("`--select`")),
    }
}

/// Opens every rule on the schemas that its streams will have.
///
/// # Errors
/// Every rule that does not fit its streams, and every stream that no source loads.
pub(super) async fn check_rules(
    rules: &[PreparedRule],
    sources: &[(PreparedSource, Vec<Stream>)],
    skipped: &[SkippedStream],
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
    let is_known = |name: &String| names.contains(name) || skipped.iter().any(|skipped| skipped.stream == *name);
    problems.extend(streams_not_loaded(rules, &is_known, &names, "add it to the `streams` of its source"));
    Error::check(problems)
}

/// An error for each stream of a rule that is not loaded. `hint` is used if no stream has a similar name.
pub(super) fn streams_not_loaded(
    rules: &[PreparedRule],
    is_known: &dyn Fn(&String) -> bool,
    names: &[String],
    hint: &str,
) -> Vec<Error> {
    let of_rule = |rule: &PreparedRule| {
        let missing = rule.streams.iter().filter(|stream| !is_known(stream));
        let error = |stream: &String| {
            let error = Error::config(format!("rule `{}`: stream `{stream}` is not loaded", rule.name)).at(&rule.place);
            let near = nearest(stream, names.iter().map(String::as_str));
            error.hint(near.unwrap_or_else(|| hint.to_owned()))
        };
        missing.map(error).collect::<Vec<_>>()
    };
    rules.iter().flat_map(of_rule).collect()
}

/// A warning for each loaded stream that the pipeline no longer has.
pub(super) fn removed_streams(
    warehouse: &Warehouse,
    all: &[(PreparedSource, Vec<Stream>)],
    skipped: &[SkippedStream],
) -> Result<Vec<String>> {
    let names = names(all);
    let is_in_pipeline = |name: &String| names.contains(name) || skipped.iter().any(|skipped| skipped.stream == *name);
    let loaded = streams::loaded(warehouse)?;
    let removed = loaded.iter().map(LoadedStream::name).filter(|name| !is_in_pipeline(name));
    let warning =
        |name| format!("stream `{name}` is no longer in the pipeline: models still read its last loaded rows");
    Ok(removed.map(warning).collect())
}

/// Runs the check of every source, which finds problems before a long read.
///
/// # Errors
/// Every source that fails its check, and a stop.
pub(super) async fn check_sources(session: &Session<'_>, discovered: &[DiscoveredSource]) -> Result<()> {
    let check = async |source: &PreparedSource| {
        let checked = tokio::select! {
            checked = source.plugin.check() => checked,
            () = session.stop.cancelled() => Err(Error::stopped()),
        };
        checked.map_err(|error| error.about(&Subject::Source(source.name.clone())))
    };
    let mut checked = Vec::new();
    for DiscoveredSource { source, .. } in discovered {
        checked.push(check(source).await);
    }
    collect(checked).map(drop)
}
