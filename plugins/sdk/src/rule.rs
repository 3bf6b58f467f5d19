//! What a rule implements, and the plan in which it names its columns.

use crate::bindings::rule_plugin::exports::elt::plugin::rule as wit;
use crate::column::AnyColumn;
use crate::error::Result;
use crate::need::Need;
use crate::rows::{Patch, Rows, Verdicts};
use crate::schema::{Field, Schema};

/// A cleaning rule. [`export_rule!`](crate::export_rule) makes it the component's export.
///
/// For each stream, the host calls [`open`](Self::open) and [`plan`](Self::plan) once. A rule of row scope then gets
/// [`apply`](Self::apply) for each batch. A rule of table scope first gets [`take`](Self::take) for each batch of its
/// further inputs, then `apply` for each batch of the stream, and at last [`finish`](Self::finish) until it returns
/// none.
///
/// ```
/// use plugin_sdk::prelude::*;
///
/// #[derive(Deserialize, JsonSchema)]
/// struct Config {
///     /// The column to clean.
///     column: String,
/// }
///
/// struct Trim(TextColumn);
///
/// impl Rule for Trim {
///     type Config = Config;
///
///     fn open(config: Config, input: &Schema) -> Result<Self> {
///         Ok(Self(input.text(&config.column)?))
///     }
///
///     fn plan(&self) -> Plan {
///         Plan::row().reads(self.0).sets(self.0)
///     }
///
///     fn apply(&mut self, rows: &Rows<'_>, patch: &mut Patch) -> Result<()> {
///         patch.map(self.0, rows, |text| Some(text.trim().to_owned()))
///     }
/// }
///
/// export_rule!(Trim);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a rule",
    label = "this type does not implement `Rule`",
    note = "a rule has `type Config`, `fn open(config: Config, input: &Schema) -> Result<Self>`, `fn plan(&self) -> Plan` \
            and `fn apply(&mut self, rows: &Rows<'_>, patch: &mut Patch) -> Result<()>`"
)]
pub trait Rule: Sized + 'static {
    /// The pipeline's `config` of the rule. The host checks the pipeline against its JSON Schema, in which the doc
    /// comments of the fields are the descriptions. Keys that the type does not have are refused.
    type Config: serde::de::DeserializeOwned + schemars::JsonSchema;

    /// The files and further inputs that the rule needs.
    fn needs() -> Vec<Need> {
        Vec::new()
    }

    /// Opens the rule on a stream: looks up its columns.
    ///
    /// # Errors
    ///
    /// If the config or the stream does not allow the rule to work, for example because a column does not exist. The
    /// host reports it before any data is cleaned.
    fn open(config: Self::Config, input: &Schema) -> Result<Self>;

    /// The columns that the rule reads and sets.
    fn plan(&self) -> Plan;

    /// The columns that the rule adds to the stream. [`open`](Self::open) finds them in its schema like any other.
    fn adds(_config: &Self::Config) -> Vec<Field> {
        Vec::new()
    }

    /// Table scope: reads a batch of a further input, with the columns of [`Plan::reads_of`]. All batches of all
    /// further inputs come before the first batch of the stream.
    ///
    /// # Errors
    ///
    /// Ends the run.
    fn take(&mut self, _input: &str, _rows: &Rows<'_>) -> Result<()> {
        Ok(())
    }

    /// Processes one batch of the stream. A rule of table scope only collects what it needs, and leaves the patch
    /// empty.
    ///
    /// # Errors
    ///
    /// Ends the run. For a problem of a single row, call [`Patch::note`] or [`Patch::reject`] instead.
    fn apply(&mut self, rows: &Rows<'_>, patch: &mut Patch) -> Result<()>;

    /// Table scope: returns the verdicts page by page, and then none.
    ///
    /// # Errors
    ///
    /// Ends the run.
    fn finish(&mut self) -> Result<Option<Verdicts>> {
        Ok(None)
    }
}

/// The scope of a rule, and the columns that it reads and sets.
///
/// ```
/// use plugin_sdk::prelude::*;
///
/// # fn main() -> Result<()> {
/// let contacts = Schema::new(vec![Field::text("id"), Field::text("name"), Field::text("phone")], &["id"]);
/// let (name, phone) = (contacts.text("name")?, contacts.text("phone")?);
/// let plan = Plan::row().reads_all([name, phone]).sets(phone);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Plan {
    pub(crate) scope: wit::Scope,
    pub(crate) reads: Vec<AnyColumn>,
    pub(crate) sets: Vec<AnyColumn>,
    pub(crate) masks: Vec<AnyColumn>,
    /// The columns that it reads of each further input.
    pub(crate) further_inputs: Vec<(String, Vec<AnyColumn>)>,
}

impl Plan {
    /// A plan of row scope: each row is judged by itself. The rule sees only rows that changed since the last
    /// cleaning, without their primary keys.
    #[must_use]
    pub fn row() -> Self {
        Self {
            scope: wit::Scope::Row,
            reads: Vec::new(),
            sets: Vec::new(),
            masks: Vec::new(),
            further_inputs: Vec::new(),
        }
    }

    /// A plan of table scope: rows are judged against each other. The rule sees all rows, with their primary keys, and
    /// may read further inputs.
    #[must_use]
    pub fn table() -> Self {
        Self { scope: wit::Scope::Table, ..Self::row() }
    }

    /// Reads a column.
    #[must_use]
    pub fn reads(self, column: impl Into<AnyColumn>) -> Self {
        self.reads_all([column])
    }

    /// Reads columns. A column that is named more than once is read once.
    #[must_use]
    pub fn reads_all(mut self, columns: impl IntoIterator<Item = impl Into<AnyColumn>>) -> Self {
        add_columns(&mut self.reads, columns);
        self
    }

    /// Table scope: reads columns of a further input, which [`Schema::other`] gives.
    #[must_use]
    pub fn reads_of(mut self, input: &str, columns: impl IntoIterator<Item = impl Into<AnyColumn>>) -> Self {
        let mut reads = Vec::new();
        add_columns(&mut reads, columns);
        self.further_inputs.push((input.to_owned(), reads));
        self
    }

    /// Sets a column. The host refuses a plan that sets a primary key.
    #[must_use]
    pub fn sets(self, column: impl Into<AnyColumn>) -> Self {
        self.sets_all([column])
    }

    /// Sets columns.
    #[must_use]
    pub fn sets_all(mut self, columns: impl IntoIterator<Item = impl Into<AnyColumn>>) -> Self {
        add_columns(&mut self.sets, columns);
        self
    }

    /// Sets columns whose values nobody should read. The host keeps none of their values in its journal, whichever
    /// rule changed them.
    #[must_use]
    pub fn masks_all(mut self, columns: impl IntoIterator<Item = impl Into<AnyColumn>>) -> Self {
        add_columns(&mut self.masks, columns);
        let masks = self.masks.clone();
        self.sets_all(masks)
    }
}

/// Adds the columns that are not in the list yet.
pub(crate) fn add_columns(columns: &mut Vec<AnyColumn>, more: impl IntoIterator<Item = impl Into<AnyColumn>>) {
    for column in more {
        let column = column.into();
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
}
