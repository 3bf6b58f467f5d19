//! The host's error: its kind, which says what the reader does next, and the problems found.
//!
//! An error is data. Callers branch on the kind, on a problem's subject or on a statement's fault, never on the words of a
//! message. Text is laid out where it is printed. A message or a hint has no secret: both are redacted when they are set.

use std::fmt;

use serde::ser::SerializeStruct as _;

use crate::secret::redact;

/// What the reader does next. Each kind has an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Fix the pipeline, a secret, a file or the command.
    Config,
    /// Run the same command again later.
    Unavailable,
    /// Check the plugin.
    Plugin,
    /// Check the data: a check failed, or a response is not as expected.
    Data,
    /// Report a bug in the host.
    Internal,
    /// Run the command again: it was stopped on request and continues where it stopped.
    Interrupted,
}

impl Kind {
    /// The exit code of a process that ends with this kind of error.
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

    /// The name of the kind in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Unavailable => "unavailable",
            Self::Plugin => "plugin",
            Self::Data => "data",
            Self::Internal => "internal",
            Self::Interrupted => "interrupted",
        }
    }
}

/// A position in a text file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Place {
    /// The file, as the user named it.
    pub file: String,
    /// The line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The column in characters, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// The text of the line, for an excerpt. None if the line may contain a secret.
    #[serde(skip)]
    pub excerpt: Option<String>,
}

impl Place {
    /// A file as a whole.
    pub fn file(file: impl Into<String>) -> Self {
        Self { file: file.into(), line: None, column: None, excerpt: None }
    }

    /// A line of a file, from 1.
    pub fn line(file: impl Into<String>, line: usize) -> Self {
        Self { line: Some(line), ..Self::file(file) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        self.line.map_or(Ok(()), |line| write!(f, ":{line}"))?;
        self.column.map_or(Ok(()), |column| write!(f, ":{column}"))
    }
}

/// The thing that a problem is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A source, by its name in the pipeline.
    Source(String),
    /// A stream, `source.stream`.
    Stream(String),
    /// A model or check, `schema.name`.
    Model(String),
    /// A plugin, by the name of its file.
    Plugin(String),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(name) => write!(f, "source `{name}`"),
            Self::Stream(name) => write!(f, "stream `{name}`"),
            Self::Model(name) => write!(f, "model `{name}`"),
            Self::Plugin(name) => write!(f, "plugin `{name}`"),
        }
    }
}

/// What the database reports about a failed statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementFault {
    /// The class of the failure.
    pub class: FaultClass,
    /// The position in the statement at which it failed, in bytes from 0.
    pub position: Option<usize>,
    /// The line of the statement at which it failed, from 1.
    pub line: Option<usize>,
    /// Existing names that are similar to an unknown name of the statement.
    pub candidates: Vec<String>,
}

/// The classes of failed statements that callers distinguish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultClass {
    /// The statement does not parse.
    Syntax,
    /// A table, schema or function does not exist.
    Catalog,
    /// A column or a type does not bind.
    Binder,
    /// A value cannot be computed from the rows: a failed cast, an overflow, a violated condition.
    Value,
    /// The memory limit is reached.
    Memory,
    /// A file cannot be read or written.
    Io,
    /// The write-ahead log of the database is damaged.
    DamagedLog,
    /// The statement was interrupted.
    Interrupted,
    /// Another transaction changed the same rows.
    Conflict,
    /// Anything else.
    Other,
}

/// One problem of an error.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Problem {
    /// On which thing it failed, and why. Starts in lower case, has literals in backticks and no final period.
    pub message: String,
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// A command or a line to add. Several hints are separate lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The things that it is about, the outermost last.
    #[serde(skip)]
    pub subjects: Vec<Subject>,
    /// Problems that follow from this one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub consequences: Vec<Problem>,
}

impl Problem {
    /// A problem with only a message, from which every known secret is redacted.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: redact(message), place: None, hint: None, subjects: Vec::new(), consequences: Vec::new() }
    }

    /// How many problems follow from this one, directly or not.
    #[must_use]
    pub fn count_consequences(&self) -> usize {
        self.consequences.iter().map(|problem| 1 + problem.count_consequences()).sum()
    }

    fn add_hint(&mut self, hint: String) {
        let hint = redact(hint);
        self.hint = Some(match self.hint.take() {
            Some(first) => format!("{first}\n{hint}"),
            None => hint,
        });
    }
}

