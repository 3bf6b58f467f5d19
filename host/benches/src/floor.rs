//! The floor: fetches the same pages with plain `reqwest` to disk, one page per line, and loads typed tables with
//! DuckDB.

use std::io::Write;
use std::path::{Path, PathBuf};

use duckdb::Connection;
use sandbox::object_types::ObjectType;
use serde_json::{Value, json};

use crate::Result;

/// Fetches everything from a sandbox and loads it into a DuckDB file.
pub(crate) fn run(url: &str, file: &Path) -> Result<()> {
    let folder = file.with_extension("pages");
    std::fs::create_dir_all(&folder)?;
    host::plugin::install_crypto();
    let client = reqwest::Client::builder().no_proxy().build()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        // The same concurrency as extract: one task per stream.
        let task = |object_type| tokio::spawn(fetch(client.clone(), url.to_owned(), object_type, folder.clone()));
        let tasks = ObjectType::CLINIC.map(task);
        for task in tasks {
            task.await?.map_err(|error| error.to_string())?;
        }
        Ok::<(), Box<dyn std::error::Error>>(())
    })?;
    load(&folder, file)
}

type TaskError = Box<dyn std::error::Error + Send + Sync>;

/// Fetches all records of a type and their associations, one response per line of a file.
async fn fetch(
    client: reqwest::Client,
    url: String,
    object_type: ObjectType,
    folder: PathBuf,
) -> std::result::Result<(), TaskError> {
    let plural = object_type.plural();
    let targets: &[ObjectType] = match object_type {
        ObjectType::Company => &[],
        ObjectType::Contact => &[ObjectType::Company],
        ObjectType::Deal => &[ObjectType::Company, ObjectType::Contact],
        _ => &[],
    };
    let names: Vec<_> = object_type.properties().iter().map(|(name, ..)| *name).collect();
    let mut pages = std::io::BufWriter::new(std::fs::File::create(folder.join(plural))?);
    let mut association_files = Vec::new();
    for to in targets {
        let path = folder.join(format!("{plural}_{}", to.plural()));
        association_files.push(std::io::BufWriter::new(std::fs::File::create(path)?));
    }
    let mut after = String::new();
    let mut ids = Vec::new();
    loop {
        let page = format!("{url}/crm/objects/2026-03/{plural}?limit=100&properties={}{after}", names.join(","));
        let body = client.get(page).bearer_auth(sandbox::TOKEN).send().await?.error_for_status()?.bytes().await?;
        pages.write_all(&body)?;
        pages.write_all(b"\n")?;
        let page: Value = sonic_rs::from_slice(&body)?;
        let results = page["results"].as_array().into_iter().flatten();
        ids.extend(results.map(|record| json!({ "id": record["id"] })));
        let next = page["paging"]["next"]["after"].as_str().map(str::to_owned);
        if ids.len() >= 1000 || next.is_none() {
            for (to, file) in targets.iter().zip(&mut association_files) {
                let path = format!("{url}/crm/associations/2026-03/{plural}/{}/batch/read", to.plural());
                let body = json!({ "inputs": ids }).to_string();
                let request =
                    client.post(path).bearer_auth(sandbox::TOKEN).header("content-type", "application/json").body(body);
                file.write_all(&request.send().await?.error_for_status()?.bytes().await?)?;
                file.write_all(b"\n")?;
            }
            ids.clear();
        }
        match next {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    pages.flush()?;
    association_files.iter_mut().try_for_each(Write::flush)?;
    Ok(())
}

/// Loads the fetched files into typed tables.
fn load(folder: &Path, file: &Path) -> Result<()> {
    let connection = Connection::open(file)?;
    connection.execute_batch("SET memory_limit = '1GB'; SET preserve_insertion_order = false")?;
    let lines = |name: &str| {
        let path = folder.join(name).display().to_string();
        format!(
            "read_csv('{path}', header = false, delim = '\\x01', quote = '', escape = '', columns = {{'page': 'VARCHAR'}}, max_line_size = 4000000)"
        )
    };
    for object_type in ObjectType::CLINIC {
        let properties: Vec<_> =
            object_type.properties().iter().map(|(name, ..)| format!("\"{name}\":\"VARCHAR\"")).collect();
        let shape = format!(
            "{{\"results\":[{{\"id\":\"VARCHAR\",\"properties\":{{{}}},\"createdAt\":\"TIMESTAMPTZ\",\"updatedAt\":\"TIMESTAMPTZ\",\"archived\":\"BOOLEAN\"}}]}}",
            properties.join(",")
        );
        let columns = object_type.properties().iter().map(|(name, _, data_type)| match *data_type {
            "number" if !name.ends_with("_id") => format!("r.properties.{name}::DECIMAL(38,9) AS {name}"),
            "datetime" => format!("r.properties.{name}::TIMESTAMPTZ AS {name}"),
            _ => format!("r.properties.{name} AS {name}"),
        });
        let columns = columns.collect::<Vec<_>>().join(", ");
        let plural = object_type.plural();
        connection.execute_batch(&format!(
            "CREATE TABLE {plural} AS SELECT r.id, r.createdAt AS created_at, r.updatedAt AS updated_at, r.archived, {columns} \
             FROM (SELECT unnest(from_json(page, '{shape}').results) AS r FROM {})",
            lines(plural)
        ))?;
    }
    for name in ["contacts_companies", "deals_companies", "deals_contacts"] {
        connection.execute_batch(&format!(
            "CREATE TABLE {name} AS SELECT from_id, to_id, t.category, t.\"typeId\" AS type_id, t.label FROM ( \
               SELECT from_id, target.\"toObjectId\" AS to_id, unnest(target.\"associationTypes\") AS t FROM ( \
                 SELECT r.\"from\".id AS from_id, unnest(r.\"to\") AS target FROM ( \
                   SELECT unnest(from_json(page, '{{\"results\":[{{\"from\":{{\"id\":\"VARCHAR\"}},\"to\":[{{\"toObjectId\":\"VARCHAR\",\"associationTypes\":[{{\"category\":\"VARCHAR\",\"typeId\":\"VARCHAR\",\"label\":\"VARCHAR\"}}]}}]}}]}}').results) AS r FROM {})))",
            lines(name)
        ))?;
    }
    Ok(())
}
