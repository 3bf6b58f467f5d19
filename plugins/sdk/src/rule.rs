//! What a rule implements, and the macro that exports it.

use std::cell::RefCell;
use std::collections::VecDeque;

use crate::bindings::rule_plugin::exports::elt::plugin::rule as wit;
use crate::bindings::source_plugin::elt::plugin::types;
use crate::column::AnyColumn;
use crate::error::Result;
use crate::rows::{Patch, Rows, Verdicts};
use crate::schema::{Field, Need, Schema};

/// A cleaning plugin: `open` once a stream, `plan` once, then `apply` for each batch, then `finish` until it has no more.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no rule",
    label = "this type does not implement `Rule`",
    note = "a rule has `type Config`, `fn open(config: Config, input: &Schema) -> Result<Self>`, `fn plan(&self) -> Plan` \
            and `fn apply(&mut self, rows: &Rows<'_>, patch: &mut Patch) -> Result<()>`"
)]
pub trait Rule: Sized + 'static {
    /// What the pipeline says in `config`; its JSON Schema is what the host checks the TOML against.
    type Config: serde::de::DeserializeOwned + schemars::JsonSchema;

    /// Files it wants granted.
    fn needs() -> Vec<Need> {
        Vec::new()
    }

    /// Looks up its columns in the stream it cleans; the place to refuse a config.
    fn open(config: Self::Config, input: &Schema) -> Result<Self>;

    /// Which columns it reads and sets.
    fn plan(&self) -> Plan;

    /// Columns that the rule adds to the stream: `open` finds them among the others.
    fn adds(_config: &Self::Config) -> Vec<Field> {
        Vec::new()
    }

    /// Table scope: a batch of a further input, whose columns the plan reads; all of them come before the stream itself.
    fn take(&mut self, _input: &str, _rows: &Rows<'_>) -> Result<()> {
        Ok(())
    }

    /// One batch. A rule of table scope only takes note here, and leaves the patch empty.
    fn apply(&mut self, rows: &Rows<'_>, patch: &mut Patch) -> Result<()>;

    /// Table scope: the verdicts, a page a call, until none.
    fn finish(&mut self) -> Result<Option<Verdicts>> {
        Ok(None)
    }
}

/// Which columns a rule reads and sets, and whether it needs the whole table to judge.
#[derive(Debug, Clone)]
pub struct Plan {
    scope: wit::Scope,
    reads: Vec<AnyColumn>,
    sets: Vec<AnyColumn>,
    masks: Vec<AnyColumn>,
    /// What it reads of further inputs.
    beside: Vec<(String, Vec<AnyColumn>)>,
}

impl Plan {
    /// Each row is judged by itself: the rule sees changed rows only.
    #[must_use]
    pub fn row() -> Self {
        Self { scope: wit::Scope::Row, reads: Vec::new(), sets: Vec::new(), masks: Vec::new(), beside: Vec::new() }
    }

    /// Rows are judged against each other: the rule sees them all, with their primary keys.
    #[must_use]
    pub fn table() -> Self {
        Self { scope: wit::Scope::Table, ..Self::row() }
    }

    /// Reads a column.
    #[must_use]
    pub fn reads(self, column: impl Into<AnyColumn>) -> Self {
        self.reads_all([column])
    }

    /// Reads columns; naming one twice reads it once.
    #[must_use]
    pub fn reads_all(mut self, columns: impl IntoIterator<Item = impl Into<AnyColumn>>) -> Self {
        add(&mut self.reads, columns);
        self
    }

    /// Table scope: reads columns of a further input.
    #[must_use]
    pub fn reads_of(mut self, input: &str, columns: impl IntoIterator<Item = impl Into<AnyColumn>>) -> Self {
        let mut reads = Vec::new();
        add(&mut reads, columns);
        self.beside.push((input.to_owned(), reads));
        self
    }

    /// Sets a column.
    #[must_use]
    pub fn sets(self, column: impl Into<AnyColumn>) -> Self {
        self.sets_all([column])
    }

    /// Sets columns.
    #[must_use]
    pub fn sets_all(mut self, columns: impl IntoIterator<Item = impl Into<AnyColumn>>) -> Self {
        add(&mut self.sets, columns);
        self
    }

    /// Sets columns that hold what nobody should read: the host keeps no value of theirs in its journal, whichever rule
    /// changed it.
    #[must_use]
    pub fn masks_all(mut self, columns: impl IntoIterator<Item = impl Into<AnyColumn>>) -> Self {
        add(&mut self.masks, columns);
        let masks = self.masks.clone();
        self.sets_all(masks)
    }
}

