//! Tries a rule natively, without WebAssembly and without a host: rows in, what it makes of them out. The calls are the
//! component's own, batches and patches those of the contract.
//!
//! ```
//! # mod rule {
//! # use plugin_sdk::prelude::*;
//! # #[derive(Deserialize, JsonSchema)]
//! # struct Config { column: String }
//! # struct Trim(TextColumn);
//! # impl Rule for Trim {
//! #     type Config = Config;
//! #     fn open(config: Config, input: &Schema) -> Result<Self> { Ok(Self(input.text(&config.column)?)) }
//! #     fn plan(&self) -> Plan { Plan::row().reads(self.0).sets(self.0) }
//! #     fn apply(&mut self, rows: &Rows<'_>, patch: &mut Patch) -> Result<()> {
//! #         patch.map(self.0, rows, |text| Some(text.trim().to_owned()))
//! #     }
//! # }
//! # export_rule!(Trim);
//! # }
//! # use rule::component; // which `export_rule!` makes
//! use plugin_sdk::prelude::*;
//! use plugin_sdk::testing::{Trial, json};
//!
//! let people = Schema::new(vec![Field::text("id"), Field::text("name")], &["id"]);
//! let rows = json!([{ "id": "1", "name": " Ana " }, { "id": "2" }]);
//! let outcome = Trial::new(component(), people).run(json!({ "column": "name" }), rows)?;
//! assert_eq!(outcome.column("name"), json!(["Ana", null]));
//! assert_eq!(outcome.noted(), []);
//! # Ok::<(), Error>(())
//! ```
//!
//! The host does more around a rule: it checks the config against the config's JSON Schema, and refuses what breaks the
//! contract, such as a primary key that is set. `host plugin test` tries that on the component.

pub(crate) mod granted;
mod outcome;
mod values;

use std::collections::BTreeMap;

pub use serde_json::{Value, json};

use crate::bindings::rule_plugin::exports::elt::plugin::rule as wit;
use crate::bindings::source_plugin::elt::plugin::types;
use crate::error::{Error, Result};
use crate::export::rule::Cleaner;
use crate::rule::Rule;
use crate::schema::{Need, Schema};

pub use outcome::{Merge, Outcome, Remark};

/// What the contract's functions answer.
type Answer<T> = std::result::Result<T, types::Error>;

/// A component's `open`.
type Open = fn(&str, Vec<wit::Input>) -> Answer<Box<dyn AnyCleaner>>;

/// What the stream that a rule cleans is called.
const STREAM: &str = "source.stream";

/// A rule as its component exports it, compiled natively: what `component()` of its crate gives.
#[derive(Debug, Clone, Copy)]
pub struct Component {
    needs: fn() -> Vec<Need>,
    open: Open,
}

impl Component {
    #[doc(hidden)]
    #[must_use]
    pub fn of<R: Rule>() -> Self {
        Self { needs: R::needs, open: |config, inputs| Ok(Box::new(Cleaner::<R>::open(config, inputs)?)) }
    }
}

/// The contract's resource, of any rule.
trait AnyCleaner {
    fn plan(&self) -> wit::Plan;
    fn apply(&self, input: String, rows: types::Batch) -> Answer<wit::Patch>;
    fn finish(&self) -> Answer<Option<wit::Verdicts>>;
}

impl<C: wit::GuestCleaner> AnyCleaner for C {
    fn plan(&self) -> wit::Plan {
        wit::GuestCleaner::plan(self)
    }

    fn apply(&self, input: String, rows: types::Batch) -> Answer<wit::Patch> {
        wit::GuestCleaner::apply(self, input, rows)
    }

    fn finish(&self) -> Answer<Option<wit::Verdicts>> {
        wit::GuestCleaner::finish(self)
    }
}

/// A rule, the stream that it is to clean, and what a pipeline grants it.
#[derive(Debug, Clone)]
pub struct Trial {
    component: Component,
    schema: Schema,
    files: BTreeMap<String, String>,
    inputs: Vec<(String, Schema, Value)>,
}

