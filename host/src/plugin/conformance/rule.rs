//! The battery for rules: every batch that a stream may bring, in fresh instances, and what the rule answers.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use arrow_array::{Array, ArrayRef, RecordBatch, new_null_array};
use serde_json::Value;

use super::rows::{Fill, Sample, UNICODE_ROWS, internal, project, unicode};
use super::{Battery, is_trap};
use crate::error::{Error, Kind, Result};
use crate::plugin::{Description, Input, Need, Note, Patch, RulePlan, RulePlugin, RuleRun, Scope, Verdicts};
use crate::schema::{Field, Schema};

/// How the stream is called.
const STREAM: &str = "test.rows";
/// Rows of the batches that the checks of single batches use.
const ROWS: usize = 1000;
/// Rows of a batch where there are many.
const BATCH: usize = 10_000;
/// Bytes of a very long text.
const LONG: usize = 1 << 20;
/// Pages of verdicts without one, and verdicts on one record, before they are taken for ones without end.
const EMPTY_PAGES: u64 = 100;
const VERDICTS_A_RECORD: u64 = 256;

/// A rule, and what it is tried on.
pub struct RuleCase<'a> {
    /// The rule with its config and grants.
    pub plugin: &'a RulePlugin,
    /// The same config.
    pub config: &'a Value,
    /// The stream it cleans.
    pub sample: &'a Sample,
    /// Further inputs, by its names for them; one that it needs and that is not here looks like the stream.
    pub beside: &'a BTreeMap<String, Sample>,
    /// How many rows it is shown in the end.
    pub rows: u64,
}

/// Tries a rule.
pub async fn rule(case: &RuleCase<'_>, battery: &mut Battery<'_>) {
    let (once, again) = (case.plugin.describe().await, case.plugin.describe().await);
    let Some(description) = battery.described(once, again, case.config) else { return };
    let trial = Trial { plugin: case.plugin, sample: case.sample, beside: beside(case, &description) };
    let plan = match trial.open().await {
        Ok(run) => run.plan,
        Err(error) => {
            let hint =
                error.hint.clone().unwrap_or_else(|| "name the stream's columns: `--schema name:type,…`".to_owned());
            battery.note("open", Err(error.hint(hint)));
            return;
        }
    };
    battery.note("open", Ok(shown(&plan)));
    battery.note("no columns", trial.opens_on_nothing(&plan).await);
    let sample = case.sample;
    battery.note("empty batch", trial.on_batch(sample.batch(0, 0)).await);
    battery.note("one row", trial.on_batch(sample.batch(0, 1)).await);
    battery.note("nulls", trial.on_batch(sample.filled(0, ROWS, Some(&Fill::Nulls))).await);
    battery.note("unicode", trial.on_batch(sample.filled(0, UNICODE_ROWS, Some(&unicode()))).await);
    let long = Fill::Texts([" ação".repeat(LONG / " ação".len() + 1)].into());
    battery.note("long text", trial.on_batch(sample.filled(0, 1, Some(&long))).await);
    battery.note("patch", trial.on_batch(sample.batch(0, ROWS)).await);
    battery.note("twice", trial.twice().await);
    if plan.scope == Scope::Row {
        battery.note("cut in two", trial.cut_in_two().await);
    } else {
        battery.skip("cut in two", "a rule of table scope judges rows against each other");
    }
    if case.rows == 0 {
        battery.skip("many rows", "`--rows 0`");
    } else {
        battery.note("many rows", trial.many(case.rows).await);
    }
}

/// The further inputs: those that are given, and those that it cannot do without.
fn beside<'a>(case: &RuleCase<'a>, description: &Description) -> Vec<(String, &'a Sample)> {
    let (all_given, stream) = (case.beside, case.sample);
    let needs = description.needs.iter().filter(|need| need.kind == "input");
    let input = |need: &Need| {
        let is_optional = need.details.get("optional").and_then(Value::as_bool).unwrap_or_default();
        let given = all_given.get(&need.name);
        Some((need.name.clone(), given.or_else(|| (!is_optional).then_some(stream))?))
    };
    needs.filter_map(input).collect()
}

