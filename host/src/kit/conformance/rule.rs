//! The suite for rules: shows batches of every kind to fresh instances, and checks what the rule returns.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use arrow_array::{Array, ArrayRef, RecordBatch, new_null_array};
use host_core::error::{Error, Kind, Result};
use host_core::schema::{Field, Schema};
use host_plugin::{
    Description, Need, NeedKind, Note, Patch, RuleInput, RulePlan, RulePlugin, RuleRun, RuleScope, Verdicts,
};
use serde_json::Value;

use super::sample::{Fill, Sample, UNICODE_ROWS, project, unicode};
use super::suite::Suite;

/// The name of the stream.
const STREAM: &str = "test.rows";
/// Rows of a single batch.
const ROWS: usize = 1000;
/// Rows of each of many batches.
const BATCH_ROWS: usize = 10_000;
/// Bytes of a very long text.
const LONG_TEXT: usize = 1 << 20;
/// The most empty pages of verdicts. After more, the verdicts count as endless.
const MAX_EMPTY_PAGES: u64 = 100;
/// The most verdicts per record. After more, the verdicts count as endless.
const MAX_VERDICTS_PER_RECORD: u64 = 256;

/// A rule, and what it is tested with.
pub struct RuleCase<'a> {
    /// The rule with its config and grants.
    pub plugin: &'a RulePlugin,
    /// The same config.
    pub config: &'a Value,
    /// The stream that it cleans.
    pub sample: &'a Sample,
    /// Further inputs, by its names for them. A required input that is missing here is the stream itself.
    pub inputs: &'a BTreeMap<String, Sample>,
    /// The rows that it is shown at the end.
    pub rows: u64,
}

/// Tests a rule.
pub async fn test_rule(case: &RuleCase<'_>, suite: &mut Suite<'_>) {
    let (first, second) = (case.plugin.describe().await, case.plugin.describe().await);
    let Some(description) = suite.check_description(first, second, case.config) else { return };
    let test = RuleTest { plugin: case.plugin, sample: case.sample, inputs: inputs(case, &description) };
    let plan = match test.open().await {
        Ok(run) => run.plan,
        Err(error) if error.hint_text().is_some() => {
            suite.check("open", Err(error));
            return;
        }
        Err(error) => {
            suite.check("open", Err(error.hint("name the stream's columns: `--schema name:type,…`")));
            return;
        }
    };
    suite.check("open", Ok(plan_text(&plan)));
    suite.check("no columns", test.open_without_columns(&plan).await);
    let sample = case.sample;
    suite.check("empty batch", test.apply(sample.batch(0, 0)).await);
    suite.check("one row", test.apply(sample.batch(0, 1)).await);
    suite.check("nulls", test.apply(sample.filled(0, ROWS, Some(&Fill::Nulls))).await);
    suite.check("unicode", test.apply(sample.filled(0, UNICODE_ROWS, Some(&unicode()))).await);
    let long = Fill::Texts([" ação".repeat(LONG_TEXT / " ação".len() + 1)].into());
    suite.check("long text", test.apply(sample.filled(0, 1, Some(&long))).await);
    suite.check("patch", test.apply(sample.batch(0, ROWS)).await);
    suite.check("twice", test.check_two_instances().await);
    if plan.scope == RuleScope::Row {
        suite.check("cut in two", test.check_two_parts().await);
    } else {
        suite.skip("cut in two", "a rule of table scope compares rows with each other");
    }
    if case.rows == 0 {
        suite.skip("many rows", "`--rows 0`");
    } else {
        suite.check("many rows", test.apply_many(case.rows).await);
    }
}

/// The further inputs: those that are given, and those that are required.
fn inputs<'a>(case: &RuleCase<'a>, description: &Description) -> Vec<(String, &'a Sample)> {
    let (given, stream) = (case.inputs, case.sample);
    let input = |need: &Need| {
        let given = given.get(&need.name);
        Some((need.name.clone(), given.or_else(|| (!need.is_optional()).then_some(stream))?))
    };
    description.needs_of(&NeedKind::Input).filter_map(input).collect()
}

fn plan_text(plan: &RulePlan) -> String {
    let scope = if plan.scope == RuleScope::Row { "row" } else { "table" };
    let list = |names: Vec<&str>| if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    let reads = list(plan.reads.iter().map(String::as_str).collect());
    let sets = list(plan.sets.iter().map(|field| field.name.as_str()).collect());
    format!("{scope} scope, reads {reads}, sets {sets}")
}

