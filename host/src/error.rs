//! The one error of the host: what failed and why, a kind by the reader's next step, a hint where the mend is known.
//!
//! Callers branch on the kind alone, so rooms build this struct directly instead of each owning an enum.

use std::fmt;

/// What the reader should do next; each kind has an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Mend the pipeline, a secret, a file or the command.
    Config,
    /// Run the same command again later.
    Unavailable,
    /// Look at the plugin.
    Plugin,
    /// Look at the data: a failing check, an answer that is not as expected.
    Data,
    /// Report a defect of the host.
    Internal,
    /// Stopped on request; running again goes on where it stopped.
    Interrupted,
}

impl Kind {
    /// The process's exit code.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Config => 2,
            Self::Unavailable => 3,
            Self::Plugin => 4,
            Self::Data => 5,
            Self::Interrupted => 130,
        }
    }
}

/// What failed, on which thing, why, and the next step.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Error {
    /// The next step.
    pub kind: Kind,
    /// Lowercase, literals in backticks, no final period; several problems are several lines.
    pub message: String,
    /// A command or a line to add, shown after `hint:`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// What the host's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of any kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    /// The pipeline, a secret, a file or the command must be mended.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(Kind::Config, message)
    }

    /// The same command may work later.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, message)
    }

    /// The plugin is at fault.
    pub fn plugin(message: impl Into<String>) -> Self {
        Self::new(Kind::Plugin, message)
    }

    /// The data is at fault.
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(Kind::Data, message)
    }

    /// The host is at fault.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Kind::Internal, message)
    }

    /// Adds how to mend it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says on which thing it failed, before the message.
    #[must_use]
    pub fn on(mut self, thing: impl fmt::Display) -> Self {
        self.message = format!("{thing}: {}", self.message);
        self
    }

    /// Many problems as one error: the first one's kind, a line each, their different hints.
    #[must_use]
    pub fn all(errors: Vec<Self>) -> Option<Self> {
        let kind = errors.first()?.kind;
        let mut hints: Vec<String> = Vec::new();
        for hint in errors.iter().filter_map(|error| error.hint.clone()) {
            if !hints.contains(&hint) {
                hints.push(hint);
            }
        }
        let messages: Vec<_> = errors.into_iter().map(|error| error.message).collect();
        let hint = (!hints.is_empty()).then(|| hints.join("\n      "));
        Some(Self { kind, message: messages.join("\n       "), hint })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// The names nearest to one that is unknown, as a hint; none where nothing is near.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let scored = known.into_iter().map(|known| (strsim::jaro_winkler(name, known), known));
    let mut near: Vec<_> = scored.filter(|(score, _)| *score > 0.7).collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    let near: Vec<_> = near.iter().take(3).map(|(_, known)| format!("`{known}`")).collect();
    (!near.is_empty()).then(|| format!("did you mean {}?", near.join(" or ")))
}
