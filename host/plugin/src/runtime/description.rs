//! How a plugin describes itself.

use serde_json::Value;

/// A plugin's description of itself.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Description {
    /// The plugin's name.
    pub name: String,
    /// The plugin's version.
    pub version: String,
    /// The JSON Schema of its config.
    pub config_schema: Value,
    /// What it needs granted.
    pub needs: Vec<Need>,
}

impl Description {
    /// The needs of one kind.
    pub fn needs_of(&self, kind: &NeedKind) -> impl Iterator<Item = &Need> {
        self.needs.iter().filter(move |need| need.kind == *kind)
    }
}

/// Something that a plugin needs granted.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Need {
    /// Its kind.
    pub kind: NeedKind,
    /// Its name in the plugin.
    pub name: String,
    /// Details by its kind; see `need` in `wit/`.
    pub details: Value,
}

impl Need {
    /// Whether the plugin works without it.
    #[must_use]
    pub fn is_optional(&self) -> bool {
        self.details.get("optional").and_then(Value::as_bool).unwrap_or_default()
    }
}

/// A kind of need. In text and JSON it has the contract's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NeedKind {
    /// A connection.
    Connection,
    /// A file.
    File,
    /// A further stream that a rule reads.
    Input,
    /// A rate bucket of its requests.
    RateBucket,
    /// Which responses are retried.
    Retry,
    /// A kind that this host does not know.
    Unknown(String),
}

impl NeedKind {
    pub(super) fn parse(name: String) -> Self {
        match name.as_str() {
            "connection" => Self::Connection,
            "file" => Self::File,
            "input" => Self::Input,
            "rate-bucket" => Self::RateBucket,
            "retry" => Self::Retry,
            _ => Self::Unknown(name),
        }
    }

    /// Its name in the contract.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Connection => "connection",
            Self::File => "file",
            Self::Input => "input",
            Self::RateBucket => "rate-bucket",
            Self::Retry => "retry",
            Self::Unknown(name) => name,
        }
    }
}

impl std::fmt::Display for NeedKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl serde::Serialize for NeedKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
