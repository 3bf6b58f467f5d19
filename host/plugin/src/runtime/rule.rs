//! Rule plugins: describe them, open them on a stream, and show them batches of the columns that they read.

use std::collections::HashSet;

use arrow_array::{ArrayRef, RecordBatch};
use host_core::error::{Error, Result, Subject};
use host_core::schema::{Field, Schema, UNFIT};
use host_core::secret::redact;
use wasmtime::Store;
use wasmtime::component::ResourceAny;

use super::bindings::rule_world;
use super::bindings::rule_world::exports::elt::plugin::rule as wit_rule;
use super::component::Component;
use super::contract::{
    check_columns, lift_batch, lift_column, lift_description, lift_error, lift_field, lower_batch, lower_schema,
};
use super::description::Description;
use super::engine::Engine;
use super::grants::Grants;
use super::guest::call_guest;
use super::names;
use super::state::State;
use super::text::sanitize;

/// The most notes and rejects per row of a batch.
const MAX_NOTES_PER_ROW: usize = 256;
/// Characters of a note's texts.
const NOTE_CHARS: usize = 2000;

/// A rule plugin with its grants and config.
#[derive(Clone)]
pub struct RulePlugin {
    engine: Engine,
    component: Component,
    grants: Grants,
    config: String,
}

/// A stream that a rule reads. The first input is the stream that it cleans.
#[derive(Debug, Clone)]
pub struct RuleInput {
    /// `source.stream`, or the rule's name of a further input.
    pub name: String,
    /// Its columns and keys.
    pub schema: Schema,
}

/// Which rows a rule sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleScope {
    /// Changed rows, each judged by itself.
    Row,
    /// The whole table; it returns verdicts at the end.
    Table,
}

/// What a rule reads and sets.
#[derive(Debug, Clone)]
pub struct RulePlan {
    /// Which rows it sees.
    pub scope: RuleScope,
    /// Columns of the first input that it reads.
    pub reads: Vec<String>,
    /// Columns that it reads of further inputs, by its names for them.
    pub input_columns: Vec<(String, Vec<String>)>,
    /// Columns that it sets.
    pub sets: Vec<Field>,
}

/// A note on a row.
#[derive(Debug, Clone)]
pub struct Note {
    /// The row of the batch.
    pub row: usize,
    /// The column that it is about.
    pub column: Option<String>,
    /// A word for machines.
    pub code: String,
    /// The reason, for people.
    pub message: String,
    /// The confidence, 0 to 1.
    pub confidence: Option<f64>,
}

/// A rule's result for a batch.
#[derive(Debug)]
pub struct Patch {
    /// New values of columns.
    pub set: Vec<(String, ArrayRef)>,
    /// Rejected rows, each once.
    pub rejects: Vec<Note>,
    /// Notes.
    pub notes: Vec<Note>,
}

/// One page of the results of a rule of table scope.
#[derive(Debug)]
pub struct Verdicts {
    /// Primary keys.
    pub keys: RecordBatch,
    /// New values, rejects and notes, row by row as the keys.
    pub patch: Patch,
    /// The keys of the records that these merge into, row by row as the keys.
    pub merged_into: Option<RecordBatch>,
}

impl RulePlugin {
    /// A rule with the pipeline's grants and config.
    #[must_use]
    pub fn new(engine: &Engine, component: &Component, grants: Grants, config: &serde_json::Value) -> Self {
        Self { engine: engine.clone(), component: component.clone(), grants, config: config.to_string() }
    }

    /// The plugin's description of itself.
    ///
    /// # Errors
    /// A trap, or a description that is not valid.
    pub async fn describe(&self) -> Result<Description> {
        let mut store = self.engine.store(&self.component, self.grants.clone());
        let plugin = self.engine.rule(&self.component, &mut store).await?;
        let spec = call_guest!(&mut store, "describe", plugin.elt_plugin_rule().call_describe(&mut store))?;
        lift_description(spec).map_err(|error| error.about(&Subject::Plugin(self.component.name.clone())))
    }

