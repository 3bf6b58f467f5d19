//! Writes names, texts and keys as SQL.

/// A table: schema and name. Displayed with quotes, for SQL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table {
    /// The schema; `temp` for temporary tables.
    pub schema: String,
    /// The name.
    pub name: String,
}

impl Table {
    /// A table of a schema.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self { schema: schema.into(), name: name.into() }
    }

    /// A temporary table of this connection.
    pub fn temporary(name: impl Into<String>) -> Self {
        Self::new("temp", name)
    }

    /// The raw table of a stream.
    #[must_use]
    pub fn raw(source: &str, stream: &str) -> Self {
        Self::new(format!("raw_{source}"), stream)
    }

    /// The clean table of a stream.
    #[must_use]
    pub fn clean(source: &str, stream: &str) -> Self {
        Self::new(format!("clean_{source}"), stream)
    }

    /// The kept output of a segment of a stream's rules, for every segment but the last.
    #[must_use]
    pub fn kept(source: &str, stream: &str, segment: usize) -> Self {
        Self::new(format!("kept_{source}"), format!("{stream}_{segment}"))
    }

    /// The same table with `suffix` appended to its name.
    #[must_use]
    pub fn suffixed(&self, suffix: &str) -> Self {
        Self::new(self.schema.clone(), format!("{}{suffix}", self.name))
    }

    /// `schema.name` without quotes, for messages and look-ups.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", quote(&self.schema), quote(&self.name))
    }
}

/// A name in double quotes.
#[must_use]
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text in single quotes.
#[must_use]
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Names in double quotes, each after `prefix`, separated by commas.
#[must_use]
pub fn quote_all<'a>(names: impl IntoIterator<Item = &'a str>, prefix: &str) -> String {
    names.into_iter().map(|name| format!("{prefix}{}", quote(name))).collect::<Vec<_>>().join(", ")
}

/// SQL for the text of a row's key: the value itself, or a JSON array of several values.
///
/// All texts of keys are made by this function, so that two texts of one key are always equal.
#[must_use]
pub fn key_text(key: &[String]) -> String {
    let texts: Vec<_> = key.iter().map(|name| format!("{}::VARCHAR", quote(name))).collect();
    match texts.as_slice() {
        [single] => format!("coalesce({single}, '')"),
        many => format!("to_json([{}])::VARCHAR", many.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Table, key_text, literal, quote};

    #[test]
    fn quotes_inside_names_and_texts_are_doubled() {
        assert_eq!(quote("a\"b"), "\"a\"\"b\"");
        assert_eq!(literal("d'Or"), "'d''Or'");
        assert_eq!(Table::new("my schema", "t").to_string(), "\"my schema\".\"t\"");
    }

    #[test]
    fn a_key_of_several_columns_is_a_json_array() {
        assert_eq!(key_text(&["id".to_owned()]), "coalesce(\"id\"::VARCHAR, '')");
        assert_eq!(key_text(&["a".to_owned(), "b".to_owned()]), "to_json([\"a\"::VARCHAR, \"b\"::VARCHAR])::VARCHAR");
    }
}