/// `place: message`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.as_ref().map_or(Ok(()), |place| write!(f, "{place}: "))?;
        f.write_str(&self.message)
    }
}

/// A failure: its kind, and at least one problem.
#[derive(Debug, Clone)]
pub struct Error {
    /// What the reader does next.
    pub kind: Kind,
    problems: Vec<Problem>,
    fault: Option<StatementFault>,
}

/// What the host's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of any kind with one problem.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, problems: vec![Problem::new(message)], fault: None }
    }

    /// The pipeline, a secret, a file or the command has to be fixed.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(Kind::Config, message)
    }

    /// The same command may succeed later.
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
    pub fn internal(message: impl fmt::Display) -> Self {
        Self::new(Kind::Internal, message.to_string())
    }

    /// The run was stopped on request.
    #[must_use]
    pub fn stopped() -> Self {
        Self::new(Kind::Interrupted, "stopped")
    }

    /// The problems, causes first.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// What the database reports, if a statement failed.
    #[must_use]
    pub fn fault(&self) -> Option<&StatementFault> {
        self.fault.as_ref()
    }

    /// Whether a statement failed for a reason of this class.
    #[must_use]
    pub fn is_fault(&self, class: FaultClass) -> bool {
        self.fault.as_ref().is_some_and(|fault| fault.class == class)
    }

    /// Whether any problem is about this thing.
    #[must_use]
    pub fn is_about(&self, subject: &Subject) -> bool {
        self.problems.iter().any(|problem| problem.subjects.contains(subject))
    }

    /// The problems as text, one per line, each with its place. Hints are left out.
    #[must_use]
    pub fn message(&self) -> String {
        self.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    /// The distinct hints, one per line.
    #[must_use]
    pub fn hint_text(&self) -> Option<String> {
        let mut hints: Vec<&str> = Vec::new();
        for hint in self.problems.iter().filter_map(|problem| problem.hint.as_deref()).flat_map(str::lines) {
            if !hints.contains(&hint) {
                hints.push(hint);
            }
        }
        (!hints.is_empty()).then(|| hints.join("\n"))
    }

    /// Adds a hint to the last problem.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Some(last) = self.problems.last_mut() {
            last.add_hint(hint.into());
        }
        self
    }

    /// Adds a hint to the last problem, if there is one.
    #[must_use]
    pub fn maybe_hint(self, hint: Option<String>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }

    /// Puts `thing: ` before the message of every problem.
    #[must_use]
    pub fn on(mut self, thing: impl fmt::Display) -> Self {
        for problem in &mut self.problems {
            problem.message = redact(format!("{thing}: {}", problem.message));
        }
        self
    }

    /// Same as [`Error::on`], and records the subject, for which callers can test.
    #[must_use]
    pub fn about(mut self, subject: &Subject) -> Self {
        for problem in &mut self.problems {
            problem.subjects.push(subject.clone());
        }
        self.on(subject)
    }

    /// Sets the place of every problem that has none.
    #[must_use]
    pub fn at(mut self, place: &Place) -> Self {
        for problem in &mut self.problems {
            problem.place.get_or_insert_with(|| place.clone());
        }
        self
    }

    /// Sets what the database reports.
    #[must_use]
    pub fn with_fault(mut self, fault: StatementFault) -> Self {
        self.fault = Some(fault);
        self
    }

    /// The same problems as another kind of error.
    #[must_use]
    pub fn with_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Changes the message of every problem.
    #[must_use]
    pub fn map_messages(mut self, change: impl Fn(&str) -> String) -> Self {
        for problem in &mut self.problems {
            problem.message = redact(change(&problem.message));
        }
        self
    }

    /// Moves problems below the first one, as its consequences.
    #[must_use]
    pub fn with_consequences(mut self, consequences: Vec<Self>) -> Self {
        if let Some(first) = self.problems.first_mut() {
            first.consequences.extend(consequences.into_iter().flat_map(|error| error.problems));
        }
        self
    }

    /// Combines several errors: the kind of the first, the problems of all. None if there are none.
    #[must_use]
    pub fn all(errors: Vec<Self>) -> Option<Self> {
        let mut errors = errors.into_iter();
        let first = errors.next()?;
        Some(errors.fold(first, |mut all, error| {
            all.problems.extend(error.problems);
            all
        }))
    }

    /// Fails with several errors as one, or succeeds if there are none.
    ///
    /// # Errors
    /// All of them, combined by [`Error::all`].
    pub fn check(errors: Vec<Self>) -> Result<()> {
        Self::all(errors).map_or(Ok(()), Err)
    }
}