    /// Opens the rule on its inputs, and gets its plan.
    ///
    /// # Errors
    /// A trap, the plugin's error, or a plan that does not fit the inputs.
    pub async fn open(&self, inputs: &[RuleInput]) -> Result<RuleRun> {
        let mut store = self.engine.store(&self.component, self.grants.clone());
        let plugin = self.engine.rule(&self.component, &mut store).await?;
        let lower =
            |input: &RuleInput| wit_rule::Input { name: input.name.clone(), schema: lower_schema(&input.schema) };
        let lowered: Vec<_> = inputs.iter().map(lower).collect();
        let rule = plugin.elt_plugin_rule();
        let opened = call_guest!(&mut store, "open", rule.call_open(&mut store, &self.config, &lowered))?;
        let cleaner = opened.map_err(lift_error)?;
        let plan = call_guest!(&mut store, "plan", rule.cleaner().call_plan(&mut store, cleaner))?;
        let first = inputs.first().ok_or_else(|| Error::internal("a rule needs an input"))?;
        let name = self.component.name.clone();
        let plan = lift_plan(plan, inputs).map_err(|error| error.about(&Subject::Plugin(name.clone())))?;
        Ok(RuleRun { plugin, store, cleaner, plan, input: first.name.clone(), schema: first.schema.clone(), name })
    }
}

/// Lifts a plan, and checks it against the inputs.
fn lift_plan(plan: wit_rule::Plan, inputs: &[RuleInput]) -> Result<RulePlan> {
    let scope = match plan.scope {
        wit_rule::Scope::Row => RuleScope::Row,
        wit_rule::Scope::Table => RuleScope::Table,
    };
    let (mut reads, mut input_columns) = (Vec::new(), Vec::new());
    for wit_rule::Reads { input, columns } in plan.reads {
        let shown = names::shown(&input);
        let index = inputs.iter().position(|known| known.name == input);
        let index = index.ok_or_else(|| Error::plugin(format!("it reads the unknown input `{shown}`")))?;
        if let Some(unknown) = columns.iter().find(|column| inputs[index].schema.field(column).is_none()) {
            let unknown = names::shown(unknown);
            return Err(Error::plugin(format!("it reads the unknown column `{unknown}` of `{shown}`")));
        }
        match index {
            0 => reads.extend(columns),
            _ if scope == RuleScope::Row => {
                let error = Error::plugin(format!("it reads the further input `{shown}`, but has row scope"));
                return Err(error.hint("only a rule of table scope reads further inputs"));
            }
            _ => input_columns.push((input, columns)),
        }
    }
    check_columns(plan.sets.len())?;
    let sets = plan.sets.into_iter().map(lift_field).collect::<Result<Vec<_>>>()?;
    check_sets(&sets, &inputs[0])?;
    Ok(RulePlan { scope, reads, input_columns, sets })
}

/// Checks the columns that a rule sets: no primary keys, no columns of the host. The warehouse ignores the case of
/// names.
fn check_sets(sets: &[Field], input: &RuleInput) -> Result<()> {
    let refused = |why: String| Err(Error::plugin(why));
    for (index, Field { name, .. }) in sets.iter().enumerate() {
        let is_name = |known: &&String| known.eq_ignore_ascii_case(name);
        if input.schema.primary_key.iter().any(|key| is_name(&key)) {
            return refused(format!("it sets `{name}`, a primary key of `{}`", input.name));
        }
        // Values that did not fit their column may have to be masked.
        if names::is_reserved(name) && !name.eq_ignore_ascii_case(UNFIT) {
            return refused(format!("it sets `{name}`, which is reserved for the host"));
        }
        let others = input.schema.fields.iter().chain(&sets[..index]).map(|field| &field.name);
        if let Some(twin) = others.filter(is_name).find(|other| *other != name) {
            return refused(format!("it sets `{name}`, which the warehouse cannot distinguish from `{twin}`"));
        }
    }
    Ok(())
}

/// A rule that is open on a stream, in an instance of its own.
pub struct RuleRun {
    plugin: rule_world::RulePlugin,
    store: Store<State>,
    cleaner: ResourceAny,
    /// What it reads and sets.
    pub plan: RulePlan,
    input: String,
    schema: Schema,
    name: String,
}

impl RuleRun {
    /// Applies the rule to a batch of the first input, which has the columns of the plan in its order.
    ///
    /// # Errors
    /// A trap, the plugin's error, or a patch that is not valid.
    pub async fn apply(&mut self, rows: &RecordBatch) -> Result<Patch> {
        let input = self.input.clone();
        self.apply_input(&input, rows).await
    }

