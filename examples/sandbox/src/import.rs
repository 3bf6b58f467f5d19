//! The network as files for HubSpot's own importer: companies, contacts, deals, to be imported in that order.
//!
//! <https://knowledge.hubspot.com/import-and-export/set-up-your-import-file>: a header row, fewer than 250,000 rows;
//! contacts need a name or an email, companies a name, deals a name, a pipeline and a stage.

use std::path::{Path, PathBuf};

use crate::clinic::{PIPELINE, STAGES};
use crate::kinds::Kind;
use crate::network::Network;

/// HubSpot takes fewer rows a file.
pub const MOST_ROWS: usize = 249_999;

/// Columns: the importer's header, the property.
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

/// Writes `import_companies.csv`, `import_contacts.csv` and `import_deals.csv` into a folder; gives back the files.
/// Larger networks are cut at HubSpot's limit of rows.
pub fn write(network: &Network, folder: &Path) -> csv::Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder)?;
    let files = [
        (Kind::Company, "import_companies.csv", COMPANIES),
        (Kind::Contact, "import_contacts.csv", CONTACTS),
        (Kind::Deal, "import_deals.csv", DEALS),
    ];
    let mut written = Vec::new();
    for (kind, name, columns) in files {
        let path = folder.join(name);
        let mut writer = csv::Writer::from_path(&path)?;
        let linked = |header: &'static str| (kind == Kind::Deal).then_some(header);
        let headers = columns.iter().map(|(header, _)| *header);
        // A deal finds its company and its patient by what identifies them for HubSpot.
        writer.write_record(headers.chain(linked("Associated Company")).chain(linked("Associated Contact Email")))?;
        for object in network.objects.get(&kind).into_iter().flat_map(|objects| objects.values()).take(MOST_ROWS) {
            let value = |property: &str| shown(property, network.value(kind, object.id, property).unwrap_or_default());
            let other = |to: Kind, property: &str| {
                let id = network.live_links(kind, to, object.id).next().map(|link| link.to);
                id.and_then(|id| network.value(to, id, property)).unwrap_or_default().to_owned()
            };
            let mut row: Vec<String> = columns.iter().map(|(_, property)| value(property)).collect();
            if kind == Kind::Deal {
                row.push(other(Kind::Company, "name"));
                row.push(other(Kind::Contact, "email"));
            }
            writer.write_record(row)?;
        }
        writer.flush()?;
        written.push(path);
    }
    Ok(written)
}

/// A value as the importer wants it: labels instead of ids, days instead of instants.
fn shown(property: &str, value: &str) -> String {
    match property {
        "pipeline" if value == PIPELINE => "Consultas".to_owned(),
        "dealstage" => STAGES.iter().find(|(id, ..)| *id == value).map_or(value, |(_, label, ..)| label).to_owned(),
        "closedate" => value.get(..10).unwrap_or_default().to_owned(),
        _ => value.to_owned(),
    }
}