/// The test of one rule.
struct RuleTest<'a> {
    plugin: &'a RulePlugin,
    sample: &'a Sample,
    inputs: Vec<(String, &'a Sample)>,
}

/// What a rule made of a stream: the columns after it, and all of its notes and rejects as text.
#[derive(Default)]
struct RuleOutput {
    columns: Vec<(String, ArrayRef)>,
    notes: Vec<String>,
}

impl RuleTest<'_> {
    /// Opens a fresh instance on the stream.
    async fn open(&self) -> Result<RuleRun> {
        self.open_on(self.sample.schema.clone()).await
    }

    async fn open_on(&self, schema: Schema) -> Result<RuleRun> {
        let mut inputs = vec![RuleInput { name: STREAM.to_owned(), schema }];
        let further = self.inputs.iter();
        inputs.extend(further.map(|(name, sample)| RuleInput { name: name.clone(), schema: sample.schema.clone() }));
        self.plugin.open(&inputs).await
    }

    /// Opens the rule on a stream without the columns that it names. That is a mistake in the pipeline, and must be an
    /// error of that kind.
    async fn open_without_columns(&self, plan: &RulePlan) -> Result<String> {
        let empty = Schema { fields: Vec::new(), primary_key: Vec::new(), cursor: None };
        match self.open_on(empty).await {
            Ok(_) if plan.reads.is_empty() => Ok("it reads none".to_owned()),
            Ok(_) => Err(Error::plugin(format!("it opens on a stream without `{}`", plan.reads.join("`, `")))),
            Err(error) if error.kind == Kind::Config => Ok(error.message()),
            Err(error) => {
                Err(error.hint("`open` must return a `config` error where a column of the config is missing"))
            }
        }
    }

    async fn apply(&self, batch: Result<RecordBatch>) -> Result<String> {
        let batch = batch?;
        let output = self.output(std::slice::from_ref(&batch)).await?;
        Ok(format!("{} rows, {} notes", batch.num_rows(), output.notes.len()))
    }

    async fn check_two_instances(&self) -> Result<String> {
        let batch = [self.sample.batch(0, ROWS)?];
        let (first, second) = (self.output(&batch).await?, self.output(&batch).await?);
        check_same(&first, &second).map_err(|error| error.on("the same batch in two instances"))?;
        Ok("the same output of two instances".to_owned())
    }

    async fn check_two_parts(&self) -> Result<String> {
        let whole = self.sample.batch(0, ROWS)?;
        let (first, second) = (whole.slice(0, ROWS / 3), whole.slice(ROWS / 3, ROWS - ROWS / 3));
        let (whole, parts) = (self.output(&[whole]).await?, self.output(&[first, second]).await?);
        check_same(&whole, &parts).map_err(|error| error.on("a batch and its two parts"))?;
        Ok("the same output of a batch and its two parts".to_owned())
    }

    /// Shows many rows to one instance. No more than one batch is in memory at a time.
    async fn apply_many(&self, rows: u64) -> Result<String> {
        let mut run = self.open().await?;
        self.show_inputs(&mut run).await?;
        let (mut done, mut spent) = (0, Duration::ZERO);
        while done < rows {
            let size = usize::try_from(rows - done).unwrap_or(BATCH_ROWS).min(BATCH_ROWS);
            let batch = project(&self.sample.batch(done, size)?, &run.plan.reads)?;
            let started = Instant::now();
            let patch = run.apply(&batch).await.map_err(|error| error.on(format!("batch at row {done}")))?;
            spent += started.elapsed();
            check_patch(&run.plan, size, &patch)?;
            done += size as u64;
        }
        let started = Instant::now();
        finish(&mut run, rows, |_| {}).await?;
        spent += started.elapsed();
        let per_second = u128::from(rows) * 1000 / spent.as_millis().max(1);
        Ok(format!("{rows} rows, {per_second} per second"))
    }

    async fn show_inputs(&self, run: &mut RuleRun) -> Result<()> {
        for (name, columns) in run.plan.input_columns.clone() {
            let sample = self.inputs.iter().find(|(known, _)| *known == name).map_or(self.sample, |(_, sample)| sample);
            let batch = project(&sample.batch(0, ROWS)?, &columns)?;
            run.apply_input(&name, &batch).await.map_err(|error| error.on(format!("input `{name}`")))?;
        }
        Ok(())
    }

    /// The output of a fresh instance for these batches.
    async fn output(&self, batches: &[RecordBatch]) -> Result<RuleOutput> {
        let mut run = self.open().await?;
        self.show_inputs(&mut run).await?;
        let mut output = RuleOutput::default();
        let mut parts: Vec<Vec<ArrayRef>> = vec![Vec::new(); run.plan.sets.len()];
        let mut rows = 0;
        for batch in batches {
            let patch = run.apply(&project(batch, &run.plan.reads)?).await?;
            check_patch(&run.plan, batch.num_rows(), &patch)?;
            for (parts, field) in parts.iter_mut().zip(&run.plan.sets) {
                parts.push(patched(batch, field, &patch));
            }
            output.add_notes("", rows, &patch);
            rows += batch.num_rows();
        }
        for (parts, field) in parts.iter().zip(&run.plan.sets) {
            let parts: Vec<&dyn Array> = parts.iter().map(|part| &**part).collect();
            let column = arrow_select::concat::concat(&parts).map_err(Error::internal)?;
            output.columns.push((field.name.clone(), column));
        }
        if run.plan.scope == RuleScope::Table {
            let mut page = 0;
            finish(&mut run, rows as u64, |verdicts| {
                output.add_page(page, verdicts);
                page += 1;
            })
            .await?;
        }
        output.notes.sort();
        Ok(output)
    }
}

