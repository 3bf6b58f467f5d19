//! Which streams the portal has, with their columns, and which of them its token does not reach.

use std::collections::BTreeMap;

use plugin_sdk::prelude::*;

use crate::answers::MISSING_SCOPES;
use crate::config::Config;
use crate::schema::{ASSOCIATION_KEY, HISTORY_KEY, MERGED, association_table, history_table, object_schemas};
use crate::streams::{Object, Objects};

/// The object streams with their association and history streams; without a name, all of them.
pub(crate) fn discover(config: &Config, wanted: Option<&[String]>) -> Result<Vec<StreamInfo>> {
    let objects = Objects::find(config, wanted)?;
    known_names(config, &objects)?;
    let is_wanted = |name: &str| wanted.is_none_or(|wanted| wanted.iter().any(|one| one == name));
    // An object whose links alone are wanted is asked for too: they are read with it.
    let of_interest = |object: &&Object| {
        is_wanted(&object.stream)
            || is_wanted(&object.history_stream())
            || objects.0.iter().any(|to| is_wanted(&object.association_stream(to)))
    };
    let asked: Vec<_> = objects.0.iter().filter(of_interest).collect();
    let mut streams = Vec::new();
    let mut out_of_reach = Vec::new();
    let mut texts = BTreeMap::new();
    for (object, schema) in asked.iter().zip(object_schemas(config, &asked)?) {
        match schema {
            Ok(schema) => {
                let info = StreamInfo::new(&object.stream, &schema.schema).scope(object.scope).deleted("archived");
                let info = if schema.schema.text(MERGED).is_ok() { info.merged(MERGED) } else { info };
                let free_text = if object.is_about_others() { schema.free_text } else { Vec::new() };
                streams.push(free_text.iter().fold(info, |info, (column, _)| info.free_text(column)));
                texts.insert(object.stream.to_string(), free_text);
            }
            Err(error) if error.code == MISSING_SCOPES => {
                let schema = Schema::new(vec![Field::text("id")], &["id"]);
                let info = StreamInfo::new(&object.stream, &schema).scope(object.scope);
                streams.push(unavailable(info, &error));
                out_of_reach.push(((*object).clone(), error));
            }
            Err(error) => return Err(error),
        }
    }
    let why = |object: &Object| out_of_reach.iter().find(|(other, _)| other == object).map(|(_, error)| error);
    for from in &asked {
        let schema = association_table().schema(&ASSOCIATION_KEY);
        for to in objects.0.iter().filter(|to| to.stream != from.stream) {
            let name = from.association_stream(to);
            if !is_wanted(&name) {
                continue;
            }
            let info = StreamInfo::new(&name, &schema).read_with(&from.stream).scope(from.scope);
            let mut info = info.refers("from_id", &from.stream).refers("to_id", &to.stream);
            if !from.is_usual_pair(to) {
                info = info.on_request();
            }
            streams.push(match why(from).or_else(|| why(to)) {
                Some(error) => unavailable(info, error),
                None => info,
            });
        }
        let name = from.history_stream();
        if config.history.contains_key(from.stream.as_ref()) && is_wanted(&name) {
            let schema = history_table("").schema(&HISTORY_KEY);
            let info = StreamInfo::new(&name, &schema).read_with(&from.stream).scope(from.scope);
            let info = info.refers(HISTORY_KEY[0], &from.stream);
            let told = texts.get(from.stream.as_ref()).into_iter().flatten();
            let info = told.fold(info, |info, (_, property)| info.free_text_where("value", HISTORY_KEY[1], property));
            streams.push(match why(from) {
                Some(error) => unavailable(info, error),
                None => info,
            });
        }
    }
    Ok(streams)
}

/// Refuses properties that are named for a stream which is none.
fn known_names(config: &Config, objects: &Objects) -> Result<()> {
    let Some(unknown) = config.streams().find(|name| objects.of(name).is_none()) else { return Ok(()) };
    let streams: Vec<_> = objects.0.iter().map(|object| object.stream.as_ref()).collect();
    let error = Error::config(format!("properties are named for `{unknown}`, which is no stream of records"));
    Err(error.hint(format!("those are {}", streams.join(", "))))
}

/// The stream is there, and why it cannot be read is known.
fn unavailable(info: StreamInfo, error: &Error) -> StreamInfo {
    info.unavailable(&error.message, error.hint.as_deref().unwrap_or_default())
}
