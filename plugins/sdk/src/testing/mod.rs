//! Runs a rule in a native test, without WebAssembly and without the host: rows in, and what the rule did to them out.
//! The rule is called through the same code as in its component.
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
//! # use rule::component; // defined by `export_rule!`
//! use plugin_sdk::prelude::*;
//! use plugin_sdk::testing::{Trial, json};
//!
//! let people = Schema::new(vec![Field::text("id"), Field::text("name")], &["id"]);
//! let rows = json!([{ "id": "1", "name": " Ana " }, { "id": "2" }]);
//! let output = Trial::new(component(), people).run(json!({ "column": "name" }), rows)?;
//! assert_eq!(output.column("name"), json!(["Ana", null]));
//! assert_eq!(output.noted(), []);
//! # Ok::<(), Error>(())
//! ```
//!
//! The host does more than this: it checks the config against the config's JSON Schema, and refuses what breaks the
//! contract, such as a rule that sets a primary key. `host plugin test` tests that on the component.

pub(crate) mod fake_host;
mod json_batch;
mod output;

use std::collections::BTreeMap;

pub use serde_json::{Value, json};

use crate::bindings::rule_plugin::exports::elt::plugin::rule as wit;
use crate::bindings::source_plugin::elt::plugin::types;
use crate::error::{Error, Result};
use crate::export::rule::Cleaner;
use crate::need::Need;
use crate::rule::Rule;
use crate::schema::Schema;

pub use output::{RowMerge, RowNote, RuleOutput};

/// The result of the contract's functions.
type ContractResult<T> = std::result::Result<T, types::Error>;

/// The contract's function `open`.
type OpenFn = fn(&str, Vec<wit::Input>) -> ContractResult<Box<dyn DynCleaner>>;

/// The name of the stream that the rule cleans.
const STREAM: &str = "source.stream";

/// A rule as its component exports it, compiled natively. The function `component()` of its crate returns it.
#[derive(Debug, Clone, Copy)]
pub struct Component {
    needs: fn() -> Vec<Need>,
    open: OpenFn,
}

impl Component {
    #[doc(hidden)]
    #[must_use]
    pub fn of<R: Rule>() -> Self {
        Self { needs: R::needs, open: |config, inputs| Ok(Box::new(Cleaner::<R>::open(config, inputs)?)) }
    }
}

/// The contract's resource `cleaner`, of any rule.
trait DynCleaner {
    fn plan(&self) -> wit::Plan;
    fn apply(&self, input: String, rows: types::Batch) -> ContractResult<wit::Patch>;
    fn finish(&self) -> ContractResult<Option<wit::Verdicts>>;
}

impl<C: wit::GuestCleaner> DynCleaner for C {
    fn plan(&self) -> wit::Plan {
        wit::GuestCleaner::plan(self)
    }

    fn apply(&self, input: String, rows: types::Batch) -> ContractResult<wit::Patch> {
        wit::GuestCleaner::apply(self, input, rows)
    }

    fn finish(&self) -> ContractResult<Option<wit::Verdicts>> {
        wit::GuestCleaner::finish(self)
    }
}

/// A test of a rule: the rule, the schema of the stream that it cleans, and what a pipeline would grant it.
#[derive(Debug, Clone)]
pub struct Trial {
    component: Component,
    schema: Schema,
    files: BTreeMap<String, String>,
    inputs: Vec<(String, Schema, Value)>,
}

impl Trial {
    /// A test of a rule on a stream with this schema.
    #[must_use]
    pub fn new(component: Component, schema: Schema) -> Self {
        Self { component, schema, files: BTreeMap::new(), inputs: Vec::new() }
    }

    /// Grants a file with this text.
    #[must_use]
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.insert(name.to_owned(), text.to_owned());
        self
    }

    /// Grants a further input with its rows, in the format of [`run`](Self::run).
    #[must_use]
    pub fn input(mut self, name: &str, schema: Schema, rows: Value) -> Self {
        self.inputs.push((name.to_owned(), schema, rows));
        self
    }

    /// Opens the rule with a config.
    ///
    /// # Errors
    ///
    /// If the rule refuses the config, or the test grants something that the rule does not need.
    pub fn open(&self, config: Value) -> Result<Opened> {
        let granted = self.files.keys().chain(self.inputs.iter().map(|(name, ..)| name));
        let needs = (self.component.needs)();
        for name in granted {
            if needs.iter().all(|need| need.wit.name != *name) {
                return Err(Error::config(format!("the test grants `{name}`, which is not among the rule's needs")));
            }
        }
        let further = self.inputs.iter().map(|(name, schema, _)| (name.as_str(), schema));
        let inputs = std::iter::once((STREAM, &self.schema)).chain(further);
        let inputs = inputs.map(|(name, schema)| wit::Input { name: name.to_owned(), schema: schema.wit.clone() });
        fake_host::grant(&self.files);
        let cleaner = (self.component.open)(&config.to_string(), inputs.collect())?;
        let plan = cleaner.plan();
        Ok(Opened { cleaner, plan, files: self.files.clone() })
    }

    /// Runs the rule on rows and returns everything that it did.
    ///
    /// `rows` is a JSON array of objects. A column that an object does not name is null. Text, JSON and booleans are
    /// themselves, numbers are numbers; dates are days since 1970-01-01, timestamps microseconds since then, and
    /// decimals whole numbers of the column's smallest unit.
    ///
    /// # Errors
    ///
    /// If the rule refuses the config or fails, or a row does not fit the schema.
    pub fn run(&self, config: Value, rows: Value) -> Result<RuleOutput> {
        let opened = self.open(config)?;
        for reads in opened.plan.reads.iter().skip(1) {
            let Some((name, schema, rows)) = self.inputs.iter().find(|(name, ..)| *name == reads.input) else {
                let error = Error::config(format!("the rule reads the input `{}`, which is not granted", reads.input));
                return Err(error.hint("grant it with `Trial::input`"));
            };
            opened.apply(name, json_batch::batch(schema, &reads.columns, rows)?)?;
        }
        let mut output = RuleOutput::new(&self.schema, &opened.plan.sets, &rows)?;
        let read = opened.plan.reads.first().map(|reads| reads.columns.as_slice()).unwrap_or_default();
        output.add_patch(opened.apply(STREAM, json_batch::batch(&self.schema, read, &rows)?)?)?;
        while opened.plan.scope == wit::Scope::Table
            && let Some(verdicts) = opened.finish()?
        {
            output.add_verdicts(verdicts)?;
        }
        output.log = fake_host::take_log();
        Ok(output)
    }
}

/// A rule that was opened on a stream.
pub struct Opened {
    cleaner: Box<dyn DynCleaner>,
    plan: wit::Plan,
    files: BTreeMap<String, String>,
}

impl Opened {
    /// The names of the stream's columns that the rule reads.
    #[must_use]
    pub fn reads(&self) -> Vec<&str> {
        let first = self.plan.reads.first().into_iter();
        first.flat_map(|reads| &reads.columns).map(String::as_str).collect()
    }

    /// The names of the columns that the rule sets.
    #[must_use]
    pub fn sets(&self) -> Vec<&str> {
        self.plan.sets.iter().map(|field| field.name.as_str()).collect()
    }

    /// Applies the rule to a batch of the contract, for benchmarks.
    #[doc(hidden)]
    pub fn apply(&self, input: &str, rows: types::Batch) -> Result<wit::Patch> {
        fake_host::grant(&self.files);
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
