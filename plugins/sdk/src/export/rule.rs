//! Exports a rule from a component: the code behind `export_rule!`.

use std::cell::RefCell;
use std::collections::VecDeque;

use crate::bindings::rule_plugin::exports::elt::plugin::rule as wit;
use crate::bindings::source_plugin::elt::plugin::types;
use crate::column::AnyColumn;
use crate::error::Error;
use crate::rows::{Patch, Rows};
use crate::rule::{Plan, Rule, add_columns};
use crate::schema::Schema;

/// An open rule, as the contract's resource `cleaner`.
pub struct Cleaner<R> {
    rule: RefCell<R>,
    plan: Plan,
    /// The columns of the primary key; none for row scope.
    key: Vec<AnyColumn>,
    schema: Schema,
    input: String,
    /// Pages of verdicts that the host has not fetched yet.
    pages: RefCell<VecDeque<wit::Verdicts>>,
}

impl<R: Rule> Cleaner<R> {
    pub fn open(config: &str, inputs: Vec<wit::Input>) -> Result<Self, types::Error> {
        let mut inputs = inputs.into_iter();
        let first = inputs.next().ok_or_else(|| Error::config("the host opened the rule without an input"))?;
        let config: R::Config = super::config(config)?;
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
        add_columns(&mut plan.reads, key.iter().copied());
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
        for (input, columns) in &self.plan.further_inputs {
            let name = |column: &AnyColumn| self.schema.other(input).map(|schema| schema.name(*column).to_owned());
            reads.push(wit::Reads { input: input.clone(), columns: columns.iter().filter_map(name).collect() });
        }
        wit::Plan { scope: self.plan.scope, reads, sets }
    }

    fn apply(&self, input: String, rows: types::Batch) -> Result<wit::Patch, types::Error> {
        let mut patch = Patch::default();
        if let Some((name, reads)) = self.plan.further_inputs.iter().find(|(name, _)| *name == input) {
            self.rule.borrow_mut().take(name, &Rows::new(&rows, reads, &[]))?;
            return Ok(patch.finish(&self.schema));
        }
        self.rule.borrow_mut().apply(&Rows::new(&rows, &self.plan.reads, &self.key), &mut patch)?;
        Ok(patch.finish(&self.schema))
    }

    fn finish(&self) -> Result<Option<wit::Verdicts>, types::Error> {
        let mut pages = self.pages.borrow_mut();
        while pages.is_empty() {
            let Some(verdicts) = self.rule.borrow_mut().finish()? else { return Ok(None) };
            pages.extend(verdicts.finish(&self.schema)?);
        }
        Ok(pages.pop_front())
    }
}

/// Exports a type that implements [`Rule`](crate::rule::Rule) from the component.
///
/// Call it once in the crate, in `lib.rs`. In native builds it also defines `component()`, with which tests run the rule:
/// see [`testing`](crate::testing).
#[macro_export]
macro_rules! export_rule {
    ($rule:ty) => {
        struct Component;

        /// The rule, for tests in native builds.
        #[cfg(not(target_arch = "wasm32"))]
        pub fn component() -> $crate::testing::Component {
            let _ = Component;
            $crate::testing::Component::of::<$rule>()
        }

        #[doc(hidden)]
        const _: () = {
            use $crate::bindings::rule_plugin::exports::elt::plugin::rule as wit;

            impl wit::Guest for Component {
                type Cleaner = $crate::export::rule::Cleaner<$rule>;

                fn describe() -> wit::Spec {
                    $crate::export::rule::spec::<$rule>(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
                }

                fn open(config: String, inputs: Vec<wit::Input>) -> ::std::result::Result<wit::Cleaner, wit::Error> {
                    $crate::export::rule::Cleaner::<$rule>::open(&config, inputs).map(wit::Cleaner::new)
                }
            }
        };

        // The names of the entry points are not valid symbols for native linkers.
        #[cfg(target_arch = "wasm32")]
        #[expect(unsafe_code, reason = "wit-bindgen generates the component's entry points")]
        mod component_exports {
            use super::Component;
            $crate::bindings::rule_plugin::export_rule_component!(Component with_types_in $crate::bindings::rule_plugin);
        }
    };
}

pub fn spec<R: Rule>(name: &str, version: &str) -> types::Spec {
    types::Spec {
        name: name.to_owned(),
        version: version.to_owned(),
        config_schema: super::config_schema::<R::Config>(),
        needs: R::needs().into_iter().map(|need| need.wit).collect(),
        hints: Vec::new(),
    }
}