impl Trial {
    /// A rule on a stream of this schema.
    #[must_use]
    pub fn new(component: Component, schema: Schema) -> Self {
        Self { component, schema, files: BTreeMap::new(), inputs: Vec::new() }
    }

    /// Grants a file of this text.
    #[must_use]
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.insert(name.to_owned(), text.to_owned());
        self
    }

    /// Grants a further input with its rows, as [`run`](Self::run) takes them.
    #[must_use]
    pub fn input(mut self, name: &str, schema: Schema, rows: Value) -> Self {
        self.inputs.push((name.to_owned(), schema, rows));
        self
    }

    /// Opens the rule and asks for its plan: the place where a config is refused.
    pub fn open(&self, config: Value) -> Result<Opened> {
        let granted = self.files.keys().chain(self.inputs.iter().map(|(name, ..)| name));
        let needs = (self.component.needs)();
        for name in granted {
            if needs.iter().all(|need| need.wit.name != *name) {
                return Err(Error::config(format!("`{name}` is granted, and not among what the rule needs")));
            }
        }
        let beside = self.inputs.iter().map(|(name, schema, _)| (name.as_str(), schema));
        let inputs = std::iter::once((STREAM, &self.schema)).chain(beside);
        let inputs = inputs.map(|(name, schema)| wit::Input { name: name.to_owned(), schema: schema.wit.clone() });
        granted::grant(&self.files);
        let cleaner = (self.component.open)(&config.to_string(), inputs.collect())?;
        let plan = cleaner.plan();
        Ok(Opened { cleaner, plan, files: self.files.clone() })
    }

    /// All that the rule makes of these rows: an array of objects, in which a column that is not named is null. Text is
    /// text, true and false are themselves; dates, instants and decimals are the whole numbers that a rule reads.
    pub fn run(&self, config: Value, rows: Value) -> Result<Outcome> {
        let opened = self.open(config)?;
        for reads in opened.plan.reads.iter().skip(1) {
            let Some((name, schema, rows)) = self.inputs.iter().find(|(name, ..)| *name == reads.input) else {
                return Err(Error::config(format!("the input `{}` is read, and not granted", reads.input)));
            };
            opened.apply(name, values::batch(schema, &reads.columns, rows)?)?;
        }
        let mut outcome = Outcome::begin(&self.schema, &opened.plan.sets, &rows)?;
        let read = opened.plan.reads.first().map(|reads| reads.columns.as_slice()).unwrap_or_default();
        let patch = opened.apply(STREAM, values::batch(&self.schema, read, &rows)?)?;
        outcome.patch(patch)?;
        while opened.plan.scope == wit::Scope::Table
            && let Some(verdicts) = opened.finish()?
        {
            outcome.verdicts(verdicts)?;
        }
        outcome.log = granted::log();
        Ok(outcome)
    }
}

/// A rule at work on a stream.
pub struct Opened {
    cleaner: Box<dyn AnyCleaner>,
    plan: wit::Plan,
    files: BTreeMap<String, String>,
}

impl Opened {
    /// The columns of the stream that it reads.
    #[must_use]
    pub fn reads(&self) -> Vec<&str> {
        let first = self.plan.reads.first().into_iter();
        first.flat_map(|reads| &reads.columns).map(String::as_str).collect()
    }

    /// The columns that it sets.
    #[must_use]
    pub fn sets(&self) -> Vec<&str> {
        self.plan.sets.iter().map(|field| field.name.as_str()).collect()
    }

    /// A batch as the contract carries it, for those who measure.
    #[doc(hidden)]
    pub fn apply(&self, input: &str, rows: types::Batch) -> Result<wit::Patch> {
        granted::grant(&self.files);
        Ok(self.cleaner.apply(input.to_owned(), rows)?)
    }

    fn finish(&self) -> Result<Option<wit::Verdicts>> {
        Ok(self.cleaner.finish()?)
    }
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("plan", &self.plan).finish_non_exhaustive()
    }
}