/// Reads all verdicts of a rule of table scope, page by page. A rule of row scope has none.
async fn finish(run: &mut RuleRun, rows: u64, mut each: impl FnMut(&Verdicts)) -> Result<()> {
    if run.plan.scope == RuleScope::Row {
        return Ok(());
    }
    let (mut verdicts, mut empty) = (0, 0);
    while let Some(page) = run.finish().await? {
        let count = page.keys.num_rows() as u64;
        (verdicts, empty) = (verdicts + count, empty + u64::from(count == 0));
        if empty > MAX_EMPTY_PAGES || verdicts > rows.saturating_mul(MAX_VERDICTS_PER_RECORD) {
            let so_far = format!("{verdicts} on {rows} records, and {empty} empty pages");
            return Err(Error::plugin(format!("`finish` never stops returning verdicts: {so_far}")));
        }
        each(&page);
    }
    Ok(())
}

/// Checks that a patch has only what the plan names, in the plan's types.
fn check_patch(plan: &RulePlan, rows: usize, patch: &Patch) -> Result<()> {
    let is_empty = patch.set.is_empty() && patch.rejects.is_empty() && patch.notes.is_empty();
    if plan.scope == RuleScope::Table && !is_empty {
        return Err(Error::plugin("`apply` returns a patch, which is ignored for a rule of table scope")
            .hint("a rule of table scope returns its results from `finish`"));
    }
    let mut seen = HashSet::new();
    for (name, array) in &patch.set {
        let planned = plan.sets.iter().find(|field| field.name == *name);
        let field = planned.ok_or_else(|| Error::plugin(format!("it sets `{name}`, which its plan does not name")))?;
        if *array.data_type() != field.data_type.arrow() || array.len() != rows {
            let (actual, expected) = (array.data_type(), field.data_type.arrow());
            let count = array.len();
            let error = format!("it sets `{name}` to {count} values of {actual}: expected {rows} of {expected}");
            return Err(Error::plugin(error));
        }
        if !seen.insert(name) {
            return Err(Error::plugin(format!("it sets `{name}` twice in one patch")));
        }
    }
    Ok(())
}

/// A column after a patch: as the rule sets it, else as it was, else nulls.
fn patched(batch: &RecordBatch, field: &Field, patch: &Patch) -> ArrayRef {
    let set = patch.set.iter().find(|(name, _)| *name == field.name).map(|(_, array)| array);
    let data_type = field.data_type.arrow();
    let before = batch.column_by_name(&field.name).filter(|array| *array.data_type() == data_type);
    set.or(before).cloned().unwrap_or_else(|| new_null_array(&data_type, batch.num_rows()))
}

impl RuleOutput {
    fn add_notes(&mut self, prefix: &str, first_row: usize, patch: &Patch) {
        let rejects = patch.rejects.iter().map(|note| ("reject", note));
        let notes = rejects.chain(patch.notes.iter().map(|note| ("note", note)));
        self.notes.extend(notes.map(|(what, note)| {
            let Note { row, column, code, message, confidence } = note;
            let column = column.as_deref().unwrap_or_default();
            let confidence = confidence.map(|confidence| format!(" ({confidence})")).unwrap_or_default();
            format!("{prefix}{what} row {} {column} {code}: {message}{confidence}", row + first_row)
        }));
    }

