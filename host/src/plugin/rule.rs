//! A rule plugin: described, opened on a stream, fed batches of the columns that it reads.

use arrow_array::{ArrayRef, RecordBatch};
use wasmtime::Store;
use wasmtime::component::ResourceAny;

use super::bindings::rule_world;
use super::bindings::rule_world::exports::elt::plugin::rule as wit_rule;
use super::engine::{Component, Engine, arm, trap};
use super::imports::{field, lower_schema};
use super::source::{lift_error, lift_spec};
use super::state::{Grants, State, plain};
use super::{Description, codec, names};
use crate::error::{Error, Result};
use crate::schema::{Field, Schema, UNFIT};

/// Remarks on one row, rejects among them.
const REMARKS_A_ROW: usize = 256;
/// Characters of a remark.
const REMARK: usize = 2000;

/// A rule plugin with its grants and config.
#[derive(Clone)]
pub struct RulePlugin {
    engine: Engine,
    component: Component,
    grants: Grants,
    config: String,
}

/// A stream that a rule sees; the first is the one it cleans.
#[derive(Debug, Clone)]
pub struct Input {
    /// `source.stream`.
    pub name: String,
    /// Its columns and keys.
    pub schema: Schema,
}

/// Whether a rule judges rows one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// It sees changed rows only.
    Row,
    /// It sees the whole table, and answers at the end.
    Table,
}

/// What a rule reads and sets.
#[derive(Debug, Clone)]
pub struct RulePlan {
    /// Row by row, or the whole table.
    pub scope: Scope,
    /// Columns of the first input that it reads.
    pub reads: Vec<String>,
    /// Columns of further inputs that it reads, by its names for them.
    pub reads_beside: Vec<(String, Vec<String>)>,
    /// Columns that it sets.
    pub sets: Vec<Field>,
}

/// A remark on a row.
#[derive(Debug, Clone)]
pub struct Note {
    /// Row of the batch.
    pub row: usize,
    /// The column it is about.
    pub column: Option<String>,
    /// A word for machines.
    pub code: String,
    /// Why, for people.
    pub message: String,
    /// How sure, 0 to 1.
    pub confidence: Option<f64>,
}

/// What a rule answers to a batch.
#[derive(Debug)]
pub struct Patch {
    /// Columns anew.
    pub set: Vec<(String, ArrayRef)>,
    /// Rows refused.
    pub rejects: Vec<Note>,
    /// Remarks.
    pub notes: Vec<Note>,
}

/// A page of what a rule of table scope decided.
#[derive(Debug)]
pub struct Verdicts {
    /// Primary keys.
    pub keys: RecordBatch,
    /// Beside the keys: columns, rejects, remarks.
    pub patch: Patch,
    /// Beside the keys: whom each merged into.
    pub merged_into: Option<RecordBatch>,
}

impl RulePlugin {
    /// A rule with what the pipeline grants and says to it.
    #[must_use]
    pub fn new(engine: &Engine, component: &Component, grants: Grants, config: &serde_json::Value) -> Self {
        Self { engine: engine.clone(), component: component.clone(), grants, config: config.to_string() }
    }

    /// What the plugin says of itself.
    pub async fn describe(&self) -> Result<Description> {
        let mut store = self.engine.store(self.grants.clone());
        let plugin = self.engine.rule(&self.component, &mut store).await?;
        let time = arm(&mut store);
        let called = time.within(plugin.elt_plugin_rule().call_describe(&mut store)).await;
        lift_spec(called.map_err(|cause| trap(&self.component.name, "describe", &store, &cause))?, &self.component.name)
    }

