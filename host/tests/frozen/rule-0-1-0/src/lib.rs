//! A rule that uses all that version 0.1.0 of the contract gives a rule. It stays as it is: later hosts have to run it.
//! Config `{"column": C}`: row scope, puts the suffix of the file `suffix` behind values, rejects `reject`, notes `note`.
//! Config `{"column": C, "whole": true}`: table scope, merges equal values into the first row, and sets `also` to what
//! the further input `names` says of a value.

use std::cell::RefCell;
use std::collections::HashMap;

use elt::plugin::types::{Batch, Column, Error, ErrorKind, Need, Spec};
use elt::plugin::{files, log};
use exports::elt::plugin::rule::{
    Cleaner, Field, Guest, GuestCleaner, Input, Note, Patch, Plan, Reads, Scope, Verdicts,
};

wit_bindgen::generate!({ path: "../plugin-0.1.0.wit", world: "rule-plugin" });

struct Frozen;

struct Open {
    column: String,
    stream: String,
    key: Field,
    names: Option<String>,
    is_whole: bool,
    suffix: String,
    seen: RefCell<Seen>,
}

#[derive(Default)]
struct Seen {
    names: HashMap<String, String>,
    rows: Vec<(String, String)>,
    pages: u32,
}

fn config_error(code: &str, message: String) -> Error {
    Error { kind: ErrorKind::Config, code: code.into(), message, retry_after_ms: None, details_json: None }
}

fn texts(column: &Column, rows: u32) -> Vec<Option<String>> {
    let offsets = column.offsets.as_deref().unwrap_or_default();
    let offset = |at: usize| u32::from_le_bytes(offsets[at * 4..at * 4 + 4].try_into().expect("four bytes")) as usize;
    let is_there = |row: usize| column.validity.as_ref().is_none_or(|bits| bits[row / 8] >> (row % 8) & 1 == 1);
    let text = |row: usize| String::from_utf8_lossy(&column.values[offset(row)..offset(row + 1)]).into_owned();
    (0..rows as usize).map(|row| is_there(row).then(|| text(row))).collect()
}

fn column(texts: &[Option<String>]) -> Column {
    let (mut offsets, mut values) = (vec![0; 4], Vec::new());
    let mut validity = vec![0_u8; texts.len().div_ceil(8)];
    for (row, text) in texts.iter().enumerate() {
        if let Some(text) = text {
            values.extend(text.as_bytes());
            validity[row / 8] |= 1 << (row % 8);
        }
        offsets.extend(u32::try_from(values.len()).expect("small").to_le_bytes());
    }
    Column { validity: Some(validity), offsets: Some(offsets), values }
}

fn text_field(name: &str) -> Field {
    Field { name: name.into(), format: "u".into(), nullable: true, metadata: Vec::new() }
}

impl Guest for Frozen {
    type Cleaner = Open;

    fn describe() -> Spec {
        let need = |kind: &str, name: &str| Need {
            kind: kind.into(),
            name: name.into(),
            details_json: r#"{"optional": true}"#.into(),
        };
        Spec {
            name: "frozen-rule".into(),
            version: "0.1.0".into(),
            config_schema: r#"{"type": "object", "required": ["column"], "additionalProperties": false,
                "properties": {"column": {"type": "string"}, "whole": {"type": "boolean"}}}"#
                .into(),
            needs: vec![need("file", "suffix"), need("input", "names")],
            hints: Vec::new(),
        }
    }

    fn open(config: String, inputs: Vec<Input>) -> Result<Cleaner, Error> {
        let config: serde_json::Value = serde_json::from_str(&config).expect("the host checks the config");
        let name = config["column"].as_str().unwrap_or_default();
        let input = &inputs[0];
        if !input.schema.fields.iter().any(|field| field.name == name) {
            return Err(config_error("unknown_column", format!("no column `{name}`")));
        }
        let suffix = match files::open("suffix") {
            Ok(file) => {
                String::from_utf8_lossy(&file.read(0, u32::try_from(file.size()).expect("small"))?).trim().into()
            }
            Err(error) if error.code == "not_granted" => String::new(),
            Err(error) => return Err(error),
        };
        log::write(log::Level::Info, "open");
        let key = &input.schema.primary_key[0];
        let key = input.schema.fields.iter().find(|field| field.name == *key).expect("a key is a column").clone();
        Ok(Cleaner::new(Open {
            column: name.into(),
            stream: input.name.clone(),
            key,
            names: inputs.get(1).map(|input| input.name.clone()),
            is_whole: config["whole"].as_bool().unwrap_or_default(),
            suffix,
            seen: RefCell::default(),
        }))
    }
}