    fn add_page(&mut self, page: usize, verdicts: &Verdicts) {
        let named = |what: &str, batch: &RecordBatch| {
            let names = batch.schema();
            let columns = names.fields().iter().zip(batch.columns());
            columns
                .map(|(field, array)| (format!("page {page}: {what} {}", field.name()), ArrayRef::clone(array)))
                .collect::<Vec<_>>()
        };
        self.columns.extend(named("key", &verdicts.keys));
        self.columns.extend(verdicts.merged_into.iter().flat_map(|batch| named("survivor", batch)));
        let set = verdicts.patch.set.iter();
        self.columns.extend(set.map(|(name, array)| (format!("page {page}: {name}"), ArrayRef::clone(array))));
        self.add_notes(&format!("page {page}: "), 0, &verdicts.patch);
    }
}

/// Fails on the first difference between two outputs.
fn check_same(first: &RuleOutput, second: &RuleOutput) -> Result<()> {
    let differs = |what: String| Err(Error::plugin(what));
    let names = |output: &RuleOutput| output.columns.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    if names(first) != names(second) {
        return differs(format!("{} columns of output, then {}", first.columns.len(), second.columns.len()));
    }
    for ((name, a), (_, b)) in first.columns.iter().zip(&second.columns) {
        if a.to_data() == b.to_data() {
            continue;
        }
        let row = (0..a.len().min(b.len())).find(|&row| a.slice(row, 1).to_data() != b.slice(row, 1).to_data());
        return differs(match row {
            Some(row) => format!("`{name}` differs in row {row}"),
            None => format!("`{name}` has {} rows, then {}", a.len(), b.len()),
        });
    }
    if let Some((a, b)) = first.notes.iter().zip(&second.notes).find(|(a, b)| a != b) {
        return differs(format!("`{a}`, then `{b}`"));
    }
    if first.notes.len() != second.notes.len() {
        return differs(format!("{} notes, then {}", first.notes.len(), second.notes.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, StringArray};

    use super::{Patch, RuleOutput, RulePlan, RuleScope, check_patch, check_same};
    use host_core::schema::{Field, Type};

    fn column(values: &[&str]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    fn output(values: &[&str], note: &str) -> RuleOutput {
        RuleOutput { columns: vec![("name".to_owned(), column(values))], notes: vec![note.to_owned()] }
    }

    #[test]
    fn a_difference_is_named() {
        let check = |first: RuleOutput, second: RuleOutput, expect: Option<&str>| {
            assert_eq!(check_same(&first, &second).err().map(|error| error.message()).as_deref(), expect);
        };
        check(output(&["a", "b"], "x"), output(&["a", "b"], "x"), None);
        check(output(&["a", "b"], "x"), output(&["a", "c"], "x"), Some("`name` differs in row 1"));
        check(output(&["a"], "x"), output(&["a", "c"], "x"), Some("`name` has 1 rows, then 2"));
        check(output(&["a"], "x"), output(&["a"], "y"), Some("`x`, then `y`"));
    }

    #[test]
    fn a_patch_has_only_planned_columns() {
        let field = Field { name: "name".to_owned(), data_type: Type::Text, metadata: Default::default() };
        let mut plan =
            RulePlan { scope: RuleScope::Row, reads: Vec::new(), input_columns: Vec::new(), sets: vec![field] };
        let patch = |names: &[&str]| Patch {
            set: names.iter().map(|name| ((*name).to_owned(), column(&["a"]))).collect(),
            rejects: Vec::new(),
            notes: Vec::new(),
        };
        assert!(check_patch(&plan, 1, &patch(&["name"])).is_ok());
        assert!(check_patch(&plan, 2, &patch(&["name"])).is_err());
        assert!(check_patch(&plan, 1, &patch(&["name", "name"])).is_err());
        assert!(check_patch(&plan, 1, &patch(&["other"])).is_err());
        plan.scope = RuleScope::Table;
        assert!(check_patch(&plan, 1, &patch(&["name"])).is_err());
        assert!(check_patch(&plan, 1, &patch(&[])).is_ok());
    }
}