    /// Shows the rule a batch of one of its inputs, with the columns that its plan reads there.
    ///
    /// # Errors
    /// A trap, the plugin's error, or a patch that is not valid.
    pub async fn apply_input(&mut self, input: &str, rows: &RecordBatch) -> Result<Patch> {
        let budget = self.store.data().memory.budget();
        let copy = budget.share(rows.get_array_memory_size()).map_err(|exceeded| self.on(exceeded.into()))?;
        let lowered = lower_batch(rows)?;
        let cleaner = self.plugin.elt_plugin_rule().cleaner();
        let patch =
            call_guest!(&mut self.store, "apply", cleaner.call_apply(&mut self.store, self.cleaner, input, &lowered))?;
        drop((lowered, copy));
        let patch = patch.map_err(|error| self.on(lift_error(error)))?;
        self.lift_patch(patch, rows.num_rows()).map_err(|error| self.on(error))
    }

    /// Table scope: the next page of verdicts. None at the end.
    ///
    /// # Errors
    /// A trap, the plugin's error, or verdicts that are not valid.
    pub async fn finish(&mut self) -> Result<Option<Verdicts>> {
        let cleaner = self.plugin.elt_plugin_rule().cleaner();
        let verdicts = call_guest!(&mut self.store, "finish", cleaner.call_finish(&mut self.store, self.cleaner))?;
        let verdicts = verdicts.map_err(|error| self.on(lift_error(error)))?;
        verdicts.map(|verdicts| self.lift_verdicts(verdicts).map_err(|error| self.on(error))).transpose()
    }

    /// The distinct warnings that the plugin logged.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.store.data().warnings
    }

    /// The plugin's linear memory, in bytes. It never shrinks.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.store.data().limits.memory
    }

    fn on(&self, error: Error) -> Error {
        error.about(&Subject::Plugin(self.name.clone()))
    }

    fn lift_verdicts(&self, verdicts: wit_rule::Verdicts) -> Result<Verdicts> {
        let fields: Vec<_> = self.schema.primary_key.iter().filter_map(|key| self.schema.field(key).cloned()).collect();
        let keys = lift_batch(verdicts.keys, &fields)?;
        let merged_into = verdicts.merged_into.map(|batch| lift_batch(batch, &fields)).transpose()?;
        if let Some(survivors) = merged_into.as_ref().filter(|survivors| survivors.num_rows() != keys.num_rows()) {
            let (survivors, keys) = (survivors.num_rows(), keys.num_rows());
            return Err(Error::plugin(format!("`merged-into` has {survivors} rows, but `keys` has {keys}")));
        }
        let patch = self.lift_patch(verdicts.patch, keys.num_rows())?;
        Ok(Verdicts { keys, patch, merged_into })
    }

    fn lift_patch(&self, patch: wit_rule::Patch, rows: usize) -> Result<Patch> {
        let notes = patch.notes.len() + patch.rejects.len();
        if notes > rows.saturating_mul(MAX_NOTES_PER_ROW) {
            let error = format!("{notes} notes on {rows} rows: the limit is {MAX_NOTES_PER_ROW} per row");
            return Err(Error::plugin(error));
        }
        let mut set = Vec::with_capacity(patch.set.len());
        for (name, column) in patch.set {
            let field = self.plan.sets.iter().find(|field| field.name == name);
            let unplanned =
                || Error::plugin(format!("it sets `{}`, which its plan does not name", names::shown(&name)));
            let data_type = field.ok_or_else(unplanned)?.data_type;
            set.push((name, lift_column(column, data_type, rows)?));
        }
        let mut notes = patch.notes.into_iter().map(|note| lift_note(note, rows)).collect::<Result<Vec<_>>>()?;
        let mut rejects = Vec::new();
        let mut rejected = HashSet::new();
        for reject in patch.rejects {
            // A row is rejected once; further reasons become notes.
            let reject = lift_note(reject, rows)?;
            if rejected.insert(reject.row) { rejects.push(reject) } else { notes.push(reject) }
        }
        Ok(Patch { set, rejects, notes })
    }
}

fn lift_note(note: wit_rule::Note, rows: usize) -> Result<Note> {
    let wit_rule::Note { row, column, code, message, confidence } = note;
    let row = row as usize;
    if row >= rows {
        return Err(Error::plugin(format!("a note is on row {row}, but the batch has {rows} rows")));
    }
    if let Some(confidence) = confidence.filter(|confidence| !(0.0..=1.0).contains(confidence)) {
        return Err(Error::plugin(format!("the confidence of a note is {confidence}: expected 0 to 1")));
    }
    let (code, message) = (sanitize(code, NOTE_CHARS), sanitize(message, NOTE_CHARS));
    let column = column.map(redact);
    Ok(Note { row, column, code, message, confidence })
}