impl GuestCleaner for Open {
    fn plan(&self) -> Plan {
        let mut reads = vec![Reads { input: self.stream.clone(), columns: vec![self.column.clone()] }];
        if !self.is_whole {
            return Plan { scope: Scope::Row, reads, sets: vec![text_field(&self.column)] };
        }
        reads[0].columns.insert(0, self.key.name.clone());
        reads.extend(
            self.names.iter().map(|name| Reads { input: name.clone(), columns: vec!["value".into(), "name".into()] }),
        );
        Plan { scope: Scope::Table, reads, sets: vec![text_field("also")] }
    }

    fn apply(&self, input: String, rows: Batch) -> Result<Patch, Error> {
        let mut patch = Patch { set: Vec::new(), rejects: Vec::new(), notes: Vec::new() };
        let columns: Vec<_> = rows.columns.iter().map(|column| texts(column, rows.rows)).collect();
        if !self.is_whole {
            let note = |row: usize, code: &str| Note {
                row: u32::try_from(row).expect("small"),
                column: Some(self.column.clone()),
                code: code.into(),
                message: "as asked".into(),
                confidence: Some(0.5),
            };
            let find = |what: &str| {
                columns[0]
                    .iter()
                    .enumerate()
                    .filter(|(_, text)| text.as_deref() == Some(what))
                    .map(|(row, _)| row)
                    .collect::<Vec<_>>()
            };
            patch.rejects = find("reject").into_iter().map(|row| note(row, "rejected")).collect();
            patch.notes = find("note").into_iter().map(|row| note(row, "noted")).collect();
            let set: Vec<_> =
                columns[0].iter().map(|text| text.as_ref().map(|text| format!("{text}{}", self.suffix))).collect();
            patch.set = vec![(self.column.clone(), column(&set))];
            return Ok(patch);
        }
        let mut seen = self.seen.borrow_mut();
        let pairs = columns[0]
            .iter()
            .zip(&columns[1])
            .map(|(a, b)| (a.clone().unwrap_or_default(), b.clone().unwrap_or_default()));
        if input == self.stream {
            seen.rows.extend(pairs)
        } else {
            seen.names.extend(pairs)
        }
        Ok(patch)
    }

    fn finish(&self) -> Result<Option<Verdicts>, Error> {
        let mut seen = self.seen.borrow_mut();
        seen.pages += 1;
        let mut first: HashMap<&str, &str> = HashMap::new();
        let (mut keys, mut survivors, mut also) = (Vec::new(), Vec::new(), Vec::new());
        for (key, value) in &seen.rows {
            let survivor = *first.entry(value).or_insert(key);
            if seen.pages == 2 && survivor != key {
                keys.push(Some(key.clone()));
                survivors.push(Some(survivor.to_owned()));
            } else if seen.pages == 1 {
                keys.push(Some(key.clone()));
                also.push(seen.names.get(value).cloned());
            }
        }
        let rows = u32::try_from(keys.len()).expect("small");
        let batch = |texts: &[Option<String>]| Batch { rows, columns: vec![column(texts)] };
        let mut patch = Patch { set: Vec::new(), rejects: Vec::new(), notes: Vec::new() };
        Ok(match seen.pages {
            1 => {
                patch.set.push(("also".into(), column(&also)));
                Some(Verdicts { keys: batch(&keys), patch, merged_into: None })
            }
            2 => Some(Verdicts { keys: batch(&keys), patch, merged_into: Some(batch(&survivors)) }),
            _ => None,
        })
    }
}

export!(Frozen);