fn shown(plan: &RulePlan) -> String {
    let scope = if plan.scope == Scope::Row { "row" } else { "table" };
    let list = |names: Vec<&str>| if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    let reads = list(plan.reads.iter().map(String::as_str).collect());
    let sets = list(plan.sets.iter().map(|field| field.name.as_str()).collect());
    format!("{scope} scope, reads {reads}, sets {sets}")
}

struct Trial<'a> {
    plugin: &'a RulePlugin,
    sample: &'a Sample,
    beside: Vec<(String, &'a Sample)>,
}

/// What a rule made of a stream: columns as they are after it, and all that it remarked.
#[derive(Default)]
struct Answer {
    columns: Vec<(String, ArrayRef)>,
    remarks: Vec<String>,
}

impl Trial<'_> {
    /// A fresh instance, open on the stream.
    async fn open(&self) -> Result<RuleRun> {
        self.open_on(self.sample.schema.clone()).await
    }

    async fn open_on(&self, schema: Schema) -> Result<RuleRun> {
        let mut inputs = vec![Input { name: STREAM.to_owned(), schema }];
        let beside = self.beside.iter();
        inputs.extend(beside.map(|(name, sample)| Input { name: name.clone(), schema: sample.schema.clone() }));
        self.plugin.open(&inputs).await
    }

    /// A stream without the columns that a rule names is a mistake in the pipeline, and to be told as one.
    async fn opens_on_nothing(&self, plan: &RulePlan) -> Result<String> {
        let nothing = Schema { fields: Vec::new(), primary_key: Vec::new(), cursor: None };
        match self.open_on(nothing).await {
            Ok(_) if plan.reads.is_empty() => Ok("it reads none".to_owned()),
            Ok(_) => Err(Error::plugin(format!("it opens on a stream without `{}`", plan.reads.join("`, `")))),
            Err(error) if error.kind == Kind::Config && !is_trap(&error) => Ok(error.message),
            Err(error) => {
                Err(error.hint("`open` looks for the columns that the config names, and fails with `config` without"))
            }
        }
    }

    async fn on_batch(&self, batch: Result<RecordBatch>) -> Result<String> {
        let batch = batch?;
        let answer = self.answer(std::slice::from_ref(&batch)).await?;
        Ok(format!("{} rows, {} remarks", batch.num_rows(), answer.remarks.len()))
    }

    async fn twice(&self) -> Result<String> {
        let batch = [self.sample.batch(0, ROWS)?];
        let (once, again) = (self.answer(&batch).await?, self.answer(&batch).await?);
        same(&once, &again).map_err(|error| error.on("the same batch in two instances"))?;
        Ok("two instances answer alike".to_owned())
    }

    async fn cut_in_two(&self) -> Result<String> {
        let whole = self.sample.batch(0, ROWS)?;
        let (first, second) = (whole.slice(0, ROWS / 3), whole.slice(ROWS / 3, ROWS - ROWS / 3));
        let (once, cut) = (self.answer(&[whole]).await?, self.answer(&[first, second]).await?);
        same(&once, &cut).map_err(|error| error.on("a batch against its two parts"))?;
        Ok("two parts are answered as the whole".to_owned())
    }

    /// Shows it many rows in one instance, of which no more than a batch is there at a time.
    async fn many(&self, rows: u64) -> Result<String> {
        let mut run = self.open().await?;
        self.show_beside(&mut run).await?;
        let (mut done, mut spent) = (0, Duration::ZERO);
        while done < rows {
            let size = usize::try_from(rows - done).unwrap_or(BATCH).min(BATCH);
            let batch = project(&self.sample.batch(done, size)?, &run.plan.reads)?;
            let started = Instant::now();
            let patch = run.apply(&batch).await.map_err(|error| error.on(format!("row {done} and on")))?;
            spent += started.elapsed();
            judge(&run.plan, size, &patch)?;
            done += size as u64;
        }
        let started = Instant::now();
        finish(&mut run, rows, |_| {}).await?;
        spent += started.elapsed();
        let a_second = u128::from(rows) * 1000 / spent.as_millis().max(1);
        Ok(format!("{rows} rows, {a_second} a second"))
    }

    async fn show_beside(&self, run: &mut RuleRun) -> Result<()> {
        for (name, columns) in run.plan.reads_beside.clone() {
            let sample = self.beside.iter().find(|(known, _)| *known == name).map_or(self.sample, |(_, sample)| sample);
            let batch = project(&sample.batch(0, ROWS)?, &columns)?;
            run.apply_input(&name, &batch).await.map_err(|error| error.on(format!("input `{name}`")))?;
        }
        Ok(())
    }

    /// What a fresh instance makes of these batches.
    async fn answer(&self, batches: &[RecordBatch]) -> Result<Answer> {
        let mut run = self.open().await?;
        self.show_beside(&mut run).await?;
        let mut answer = Answer::default();
        let mut parts: Vec<Vec<ArrayRef>> = vec![Vec::new(); run.plan.sets.len()];
        let mut before = 0;
        for batch in batches {
            let patch = run.apply(&project(batch, &run.plan.reads)?).await?;
            judge(&run.plan, batch.num_rows(), &patch)?;
            for (parts, field) in parts.iter_mut().zip(&run.plan.sets) {
                parts.push(after(batch, field, &patch));
            }
            answer.remark("", before, &patch);
            before += batch.num_rows();
        }
        for (parts, field) in parts.iter().zip(&run.plan.sets) {
            let parts: Vec<&dyn Array> = parts.iter().map(|part| &**part).collect();
            let column = arrow_select::concat::concat(&parts).map_err(internal)?;
            answer.columns.push((field.name.clone(), column));
        }
        if run.plan.scope == Scope::Table {
            let mut page = 0;
            finish(&mut run, before as u64, |verdicts| {
                answer.page(page, verdicts);
                page += 1;
            })
            .await?;
        }
        answer.remarks.sort();
        Ok(answer)
    }
}

