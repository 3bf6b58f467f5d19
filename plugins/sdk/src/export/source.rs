//! Exports a source from a component: the code behind `export_source!`.

use std::cell::RefCell;

use crate::bindings::source_plugin::elt::plugin::types;
use crate::bindings::source_plugin::exports::elt::plugin::source as wit;
use crate::error::Result;
use crate::source::{Reader, Selection, Source};

/// An open reader, as the contract's resource `reader`.
pub struct OpenReader(RefCell<Box<dyn Reader>>);

impl wit::GuestReader for OpenReader {
    fn next(&self) -> std::result::Result<wit::Page, types::Error> {
        Ok(self.0.borrow_mut().next()?.wit)
    }
}

pub fn open<S: Source>(config: &str) -> Result<S> {
    S::open(super::config(config)?)
}

pub fn discover<S: Source>(config: &str, wanted: Option<&[String]>) -> Result<Vec<wit::StreamInfo>> {
    Ok(open::<S>(config)?.discover(wanted)?.into_iter().map(|info| info.wit).collect())
}

pub fn read<S: Source>(config: &str, selection: wit::Selection) -> Result<OpenReader> {
    let wit::Selection { stream, streams, state, since } = selection;
    let reader = open::<S>(config)?.read(Selection { stream, streams, state, since })?;
    Ok(OpenReader(RefCell::new(reader)))
}

pub fn spec<S: Source>(name: &str, version: &str) -> types::Spec {
    types::Spec {
        name: name.to_owned(),
        version: version.to_owned(),
        config_schema: super::config_schema::<S::Config>(),
        needs: S::needs().into_iter().map(|need| need.wit).collect(),
        hints: Vec::new(),
    }
}

/// Exports a type that implements [`Source`](crate::source::Source) from the component.
///
/// Call it once in the crate, in `lib.rs`.
#[macro_export]
macro_rules! export_source {
    ($source:ty) => {
        struct Component;

        /// Uses the plugin in native builds, which have no entry points, so that it is not reported as dead code.
        #[doc(hidden)]
        #[cfg(not(target_arch = "wasm32"))]
        pub fn component() {
            let _ = Component;
        }

        #[doc(hidden)]
        const _: () = {
            use $crate::bindings::source_plugin::exports::elt::plugin::source as wit;
            use $crate::source::Source as _;

            impl wit::Guest for Component {
                type Reader = $crate::export::source::OpenReader;

                fn describe() -> wit::Spec {
                    $crate::export::source::spec::<$source>(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
                }

                fn check(config: String) -> ::std::result::Result<(), wit::Error> {
                    Ok($crate::export::source::open::<$source>(&config)?.check()?)
                }

                fn identity(config: String) -> ::std::result::Result<Option<String>, wit::Error> {
                    Ok($crate::export::source::open::<$source>(&config)?.identity()?)
                }

                fn discover(
                    config: String,
                    wanted: Option<Vec<String>>,
                ) -> ::std::result::Result<Vec<wit::StreamInfo>, wit::Error> {
                    Ok($crate::export::source::discover::<$source>(&config, wanted.as_deref())?)
                }

                fn open(config: String, selection: wit::Selection) -> ::std::result::Result<wit::Reader, wit::Error> {
                    Ok(wit::Reader::new($crate::export::source::read::<$source>(&config, selection)?))
                }
            }
        };

        // The names of the entry points are not valid symbols for native linkers.
        #[cfg(target_arch = "wasm32")]
        #[expect(unsafe_code, reason = "wit-bindgen generates the component's entry points")]
        mod component_exports {
            use super::Component;
            $crate::bindings::source_plugin::export_source_component!(Component with_types_in $crate::bindings::source_plugin);
        }
    };
}
