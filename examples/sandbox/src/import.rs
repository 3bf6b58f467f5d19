//! Writes the network as files for HubSpot's own importer. Import companies first, then contacts, then deals.
//!
//! Format: <https://knowledge.hubspot.com/import-and-export/set-up-your-import-file>. A file has a header row and fewer
//! than 250,000 rows. Contacts need a name or an e-mail address, companies a name, deals a name, a pipeline and a
//! stage.

use std::error::Error;
use std::path::{Path, PathBuf};

use host_core::files;

use crate::clinic::{PIPELINE, STAGES};
use crate::network::Network;
use crate::object_types::ObjectType;

/// The maximum number of rows in an import file.
pub const MAX_ROWS: usize = 249_999;

/// Columns of a file: the importer's header and the property.
type Columns = &'static [(&'static str, &'static str)];

const COMPANIES: Columns = &[
    ("Company name", "name"),
    ("Especialidade Médica", "especialidade_medica"),
    ("Phone Number", "phone"),
    ("City", "city"),
    ("CNPJ", "cnpj"),
];
const CONTACTS: Columns = &[
    ("First Name", "firstname"),
    ("Last Name", "lastname"),
    ("Email", "email"),
    ("Phone Number", "phone"),
    ("City", "city"),
    ("Lifecycle Stage", "lifecyclestage"),
    ("Date of birth", "date_of_birth"),
];
const DEALS: Columns = &[
    ("Deal Name", "dealname"),
    ("Pipeline", "pipeline"),
    ("Deal Stage", "dealstage"),
    ("Amount", "amount"),
    ("Close Date", "closedate"),
];

/// Writes `import_companies.csv`, `import_contacts.csv` and `import_deals.csv` into a folder and returns their paths.
/// Files end at [`MAX_ROWS`] rows.
///
/// # Errors
/// If the folder or a file cannot be written.
pub fn write(network: &Network, folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    std::fs::create_dir_all(folder)?;
    let files = [
        (ObjectType::Company, "import_companies.csv", COMPANIES),
        (ObjectType::Contact, "import_contacts.csv", CONTACTS),
        (ObjectType::Deal, "import_deals.csv", DEALS),
    ];
    let mut written = Vec::new();
    for (object_type, name, columns) in files {
        let path = folder.join(name);
        let mut writer = csv::Writer::from_writer(Vec::new());
        let deal_only = |header: &'static str| (object_type == ObjectType::Deal).then_some(header);
        let headers = columns.iter().map(|(header, _)| *header);
        // The importer associates a deal by the company's name and the contact's e-mail address.
        let headers = headers.chain(deal_only("Associated Company")).chain(deal_only("Associated Contact Email"));
        writer.write_record(headers)?;
        let records = network.records.get(&object_type).into_iter().flat_map(|records| records.values());
        for record in records.take(MAX_ROWS) {
            let value = |property: &str| {
                import_value(property, network.value(object_type, record.id, property).unwrap_or_default())
            };
            let associated = |to: ObjectType, property: &str| {
                let id = network.active_associations(object_type, to, record.id).next().map(|one| one.to);
                id.and_then(|id| network.value(to, id, property)).unwrap_or_default().to_owned()
            };
            let mut row: Vec<String> = columns.iter().map(|(_, property)| value(property)).collect();
            if object_type == ObjectType::Deal {
                row.push(associated(ObjectType::Company, "name"));
                row.push(associated(ObjectType::Contact, "email"));
            }
            writer.write_record(row)?;
        }
        let bytes = writer.into_inner().map_err(|error| error.into_error())?;
        files::replace(&path, bytes)?;
        written.push(path);
    }
    Ok(written)
}

/// Converts a value to the importer's format: labels instead of ids, dates instead of timestamps.
fn import_value(property: &str, value: &str) -> String {
    match property {
        "pipeline" if value == PIPELINE => "Consultas".to_owned(),
        "dealstage" => STAGES.iter().find(|(id, ..)| *id == value).map_or(value, |(_, label, ..)| label).to_owned(),
        "closedate" => value.get(..10).unwrap_or_default().to_owned(),
        _ => value.to_owned(),
    }
}