/// All verdicts of a rule of table scope, page by page; one of row scope has none.
async fn finish(run: &mut RuleRun, rows: u64, mut each: impl FnMut(&Verdicts)) -> Result<()> {
    if run.plan.scope == Scope::Row {
        return Ok(());
    }
    let (mut judged, mut empty) = (0, 0);
    while let Some(verdicts) = run.finish().await? {
        let page = verdicts.keys.num_rows() as u64;
        (judged, empty) = (judged + page, empty + u64::from(page == 0));
        if empty > EMPTY_PAGES || judged > rows.saturating_mul(VERDICTS_A_RECORD) {
            let what = format!("{judged} on {rows} records, and {empty} pages without any");
            return Err(Error::plugin(format!("it has verdicts without end: {what}")));
        }
        each(&verdicts);
    }
    Ok(())
}

/// Whether a patch holds what the plan says, in the plan's types.
fn judge(plan: &RulePlan, rows: usize, patch: &Patch) -> Result<()> {
    if plan.scope == Scope::Table && !(patch.set.is_empty() && patch.rejects.is_empty() && patch.notes.is_empty()) {
        return Err(Error::plugin("it answers in `apply`, where a rule of table scope is not heard")
            .hint("a rule of table scope answers in `finish`"));
    }
    let mut seen = HashSet::new();
    for (name, array) in &patch.set {
        let planned = plan.sets.iter().find(|field| field.name == *name);
        let field = planned.ok_or_else(|| Error::plugin(format!("it sets `{name}`, which its plan does not name")))?;
        if *array.data_type() != field.data_type.arrow() || array.len() != rows {
            let (is, was) = (array.data_type(), field.data_type.arrow());
            return Err(Error::plugin(format!(
                "it sets `{name}` as {} values of {is}, where {rows} of {was} are planned",
                array.len()
            )));
        }
        if !seen.insert(name) {
            return Err(Error::plugin(format!("it sets `{name}` twice in one patch")));
        }
    }
    Ok(())
}

/// A column as it is after a patch: what the rule sets, else what was there, else nothing.
fn after(batch: &RecordBatch, field: &Field, patch: &Patch) -> ArrayRef {
    let set = patch.set.iter().find(|(name, _)| *name == field.name).map(|(_, array)| array);
    let data_type = field.data_type.arrow();
    let was = batch.column_by_name(&field.name).filter(|array| *array.data_type() == data_type);
    set.or(was).cloned().unwrap_or_else(|| new_null_array(&data_type, batch.num_rows()))
}

