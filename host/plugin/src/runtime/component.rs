//! A compiled component, and what it implements.

use host_core::error::{Error, Result};

/// The version of the contract that this host supports.
const CONTRACT_VERSION: &str = "0.1.0";

/// What a component implements of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PluginKind {
    /// It reads streams.
    Source,
    /// It cleans streams.
    Rule,
}

impl PluginKind {
    /// The kind of a component with these exports.
    ///
    /// # Errors
    /// Another version of the contract, or exports that are not of the contract.
    pub fn of_exports(exports: &[String]) -> Result<Self> {
        for kind in [Self::Source, Self::Rule] {
            let prefix = format!("elt:plugin/{}@", kind.name());
            let Some(version) = exports.iter().find_map(|export| export.strip_prefix(&prefix)) else { continue };
            if version != CONTRACT_VERSION {
                let error = Error::plugin(format!(
                    "it implements contract version {version}, but this host supports {CONTRACT_VERSION}"
                ));
                return Err(error.hint(format!(
                    "build it against `elt:plugin@{CONTRACT_VERSION}`, or use a host that supports {version}"
                )));
            }
            return Ok(kind);
        }
        let exports = if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
        let error = Error::plugin(format!(
            "it exports {exports}, but neither `source` nor `rule` of `elt:plugin@{CONTRACT_VERSION}`"
        ));
        Err(error.hint(
            "a crate exports its type at the end of `lib.rs`: `export_rule!(MyRule);` or `export_source!(MySource);`",
        ))
    }

    /// Its name in the contract and as a table of a pipeline: `source` or `rule`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Rule => "rule",
        }
    }
}

/// A compiled component.
#[derive(Clone)]
pub struct Component {
    /// The name of its file, without the extension.
    pub name: String,
    /// The SHA-256 of its file, in hex.
    pub sha256: String,
    /// What it implements.
    pub kind: PluginKind,
    /// The interfaces that it imports.
    pub imports: Vec<String>,
    pub(super) compiled: wasmtime::component::Component,
}

impl Component {
    /// The version of the contract that it was built against. Both kinds import the contract's types.
    #[must_use]
    pub fn contract_version(&self) -> &str {
        let mut imports = self.imports.iter();
        let version = imports.find_map(|import| Some(import.strip_prefix("elt:plugin/")?.split_once('@')?.1));
        version.unwrap_or("unknown")
    }
}

#[cfg(test)]
mod tests {
    use super::PluginKind;

    #[test]
    fn another_version_of_the_contract_is_refused() {
        assert_eq!(PluginKind::of_exports(&["elt:plugin/rule@0.1.0".to_owned()]).ok(), Some(PluginKind::Rule));
        let error = PluginKind::of_exports(&["elt:plugin/source@0.2.0".to_owned()]).expect_err("another version");
        assert_eq!(error.message(), "it implements contract version 0.2.0, but this host supports 0.1.0");
        let error = PluginKind::of_exports(&["wasi:cli/run@0.2.0".to_owned()]).expect_err("another world");
        assert!(error.message().starts_with("it exports wasi:cli/run@0.2.0, but neither"), "{error}");
    }
}