fn add(columns: &mut Vec<AnyColumn>, more: impl IntoIterator<Item = impl Into<AnyColumn>>) {
    for column in more {
        let column = column.into();
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
}

/// A rule at work on one stream, as the contract's resource.
#[doc(hidden)]
pub struct Cleaner<R> {
    rule: RefCell<R>,
    plan: Plan,
    /// Primary-key columns, for table scope.
    key: Vec<AnyColumn>,
    schema: Schema,
    input: String,
    /// Pages decided on and not yet sent.
    pages: RefCell<VecDeque<wit::Verdicts>>,
}

impl<R: Rule> Cleaner<R> {
    pub fn open(config: &str, inputs: Vec<wit::Input>) -> std::result::Result<Self, types::Error> {
        let mut inputs = inputs.into_iter();
        let first = inputs.next().ok_or_else(|| crate::error::Error::config("the host gave no input"))?;
        let config: R::Config = crate::export::config(config)?;
        let others = inputs.map(|input| (input.name, Schema { wit: input.schema, others: Vec::new() })).collect();
        let mut schema = Schema { wit: first.schema, others };
        for field in R::adds(&config) {
            if schema.wit.fields.iter().all(|known| known.name != field.wit.name) {
                schema.wit.fields.push(field.wit);
            }
        }
        let rule = R::open(config, &schema)?;
        let mut plan = rule.plan();
        let key = if plan.scope == wit::Scope::Table { schema.primary_key()? } else { Vec::new() };
        add(&mut plan.reads, key.iter().copied());
        Ok(Self { rule: RefCell::new(rule), plan, key, schema, input: first.name, pages: RefCell::default() })
    }
}

impl<R: Rule> wit::GuestCleaner for Cleaner<R> {
    fn plan(&self) -> wit::Plan {
        let columns = self.plan.reads.iter().map(|&column| self.schema.name(column).to_owned()).collect();
        let set = |column: &AnyColumn| {
            let mut field = self.schema.wit.fields[column.index].clone();
            if self.plan.masks.contains(column) {
                field.metadata.push(("masked".to_owned(), "true".to_owned()));
            }
            field
        };
        let sets = self.plan.sets.iter().map(set).collect();
        let mut reads = vec![wit::Reads { input: self.input.clone(), columns }];
        for (input, columns) in &self.plan.beside {
            let name = |column: &AnyColumn| self.schema.other(input).map(|schema| schema.name(*column).to_owned());
            reads.push(wit::Reads { input: input.clone(), columns: columns.iter().filter_map(name).collect() });
        }
        wit::Plan { scope: self.plan.scope, reads, sets }
    }

    fn apply(&self, input: String, rows: types::Batch) -> std::result::Result<wit::Patch, types::Error> {
        let mut patch = Patch::default();
        if let Some((name, reads)) = self.plan.beside.iter().find(|(name, _)| *name == input) {
            self.rule.borrow_mut().take(name, &Rows::new(&rows, reads, &[]))?;
            return Ok(patch.finish(&self.schema));
        }
        self.rule.borrow_mut().apply(&Rows::new(&rows, &self.plan.reads, &self.key), &mut patch)?;
        Ok(patch.finish(&self.schema))
    }

    fn finish(&self) -> std::result::Result<Option<wit::Verdicts>, types::Error> {
        let mut pages = self.pages.borrow_mut();
        while pages.is_empty() {
            let Some(verdicts) = self.rule.borrow_mut().finish()? else { return Ok(None) };
            pages.extend(verdicts.finish(&self.schema)?);
        }
        Ok(pages.pop_front())
    }
}

/// Makes a [`Rule`] the component's export.
#[macro_export]
macro_rules! export_rule {
    ($rule:ty) => {
        struct Component;

        /// Keeps the plugin alive in native builds, which have no entry points.
        #[doc(hidden)]
        #[cfg(not(target_arch = "wasm32"))]
        pub fn component() {
            let _ = Component;
        }

        #[doc(hidden)]
        const _: () = {
            use $crate::bindings::rule_plugin::exports::elt::plugin::rule as wit;

            impl wit::Guest for Component {
                type Cleaner = $crate::rule::Cleaner<$rule>;

                fn describe() -> wit::Spec {
                    $crate::rule::spec::<$rule>(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
                }

                fn open(config: String, inputs: Vec<wit::Input>) -> ::std::result::Result<wit::Cleaner, wit::Error> {
                    $crate::rule::Cleaner::<$rule>::open(&config, inputs).map(wit::Cleaner::new)
                }
            }
        };

        // Native builds, as for tests, have no use for the entry points, and no linker that takes their names.
        #[cfg(target_arch = "wasm32")]
        #[expect(unsafe_code, reason = "the component's entry points, generated by wit-bindgen")]
        mod component_exports {
            use super::Component;
            $crate::bindings::rule_plugin::export_rule_component!(Component with_types_in $crate::bindings::rule_plugin);
        }
    };
}

#[doc(hidden)]
pub fn spec<R: Rule>(name: &str, version: &str) -> types::Spec {
    types::Spec {
        name: name.to_owned(),
        version: version.to_owned(),
        config_schema: crate::export::config_schema::<R::Config>(),
        needs: R::needs().into_iter().map(|need| need.wit).collect(),
        hints: Vec::new(),
    }
}
