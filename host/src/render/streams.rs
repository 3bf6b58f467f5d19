//! Renders the streams and columns of sources.

use host_core::schema::Field;
use host_core::text::escape_line;

use crate::run::DiscoveredSource;

/// One line per stream; with `with_columns`, its columns below.
#[must_use]
pub fn render_streams(discovered: &[DiscoveredSource], with_columns: bool) -> String {
    let mut lines = Vec::new();
    for DiscoveredSource { source, streams } in discovered {
        lines.push(format!("{}  {}", source.name, escape_line(source.account.as_deref().unwrap_or_default())));
        for stream in streams {
            let key = escape_line(&stream.schema.primary_key.join(", "));
            let scope =
                stream.scope.as_ref().map(|scope| format!(" · scope {}", escape_line(scope))).unwrap_or_default();
            let carrier = stream.read_with.as_ref().map(|carrier| format!(" · read with {}", escape_line(carrier)));
            let on_request = if stream.on_request { " · on request" } else { "" };
            let columns = match &stream.unavailable {
                Some(why) => format!("unavailable: {}", escape_line(&why.message())),
                None => format!("{} columns · key {key}", stream.schema.fields.len()),
            };
            lines.push(format!("  {:<28} {columns}{}{scope}{on_request}", stream.name, carrier.unwrap_or_default()));
            if with_columns {
                lines.extend(stream.schema.fields.iter().map(render_column));
            }
        }
    }
    lines.join("\n") + "\n"
}

fn render_column(field: &Field) -> String {
    let description = escape_line(field.metadata.get("description").map(String::as_str).unwrap_or_default());
    format!("    {:<36} {:<26} {description}", escape_line(&field.name), field.data_type.sql()).trim_end().to_owned()
}
