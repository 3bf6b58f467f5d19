//! Environment variables of the process and of a `.env` file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use host_core::error::{Error, Place, Result};
use host_core::project::Project;

/// Variables by name. Those of the process take precedence over those of `.env`.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    warnings: Vec<String>,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} variables", self.variables.len())
    }
}

impl Environment {
    /// The variables of the process, and those of the nearest `.env` of a project: in the pipeline's folder, else in the
    /// project's root.
    ///
    /// # Errors
    /// A `.env` that others may have written, or that does not parse. The error never shows a line of the file.
    pub fn new(process: impl IntoIterator<Item = (String, String)>, project: &Project) -> Result<Self> {
        let (mut variables, mut warnings) = (BTreeMap::new(), Vec::new());
        let files = project.folders().iter().map(|folder| (folder.join(".env"), folder));
        if let Some((file, folder)) = files.into_iter().find(|(file, _)| file.is_file()) {
            let text = project.owners().open(&file, folder)?;
            // The parser's message quotes the line, which may contain a secret.
            let invalid = |cause: dotenvy::Error| {
                let why = match cause {
                    dotenvy::Error::LineParse(..) => {
                        "a line is not of the form `NAME=value`; put a value with spaces in quotes".to_owned()
                    }
                    other => other.to_string(),
                };
                Error::config(why).at(&Place::file(file.display().to_string()))
            };
            for pair in dotenvy::from_read_iter(text) {
                let (name, value) = pair.map_err(invalid)?;
                variables.insert(name, value);
            }
            warnings.extend(readable_by_others(&file));
        }
        variables.extend(process);
        Ok(Self { variables, warnings })
    }

    /// What a person should know about the files that were read, as long as it is so.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Replaces `${NAME}` and `${NAME:-default}` in a text.
    ///
    /// # Errors
    /// A variable with neither a value nor a default.
    pub fn fill(&self, text: &str) -> Result<String> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            let Some(length) = rest[start..].find('}') else { break };
            filled.push_str(&rest[..start]);
            let inside = &rest[start + 2..start + length];
            let (name, default) = inside.split_once(":-").map_or((inside, None), |(name, rest)| (name, Some(rest)));
            let set = self.get(name).filter(|value| !value.is_empty());
            let missing = || {
                let error = Error::config(format!("variable `{name}` is not set"));
                error.hint(format!("set the variable, or give it a default: `${{{name}:-…}}`"))
            };
            filled.push_str(set.or(default).ok_or_else(missing)?);
            rest = &rest[start + length + 1..];
        }
        filled.push_str(rest);
        Ok(filled)
    }

    /// The value of a variable. None if it is not set.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }
}

/// A warning if other users can read a file that may hold secrets.
fn readable_by_others(file: &Path) -> Option<String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(file).ok()?.permissions().mode() & 0o777;
        let (group, others) = (mode & 0o060 != 0, mode & 0o006 != 0);
        let (file, who) = (file.display(), if others { "all users" } else { "its group" });
        let warning = format!("{file} holds secrets, and {who} can read it (mode {mode:03o}): run `chmod 600 {file}`");
        (group || others).then_some(warning)
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        None
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::{Environment, Project};

    #[test]
    fn a_file_of_secrets_that_others_can_read_is_warned_of() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(".env");
        std::fs::write(&path, "TOKEN=x").expect("a file");
        for (mode, part) in [(0o600, None), (0o400, None), (0o644, Some("all users")), (0o640, Some("its group"))] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("permissions");
            let environment = Environment::new([], &Project::of_folder(folder.path())).expect("an environment");
            let warning = environment.warnings().first();
            assert_eq!(warning.is_some(), part.is_some(), "{mode:o}: {warning:?}");
            if let (Some(warning), Some(part)) = (warning, part) {
                assert!(warning.contains(part) && warning.contains("chmod 600"), "{warning}");
            }
        }
    }
}
