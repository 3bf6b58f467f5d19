//! Variables of the process and of a `.env` file, and the secrets among them, which never print.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use super::Pipeline;
use super::file::SecretReference;
use crate::error::{Error, Result};

/// A secret: it can be sent, it cannot be shown.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// A text that must not be shown.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret itself, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// A text without it. What is shorter than eight bytes is as likely a word, and stays.
    #[must_use]
    pub fn hide(&self, text: &str) -> String {
        if self.0.len() < 8 { text.to_owned() } else { text.replace(&self.0, "***") }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Variables by name: the process's own win over those of `.env`.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} variables", self.variables.len())
    }
}

impl Environment {
    /// These variables, and those of the nearest `.env` at or above a folder.
    pub fn new(process: impl IntoIterator<Item = (String, String)>, folder: &Path) -> Result<Self> {
        let mut variables = BTreeMap::new();
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
        let file = folder.ancestors().map(|folder| folder.join(".env")).find(|file| file.is_file());
        if let Some(file) = file {
            // The cause of a line that does not parse shows the line, and it may hold a secret.
            let broken = |cause: dotenvy::Error| {
                let why = match cause {
                    dotenvy::Error::LineParse(..) => "a line is not `NAME=value`; quote a value with spaces".to_owned(),
                    other => other.to_string(),
                };
                Error::config(why).on(file.display())
            };
            for pair in dotenvy::from_path_iter(&file).map_err(broken)? {
                let (name, value) = pair.map_err(broken)?;
                variables.insert(name, value);
            }
        }
        variables.extend(process);
        Ok(Self { variables })
    }

    /// Fills `${NAME}` and `${NAME:-default}` in a text; a variable without value or default is an error.
    pub fn fill(&self, text: &str) -> Result<String> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            let Some(length) = rest[start..].find('}') else { break };
            filled.push_str(&rest[..start]);
            let inside = &rest[start + 2..start + length];
            let (name, default) = inside.split_once(":-").map_or((inside, None), |(name, rest)| (name, Some(rest)));
            let set = self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty());
            let missing = || {
                let error = Error::config(format!("variable `{name}` is not set"));
                error.hint(format!("set it, or give it a default: `${{{name}:-…}}`"))
            };
            filled.push_str(set.or(default).ok_or_else(missing)?);
            rest = &rest[start + length + 1..];
        }
        filled.push_str(rest);
        Ok(filled)
    }

    /// The secret that a reference names; none where it is unset or empty.
    pub fn secret(&self, reference: &SecretReference, pipeline: &Pipeline) -> Result<Option<Secret>> {
        let text = match reference {
            SecretReference::Variable { secret } => self.variables.get(secret).cloned().unwrap_or_default(),
            SecretReference::File { file } => {
                let path = pipeline.path(file);
                std::fs::read_to_string(&path).map_err(|cause| Error::config(format!("{}: {cause}", path.display())))?
            }
        };
        let text = text.trim();
        Ok((!text.is_empty()).then(|| Secret(text.to_owned())))
    }
}
