//! Lists the streams of the portal with their columns, and says which of them the token cannot read.

use std::collections::BTreeMap;

use plugin_sdk::prelude::*;

use crate::config::Config;
use crate::responses::MISSING_SCOPES;
use crate::schema::{HISTORY_KEY, LINK_KEY, MERGED_IDS, history_table, link_table, object_schemas};
use crate::streams::{ObjectType, ObjectTypes};

/// The streams of records, links and histories: those with the wanted names, or all of them.
pub(crate) fn discover(config: &Config, wanted: Option<&[String]>) -> Result<Vec<StreamInfo>> {
    let types = ObjectTypes::find(config, wanted)?;
    check_stream_names(config, &types)?;
    let is_wanted = |name: &str| wanted.is_none_or(|wanted| wanted.iter().any(|one| one == name));
    // Links and histories are read with the records that they start from, so those are described too.
    let has_wanted_stream = |object: &&ObjectType| {
        is_wanted(&object.stream)
            || is_wanted(&object.history_stream())
            || types.0.iter().any(|to| is_wanted(&object.link_stream(to)))
    };
    let wanted_types: Vec<_> = types.0.iter().filter(has_wanted_stream).collect();
    let mut streams = Vec::new();
    let mut unreadable = Vec::new();
    // The columns of free text, with their properties, by stream.
    let mut free_texts = BTreeMap::new();
    for (object, schema) in wanted_types.iter().zip(object_schemas(config, &wanted_types)?) {
        match schema {
            Ok(schema) => {
                let info = StreamInfo::new(&object.stream, &schema.schema).scope(object.scope).deleted("archived");
                let info = if schema.schema.text(MERGED_IDS).is_ok() { info.merged(MERGED_IDS) } else { info };
                let free_text = if object.may_name_linked_people() { schema.free_text } else { Vec::new() };
                streams.push(free_text.iter().fold(info, |info, (column, _)| info.free_text(column)));
                free_texts.insert(object.stream.to_string(), free_text);
            }
            Err(error) if error.code == MISSING_SCOPES => {
                let schema = Schema::new(vec![Field::text("id")], &["id"]);
                let info = StreamInfo::new(&object.stream, &schema).scope(object.scope);
                streams.push(unavailable(info, &error));
                unreadable.push(((*object).clone(), error));
            }
            Err(error) => return Err(error),
        }
    }
    let error_of = |object: &ObjectType| unreadable.iter().find(|(other, _)| other == object).map(|(_, error)| error);
    for from in &wanted_types {
        let schema = link_table().schema(&LINK_KEY);
        for to in types.0.iter().filter(|to| to.stream != from.stream) {
            let name = from.link_stream(to);
            if !is_wanted(&name) {
                continue;
            }
            let info = StreamInfo::new(&name, &schema).read_with(&from.stream).scope(from.scope);
            let mut info = info.refers("from_id", &from.stream).refers("to_id", &to.stream);
            if !from.has_default_links_to(to) {
                info = info.on_request();
            }
            streams.push(match error_of(from).or_else(|| error_of(to)) {
                Some(error) => unavailable(info, error),
                None => info,
            });
        }
        let name = from.history_stream();
        if config.history.contains_key(from.stream.as_ref()) && is_wanted(&name) {
            let schema = history_table("").schema(&HISTORY_KEY);
            let info = StreamInfo::new(&name, &schema).read_with(&from.stream).scope(from.scope);
            let info = info.refers(HISTORY_KEY[0], &from.stream);
            let properties = free_texts.get(from.stream.as_ref()).into_iter().flatten().map(|(_, property)| property);
            let info = properties.fold(info, |info, property| info.free_text_where("value", HISTORY_KEY[1], property));
            streams.push(match error_of(from) {
                Some(error) => unavailable(info, error),
                None => info,
            });
        }
    }
    Ok(streams)
}

/// Refuses a config that names a stream which does not hold records.
fn check_stream_names(config: &Config, types: &ObjectTypes) -> Result<()> {
    let Some(unknown) = config.streams().find(|name| types.get(name).is_none()) else { return Ok(()) };
    let streams: Vec<_> = types.0.iter().map(|object| object.stream.as_ref()).collect();
    let error = Error::config(format!("the config names properties of `{unknown}`, which is not a stream of records"));
    Err(error.hint(format!("streams of records are {}", streams.join(", "))))
}

/// Describes a stream that the token cannot read.
fn unavailable(info: StreamInfo, error: &Error) -> StreamInfo {
    info.unavailable(&error.message, error.hint.as_deref().unwrap_or_default())
}
