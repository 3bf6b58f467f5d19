//! Compares the raw tables with the sandbox's records: every row and every value.

use std::io::Write as _;

use host::warehouse::Row;
use sandbox::Network;
use sandbox::object_types::ObjectType;
use serde_json::{Value, json};

use crate::support::Project;

/// The stream of a type: its plural, or the name of a custom object.
pub(crate) fn stream(kind: ObjectType) -> &'static str {
    if kind == ObjectType::Prescription { kind.singular() } else { kind.plural() }
}

/// The differences between the raw tables of these types and links and the sandbox's records; empty if there are none.
pub(crate) fn differences(project: &Project, kinds: &[ObjectType], links: &[(ObjectType, ObjectType)]) -> Vec<String> {
    let mut found: Vec<String> = kinds.iter().flat_map(|kind| records(project, *kind)).collect();
    found.extend(links.iter().flat_map(|(from, to)| of_links(project, *from, *to)));
    found
}

fn write(project: &Project, name: &str, rows: &[Value]) -> String {
    let path = project.folder.path().join(name);
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).expect("a file"));
    for row in rows {
        writeln!(file, "{row}").expect("a line");
    }
    file.flush().expect("a file");
    path.display().to_string()
}

fn shown(what: &str, rows: &[Row]) -> Vec<String> {
    rows.iter().map(|row| format!("{what}: {}", Value::Object(row.clone()))).collect()
}

fn records(project: &Project, kind: ObjectType) -> Vec<String> {
    let stream = stream(kind);
    let (names, rows): (Vec<String>, Vec<Value>) = project.server.with(|network| {
        let definitions = &network.properties[&kind];
        let live: Vec<_> = definitions.iter().enumerate().filter(|(_, definition)| !definition.archived).collect();
        let names = live.iter().map(|(_, definition)| definition.name.clone()).collect();
        let row = |object: &sandbox::Record| {
            let values = live
                .iter()
                .map(|(at, definition)| (definition.name.clone(), json!(object.values.get(*at).cloned().flatten())));
            let mut row: serde_json::Map<_, _> = values.collect();
            row.insert("_id".to_owned(), json!(object.id.to_string()));
            row.insert("_archived".to_owned(), json!(object.archived.is_some().to_string()));
            Value::Object(row)
        };
        let objects = network.records.get(&kind).into_iter().flat_map(std::collections::BTreeMap::values);
        (names, objects.map(row).collect())
    });
    if rows.is_empty() {
        let left = project.query(&format!("SELECT id FROM raw_hubspot.{stream} WHERE NOT archived"));
        return shown(stream, &left);
    }
    let path = write(project, &format!("truth_{stream}.json"), &rows);
    let types = project.query(&format!(
        "SELECT column_name AS name, data_type AS type FROM duckdb_columns() WHERE schema_name = 'raw_hubspot' AND table_name = '{stream}'"
    ));
    let type_of = |name: &str| {
        let row = types.iter().find(|row| row["name"] == name);
        row.map(|row| row["type"].as_str().expect("a type").to_owned())
            .unwrap_or_else(|| unreachable!("no column {name}"))
    };
    let differs = names.iter().map(|name| match type_of(name).as_str() {
        "VARCHAR" => format!("raw.\"{name}\" IS DISTINCT FROM truth.\"{name}\""),
        data_type => format!(
            "(raw.\"{name}\" IS DISTINCT FROM TRY_CAST(truth.\"{name}\" AS {data_type}) OR (nullif(truth.\"{name}\", '') IS NOT NULL \
             AND TRY_CAST(truth.\"{name}\" AS {data_type}) IS NULL AND json_extract_string(raw._unfit, '$.{name}') IS DISTINCT FROM truth.\"{name}\"))"
        ),
    });
    let differs: Vec<_> = differs.collect();
    let columns: Vec<_> = ["_id", "_archived"]
        .into_iter()
        .chain(names.iter().map(String::as_str))
        .map(|name| format!("'{name}': 'VARCHAR'"))
        .collect();
    let truth = format!(
        "read_json('{path}', format = 'newline_delimited', columns = {{{}}}, maximum_object_size = 100000000)",
        columns.join(", ")
    );
    // A record that was purged may stay as a deleted one.
    let sql = format!(
        "SELECT coalesce(truth._id, raw.id) AS id, truth._id IS NULL AS is_unknown, raw.id IS NULL AS is_missing, \
           truth._archived AS truly_archived, raw.archived::VARCHAR AS archived \
         FROM {truth} AS truth FULL JOIN raw_hubspot.{stream} AS raw ON raw.id = truth._id \
         WHERE (truth._id IS NULL AND raw.archived IS DISTINCT FROM true) OR (raw.id IS NULL AND truth._archived = 'false') \
           OR (truth._id IS NOT NULL AND raw.id IS NOT NULL AND raw.archived::VARCHAR IS DISTINCT FROM truth._archived) \
           OR (truth._archived = 'false' AND ({})) LIMIT 5",
        differs.join(" OR ")
    );
    let mut found = shown(stream, &project.query(&sql));
    let twice = project.query(&format!(
        "SELECT id, count(*) AS rows FROM raw_hubspot.{stream} GROUP BY id HAVING count(*) > 1 LIMIT 5"
    ));
    found.extend(shown(&format!("{stream} twice"), &twice));
    found
}

fn of_links(project: &Project, from: ObjectType, to: ObjectType) -> Vec<String> {
    let name = format!("{}_{}", stream(from), stream(to));
    let rows: Vec<Value> = project.server.with(|network| {
        let ids: Vec<u64> = network.records.get(&from).map(|all| all.keys().copied().collect()).unwrap_or_default();
        let link = |id: u64| network.active_associations(from, to, id).map(move |link| (id, *link)).collect::<Vec<_>>();
        let types = |(id, link): (u64, sandbox::Association)| {
            let types = Network::association_types(from, to, &link).into_iter();
            types.map(move |(category, type_id, label)| {
                json!({ "from_id": id.to_string(), "to_id": link.to.to_string(), "category": category,
                    "type_id": type_id.to_string(), "label": label })
            })
        };
        ids.into_iter().flat_map(link).flat_map(types).collect()
    });
    let columns = "from_id, to_id, category, type_id, label";
    let raw = format!("SELECT {columns} FROM raw_hubspot.{name}");
    let truth = if rows.is_empty() {
        format!("SELECT {columns} FROM raw_hubspot.{name} LIMIT 0")
    } else {
        let path = write(project, &format!("truth_{name}.json"), &rows);
        let types: Vec<_> = columns.split(", ").map(|name| format!("'{name}': 'VARCHAR'")).collect();
        format!(
            "SELECT DISTINCT {columns} FROM read_json('{path}', format = 'newline_delimited', columns = {{{}}})",
            types.join(", ")
        )
    };
    let more = project.query(&format!("SELECT 'only raw' AS side, * FROM (({raw}) EXCEPT ALL ({truth})) LIMIT 5"));
    let less = project.query(&format!("SELECT 'only truth' AS side, * FROM (({truth}) EXCEPT ALL ({raw})) LIMIT 5"));
    [shown(&name, &more), shown(&name, &less)].concat()
}