impl Answer {
    fn remark(&mut self, on: &str, before: usize, patch: &Patch) {
        let remarks =
            patch.rejects.iter().map(|note| ("rejects", note)).chain(patch.notes.iter().map(|n| ("notes", n)));
        self.remarks.extend(remarks.map(|(what, note)| {
            let Note { row, column, code, message, confidence } = note;
            let column = column.as_deref().unwrap_or_default();
            let sure = confidence.map(|sure| format!(" ({sure})")).unwrap_or_default();
            format!("{on}{what} row {} {column} {code}: {message}{sure}", row + before)
        }));
    }

    fn page(&mut self, page: usize, verdicts: &Verdicts) {
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
        self.remark(&format!("page {page}: "), 0, &verdicts.patch);
    }
}

/// Where two answers differ, as an error.
fn same(one: &Answer, other: &Answer) -> Result<()> {
    let differ = |what: String| Err(Error::plugin(what));
    let names = |answer: &Answer| answer.columns.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    if names(one) != names(other) {
        return differ(format!("{} columns of answers, then {}", one.columns.len(), other.columns.len()));
    }
    for ((name, a), (_, b)) in one.columns.iter().zip(&other.columns) {
        if a.to_data() == b.to_data() {
            continue;
        }
        let row = (0..a.len().min(b.len())).find(|&row| a.slice(row, 1).to_data() != b.slice(row, 1).to_data());
        return differ(match row {
            Some(row) => format!("`{name}` differs in row {row}"),
            None => format!("`{name}` has {} rows, then {}", a.len(), b.len()),
        });
    }
    if let Some((a, b)) = one.remarks.iter().zip(&other.remarks).find(|(a, b)| a != b) {
        return differ(format!("`{a}`, then `{b}`"));
    }
    if one.remarks.len() != other.remarks.len() {
        return differ(format!("{} remarks, then {}", one.remarks.len(), other.remarks.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, StringArray};

    use super::{Answer, Patch, RulePlan, Scope, judge, same};
    use crate::schema::{Field, Type};

    fn column(values: &[&str]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    fn answer(values: &[&str], remark: &str) -> Answer {
        Answer { columns: vec![("name".to_owned(), column(values))], remarks: vec![remark.to_owned()] }
    }

    #[test]
    fn a_difference_is_told() {
        let check = |one: Answer, other: Answer, expect: Option<&str>| {
            assert_eq!(same(&one, &other).err().map(|error| error.message).as_deref(), expect);
        };
        check(answer(&["a", "b"], "x"), answer(&["a", "b"], "x"), None);
        check(answer(&["a", "b"], "x"), answer(&["a", "c"], "x"), Some("`name` differs in row 1"));
        check(answer(&["a"], "x"), answer(&["a", "c"], "x"), Some("`name` has 1 rows, then 2"));
        check(answer(&["a"], "x"), answer(&["a"], "y"), Some("`x`, then `y`"));
    }

    #[test]
    fn a_patch_keeps_to_its_plan() {
        let field = Field { name: "name".to_owned(), data_type: Type::Text, metadata: Default::default() };
        let mut plan = RulePlan { scope: Scope::Row, reads: Vec::new(), reads_beside: Vec::new(), sets: vec![field] };
        let patch = |names: &[&str]| Patch {
            set: names.iter().map(|name| ((*name).to_owned(), column(&["a"]))).collect(),
            rejects: Vec::new(),
            notes: Vec::new(),
        };
        assert!(judge(&plan, 1, &patch(&["name"])).is_ok());
        assert!(judge(&plan, 2, &patch(&["name"])).is_err());
        assert!(judge(&plan, 1, &patch(&["name", "name"])).is_err());
        assert!(judge(&plan, 1, &patch(&["other"])).is_err());
        plan.scope = Scope::Table;
        assert!(judge(&plan, 1, &patch(&["name"])).is_err());
        assert!(judge(&plan, 1, &patch(&[])).is_ok());
    }
}
