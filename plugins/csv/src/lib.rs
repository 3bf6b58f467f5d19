//! Source: a CSV file that the pipeline grants. Without a granted file the stream is empty, so that its table exists for
//! models.

use std::collections::BTreeMap;

use plugin_sdk::files::is_granted;
use plugin_sdk::prelude::*;
use plugin_sdk::source::CsvReader;

/// Settings of the CSV source.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
struct Config {
    /// The name of the stream.
    #[serde(default = "default_stream")]
    #[schemars(regex(pattern = r"^[a-z0-9_]+$"))]
    stream: String,
    /// The columns that the header must name, each with its type.
    columns: BTreeMap<String, ColumnType>,
    /// The columns that identify a row.
    primary_key: Vec<String>,
    /// The character that separates the cells.
    #[serde(default = "comma")]
    delimiter: char,
}

fn default_stream() -> String {
    "file".to_owned()
}

fn comma() -> char {
    ','
}

/// The type of a column.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ColumnType {
    /// Text.
    Text,
    /// A number, stored exactly.
    Decimal,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Bool,
    /// A day such as `2026-10-31`, or a month such as `2026-10`, which is stored as its first day.
    Date,
    /// A time in RFC 3339, such as `2026-10-31T12:00:00Z`.
    Timestamp,
}

struct Csv {
    config: Config,
    schema: Schema,
}

impl Source for Csv {
    type Config = Config;

    fn needs() -> Vec<Need> {
        vec![Need::file("file", true)]
    }

    fn open(config: Config) -> Result<Self> {
        let field = |(name, column_type): (&String, &ColumnType)| {
            let data_type = match column_type {
                ColumnType::Text => Type::Text,
                ColumnType::Decimal => Type::Decimal,
                ColumnType::Integer => Type::Int64,
                ColumnType::Bool => Type::Bool,
                ColumnType::Date => Type::Date,
                ColumnType::Timestamp => Type::Timestamp,
            };
            Field::new(name, data_type)
        };
        if let Some(unknown) = config.primary_key.iter().find(|key| !config.columns.contains_key(*key)) {
            let error = Error::config(format!("`primary_key` names `{unknown}`, which is not one of `columns`"));
            return Err(error.hint(format!("add `{unknown} = \"text\"` to `columns`, or remove it from `primary_key`")));
        }
        let key: Vec<_> = config.primary_key.iter().map(String::as_str).collect();
        let schema = Schema::new(config.columns.iter().map(field).collect(), &key);
        Ok(Self { config, schema })
    }

    fn check(&self) -> Result<()> {
        if is_granted("file")? {
            CsvReader::open("file", &self.schema, self.config.delimiter)?;
        }
        Ok(())
    }

    fn discover(&self, _: Option<&[String]>) -> Result<Vec<StreamInfo>> {
        Ok(vec![StreamInfo::new(&self.config.stream, &self.schema).replaced()])
    }

    fn read(&self, _: Selection) -> Result<Box<dyn Reader>> {
        let reader = if is_granted("file")? {
            Some(CsvReader::open("file", &self.schema, self.config.delimiter)?)
        } else {
            log::warn(&format!("stream `{}` is empty: no file is granted", self.config.stream));
            None
        };
        Ok(Box::new(FileReader { reader, stream: self.config.stream.clone(), schema: self.schema.clone() }))
    }
}

struct FileReader {
    reader: Option<CsvReader>,
    stream: String,
    schema: Schema,
}

impl Reader for FileReader {
    fn next(&mut self) -> Result<Page> {
        let table = self.reader.as_ref().map(CsvReader::next).transpose()?.flatten();
        Ok(match table {
            Some(table) => Page::new().rows(&self.stream, &self.schema, table),
            None => Page::new().replace(&self.stream, &self.schema, &Prefixes::keys(&[])?).done(true),
        })
    }
}

export_source!(Csv);