    /// Opens the rule on a stream and asks what it reads and sets.
    pub async fn open(&self, inputs: &[Input]) -> Result<RuleRun> {
        let mut store = self.engine.store(self.grants.clone());
        let plugin = self.engine.rule(&self.component, &mut store).await?;
        let lower = |input: &Input| wit_rule::Input { name: input.name.clone(), schema: lower_schema(&input.schema) };
        let lowered: Vec<_> = inputs.iter().map(lower).collect();
        let name = &self.component.name;
        let time = arm(&mut store);
        let opened = time.within(plugin.elt_plugin_rule().call_open(&mut store, &self.config, &lowered)).await;
        let cleaner = opened.map_err(|cause| trap(name, "open", &store, &cause))?.map_err(lift_error)?;
        let time = arm(&mut store);
        let planned = time.within(plugin.elt_plugin_rule().cleaner().call_plan(&mut store, cleaner)).await;
        let planned = planned.map_err(|cause| trap(name, "plan", &store, &cause))?;
        let first = inputs.first().ok_or_else(|| Error::internal("a rule needs an input"))?;
        let plan = lift_plan(planned, inputs).map_err(|error| error.on(format!("plugin `{name}`")))?;
        let (name, schema) = (name.clone(), first.schema.clone());
        Ok(RuleRun { plugin, store, cleaner, plan, input: first.name.clone(), schema, name })
    }
}

/// Checks what a rule plans against the inputs that it has.
fn lift_plan(planned: wit_rule::Plan, inputs: &[Input]) -> Result<RulePlan> {
    let scope = match planned.scope {
        wit_rule::Scope::Row => Scope::Row,
        wit_rule::Scope::Table => Scope::Table,
    };
    let (mut reads, mut reads_beside) = (Vec::new(), Vec::new());
    for wit_rule::Reads { input, columns } in planned.reads {
        let at = inputs.iter().position(|known| known.name == input);
        let at = at.ok_or_else(|| Error::plugin(format!("it reads the input `{input}`, which it does not have")))?;
        if let Some(unknown) = columns.iter().find(|column| inputs[at].schema.field(column).is_none()) {
            return Err(Error::plugin(format!("it reads `{unknown}`, which `{input}` does not have")));
        }
        match at {
            0 => reads.extend(columns),
            _ if scope == Scope::Row => {
                return Err(Error::plugin(format!("it reads the input `{input}`, but judges row by row")));
            }
            _ => reads_beside.push((input, columns)),
        }
    }
    let sets = planned.sets.into_iter().map(field).collect::<Result<Vec<_>>>()?;
    check_sets(&sets, &inputs[0])?;
    Ok(RulePlan { scope, reads, reads_beside, sets })
}

/// A rule sets neither keys nor what is the host's own. Names are the warehouse's, which takes no notice of their case.
fn check_sets(sets: &[Field], input: &Input) -> Result<()> {
    let refused = |why: String| Err(Error::plugin(why));
    for (index, Field { name, .. }) in sets.iter().enumerate() {
        let is_name = |known: &&String| known.eq_ignore_ascii_case(name);
        if input.schema.primary_key.iter().any(|key| is_name(&key)) {
            return refused(format!("it sets `{name}`, a primary key of `{}`", input.name));
        }
        // What did not fit a column may be masked too.
        if names::is_hosts_own(name) && !name.eq_ignore_ascii_case(UNFIT) {
            return refused(format!("it sets `{name}`, which is the host's own"));
        }
        let others = input.schema.fields.iter().chain(&sets[..index]).map(|field| &field.name);
        if let Some(twin) = others.filter(is_name).find(|other| *other != name) {
            return refused(format!("it sets `{name}` beside `{twin}`: to the warehouse these are one"));
        }
    }
    Ok(())
}