/// The values of the successes, or all errors as one.
///
/// # Errors
/// Every error among the results.
pub fn collect<T>(results: impl IntoIterator<Item = Result<T>>) -> Result<Vec<T>> {
    let (mut values, mut errors) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(value) => values.push(value),
            Err(error) => errors.push(error),
        }
    }
    Error::all(errors).map_or(Ok(values), Err)
}

/// The messages without hints, for logs and for other errors.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())
    }
}

impl std::error::Error for Error {}

/// The keys `kind`, `message`, `hint` and `problems`. The message and the hint are those of all problems, one per line.
impl serde::Serialize for Error {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut state = serializer.serialize_struct("Error", 4)?;
        state.serialize_field("kind", &self.kind)?;
        state.serialize_field("message", &self.message())?;
        match self.hint_text() {
            Some(hint) => state.serialize_field("hint", &hint)?,
            None => state.skip_field("hint")?,
        }
        state.serialize_field("problems", &self.problems)?;
        state.end()
    }
}

/// A hint with the known names that are most similar to an unknown one. None if none is similar.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let scored = known.into_iter().map(|known| (strsim::jaro_winkler(name, known), known));
    let mut near: Vec<_> = scored.filter(|(score, _)| *score > 0.7).collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    let near: Vec<_> = near.iter().take(3).map(|(_, known)| format!("`{known}`")).collect();
    (!near.is_empty()).then(|| format!("did you mean {}?", near.join(" or ")))
}

/// The error for an unknown name. Its hint lists the most similar known names, or all of them.
#[must_use]
pub fn unknown<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> Error {
    let hint = nearest(name, known.clone()).or_else(|| one_of(known));
    Error::config(format!("unknown {what} `{name}`")).maybe_hint(hint)
}

/// The hint `expected one of …`. None if there are no known names.
pub fn one_of<'a>(known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let known: Vec<_> = known.into_iter().map(|name| format!("`{name}`")).collect();
    match known.as_slice() {
        [] => None,
        [single] => Some(format!("expected {single}")),
        _ => Some(format!("expected one of {}", known.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, Kind, Place, Subject, unknown};

    #[test]
    fn several_errors_keep_the_kind_of_the_first_and_all_problems() {
        let first = Error::data("negative amount").at(&Place::line("deals.sql", 3)).hint("filter it");
        let second = Error::config("unknown column").hint("filter it").hint("or select it");
        let all = Error::all(vec![first, second]).expect("an error");
        assert_eq!(all.kind, Kind::Data);
        assert_eq!(all.message(), "deals.sql:3: negative amount\nunknown column");
        assert_eq!(all.hint_text().as_deref(), Some("filter it\nor select it"));
        assert!(Error::all(Vec::new()).is_none());
    }

    #[test]
    fn an_error_can_be_tested_for_its_subject() {
        let stream = Subject::Stream("hubspot.deals".to_owned());
        let error = Error::unavailable("timed out").about(&stream);
        assert_eq!(error.message(), "stream `hubspot.deals`: timed out");
        assert!(error.is_about(&stream) && !error.is_about(&Subject::Model("core.deals".to_owned())));
    }

    #[test]
    fn consequences_are_counted_at_every_level() {
        let failed = Error::data("exchange rate missing");
        let follows = Error::data("drill").with_consequences(vec![Error::data("mart")]);
        let error = failed.with_consequences(vec![follows]);
        assert_eq!((error.problems().len(), error.problems()[0].count_consequences()), (1, 2));
    }

    #[test]
    fn json_has_one_message_for_all_problems_and_each_problem() {
        let error = Error::config("unknown key").at(&Place::line("p.toml", 2)).hint("remove it");
        let json = serde_json::to_value(&error).expect("JSON");
        assert_eq!(json["kind"], "config");
        assert_eq!(json["message"], "p.toml:2: unknown key");
        assert_eq!(json["problems"][0]["place"]["line"], 2);
        assert_eq!(json["hint"], "remove it");
    }

    #[test]
    fn the_hint_for_an_unknown_name_lists_similar_names_or_all() {
        let hint = |name: &str| unknown("stream", name, ["contacts", "deals"]).hint_text();
        assert_eq!(hint("contcts").as_deref(), Some("did you mean `contacts`?"));
        assert_eq!(hint("xyz").as_deref(), Some("expected one of `contacts`, `deals`"));
        assert_eq!(unknown("stream", "x", []).hint_text(), None);
    }
}
