//! Endpoints other than records: properties, pipelines, owners, schemas, account details.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{ApiCall, ApiResponse};
use crate::clinic::{PIPELINE, STAGES, TIME_ZONE};
use crate::network::{Network, PropertyDefinition};
use crate::object_types::{CALCULATED_PROPERTY, MERGED_IDS_PROPERTY, ObjectType};

/// Creation and modification time of definitions.
const TIME: &str = "2023-01-01T00:00:00.000Z";

fn property(definition: &PropertyDefinition) -> Value {
    let PropertyDefinition { name, label, data_type, .. } = definition;
    let field_type = match data_type.as_str() {
        "number" => "number",
        "datetime" | "date" => "date",
        "enumeration" => "select",
        "bool" => "booleancheckbox",
        "phone_number" => "phonenumber",
        _ => "text",
    };
    let is_custom = ["especialidade_medica", "valor_reembolsado"].contains(&name.as_str());
    json!({
        "name": name, "label": label, "type": data_type, "fieldType": field_type, "groupName": "information",
        "description": "", "options": [], "calculated": name == CALCULATED_PROPERTY, "hidden": name == MERGED_IDS_PROPERTY,
        "archived": false, "hasUniqueValue": name == "hs_object_id", "hubspotDefined": !is_custom,
        "createdAt": TIME, "updatedAt": TIME,
    })
}

pub(super) fn properties(network: &Network, object_type: ObjectType) -> ApiResponse {
    let active = network.properties[&object_type].iter().filter(|definition| !definition.archived);
    (StatusCode::OK, json!({ "results": active.map(property).collect::<Vec<_>>() }))
}

fn pipeline(id: &str, label: &str, stages: &[Value]) -> ApiResponse {
    let pipeline = json!({
        "id": id, "label": label, "displayOrder": 0, "archived": false, "createdAt": TIME, "updatedAt": TIME,
        "stages": stages,
    });
    (StatusCode::OK, json!({ "results": [pipeline] }))
}

pub(super) fn deal_pipelines() -> ApiResponse {
    let stage = |(order, (id, label, probability, closed)): (usize, &(&str, &str, &str, bool))| {
        json!({
            "id": id, "label": label, "displayOrder": order, "archived": false, "createdAt": TIME, "updatedAt": TIME,
            "metadata": { "probability": probability, "isClosed": closed.to_string() },
        })
    };
    pipeline(PIPELINE, "Consultas", &STAGES.iter().enumerate().map(stage).collect::<Vec<_>>())
}

pub(super) fn ticket_pipelines() -> ApiResponse {
    let stage = |(order, label): (usize, &&str)| {
        json!({
            "id": (order + 1).to_string(), "label": label, "displayOrder": order, "archived": false, "createdAt": TIME,
            "updatedAt": TIME, "metadata": { "ticketState": if order == 3 { "CLOSED" } else { "OPEN" } },
        })
    };
    let stages = ["Novo", "Aguardando contato", "Aguardando nós", "Fechado"];
    pipeline("0", "Atendimento", &stages.iter().enumerate().map(stage).collect::<Vec<_>>())
}

pub(super) fn owners(call: &ApiCall<'_>) -> ApiResponse {
    let owner = |(id, first): (u64, &str), archived: bool| {
        json!({
            "id": id.to_string(), "userId": id + 100, "email": format!("{}@clinica.com.br", first.to_lowercase()),
            "firstName": first, "lastName": "Souza", "type": "PERSON", "archived": archived,
            "createdAt": TIME, "updatedAt": TIME,
        })
    };
    let archived = call.query.get("archived").is_some_and(|archived| archived == "true");
    let owners: Vec<_> = match archived {
        true => vec![owner((7009, "Diego"), true)],
        false => [(7001, "Ana"), (7002, "Bruno"), (7003, "Carla")].map(|active| owner(active, false)).into(),
    };
    (StatusCode::OK, json!({ "results": owners }))
}

pub(super) fn schemas(network: &Network) -> ApiResponse {
    if network.records.get(&ObjectType::Prescription).is_none_or(std::collections::BTreeMap::is_empty) {
        return (StatusCode::OK, json!({ "results": [] }));
    }
    let info = ObjectType::Prescription.info();
    let schema = json!({
        "id": "40000001", "objectTypeId": info.type_id, "fullyQualifiedName": info.plural, "name": info.singular,
        "labels": { "singular": "Receita", "plural": "Receitas" }, "primaryDisplayProperty": "numero",
        "properties": network.properties[&ObjectType::Prescription].iter().map(property).collect::<Vec<_>>(),
        "associations": [], "archived": false, "createdAt": TIME, "updatedAt": TIME,
    });
    (StatusCode::OK, json!({ "results": [schema] }))
}

pub(super) fn details() -> ApiResponse {
    (
        StatusCode::OK,
        json!({
            "portalId": super::PORTAL_ID, "accountType": "SANDBOX", "timeZone": TIME_ZONE, "companyCurrency": "BRL",
            "additionalCurrencies": [], "utcOffset": "-03:00", "utcOffsetMilliseconds": -10_800_000,
            "uiDomain": "app.hubspot.com", "dataHostingLocation": "na1",
        }),
    )
}