/// A rule at work on one stream, in a store that lives as long.
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
    /// Judges a batch that holds the columns of the plan, in its order.
    pub async fn apply(&mut self, rows: &RecordBatch) -> Result<Patch> {
        let input = self.input.clone();
        self.apply_input(&input, rows).await
    }

    /// Shows it a batch of one of its inputs, with the columns that its plan reads there.
    pub async fn apply_input(&mut self, input: &str, rows: &RecordBatch) -> Result<Patch> {
        let time = arm(&mut self.store);
        let lowered = codec::lower_batch(rows)?;
        let cleaner = self.plugin.elt_plugin_rule().cleaner();
        let called = time.within(cleaner.call_apply(&mut self.store, self.cleaner, input, &lowered)).await;
        let patch = called.map_err(|cause| trap(&self.name, "apply", &self.store, &cause))?;
        let patch = patch.map_err(|error| lift_error(error).on(format!("plugin `{}`", self.name)))?;
        self.patch(patch, rows.num_rows())
    }

    /// Table scope: the next page of verdicts, none at the end.
    pub async fn finish(&mut self) -> Result<Option<Verdicts>> {
        let time = arm(&mut self.store);
        let cleaner = self.plugin.elt_plugin_rule().cleaner();
        let called = time.within(cleaner.call_finish(&mut self.store, self.cleaner)).await;
        let verdicts = called.map_err(|cause| trap(&self.name, "finish", &self.store, &cause))?;
        let verdicts = verdicts.map_err(|error| lift_error(error).on(format!("plugin `{}`", self.name)))?;
        let Some(verdicts) = verdicts else { return Ok(None) };
        let fields: Vec<_> = self.schema.primary_key.iter().filter_map(|key| self.schema.field(key).cloned()).collect();
        let on = |error: Error| error.on(format!("plugin `{}`", self.name));
        let keys = codec::lift_batch(verdicts.keys, &fields).map_err(on)?;
        let merged_into =
            verdicts.merged_into.map(|batch| codec::lift_batch(batch, &fields)).transpose().map_err(on)?;
        if merged_into.as_ref().is_some_and(|survivors| survivors.num_rows() != keys.num_rows()) {
            return Err(on(Error::plugin("its survivors do not run beside its keys")));
        }
        let patch = self.patch(verdicts.patch, keys.num_rows())?;
        Ok(Some(Verdicts { keys, patch, merged_into }))
    }

    /// What the plugin warned of.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.store.data().warnings
    }

    /// Bytes of memory that the plugin has taken so far; it gives none back.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.store.data().limits.memory
    }

    fn patch(&self, patch: wit_rule::Patch, rows: usize) -> Result<Patch> {
        let on = |error: Error| error.on(format!("plugin `{}`", self.name));
        let remarks = patch.notes.len() + patch.rejects.len();
        if remarks > rows.saturating_mul(REMARKS_A_ROW) {
            let why = format!("it makes {remarks} remarks on {rows} rows, where {REMARKS_A_ROW} a row are the most");
            return Err(on(Error::plugin(why)));
        }
        let mut set = Vec::with_capacity(patch.set.len());
        for (name, column) in patch.set {
            let field = self.plan.sets.iter().find(|field| field.name == name);
            let field = field.ok_or_else(|| on(Error::plugin(format!("it sets `{name}` without having said so"))))?;
            set.push((name, codec::lift(column, field.data_type, rows).map_err(on)?));
        }
        let note = |note: wit_rule::Note| {
            let wit_rule::Note { row, column, code, message, confidence } = note;
            let row = row as usize;
            if row >= rows {
                return Err(on(Error::plugin(format!("it speaks of row {row} of a batch of {rows}"))));
            }
            if let Some(unsure) = confidence.filter(|confidence| !(0.0..=1.0).contains(confidence)) {
                return Err(on(Error::plugin(format!("it is {unsure} sure of a remark, which is not from 0 to 1"))));
            }
            Ok(Note { row, column, code: plain(code, REMARK), message: plain(message, REMARK), confidence })
        };
        let mut notes = patch.notes.into_iter().map(note).collect::<Result<Vec<_>>>()?;
        let mut rejects = Vec::new();
        let mut rejected = std::collections::HashSet::new();
        for reject in patch.rejects {
            // A row is refused once; further reasons are remarks on it.
            let reject = note(reject)?;
            if rejected.insert(reject.row) { rejects.push(reject) } else { notes.push(reject) }
        }
        Ok(Patch { set, rejects, notes })
    }
}
