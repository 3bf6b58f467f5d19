//! Warns of a clock that is wrong: the days of loads, and which months are complete, depend on it.

use host_core::clock::ClockJump;
use host_core::error::Result;
use host_core::schema::{Field, Type};
use host_ledger::loads;
use host_warehouse::{Table, Warehouse, quote};
use jiff::{SignedDuration, Timestamp};

use super::session::Session;
use super::streams::SelectedSources;

/// How far a record may have changed after the clock of this machine. Sources and this machine may be in any time zone.
const MAX_FUTURE: SignedDuration = SignedDuration::from_hours(24);

/// Records what the clock shows at the start of a load, and warns if it was set since the last one.
///
/// # Errors
/// Same as [`loads::last_reading`].
pub(super) fn warn_of_jump(session: &Session<'_>, warehouse: &Warehouse, load_id: &str) -> Result<Option<String>> {
    let (last, reading) = (loads::last_reading(warehouse)?, session.clock.read());
    loads::record_reading(warehouse, load_id, &reading)?;
    let Some((last, jump)) = last.and_then(|last| Some((last.now, reading.jump_since(&last)?))) else {
        return Ok(None);
    };
    let (by, direction) = match jump {
        ClockJump::Backwards(by) => (by, "back"),
        ClockJump::Ahead(by) => (by, "ahead"),
    };
    Ok(Some(format!(
        "the clock of this machine was set {direction} by {} since the last load: it showed {} then and shows {} now; months are \
         complete by this clock, so set it right and run again if it is wrong",
        in_words(by),
        seconds(last),
        seconds(reading.now)
    )))
}

/// Warns of records that changed after the clock of this machine: it is behind, as on a machine that lost its battery.
///
/// # Errors
/// Same as [`Warehouse::query`].
pub(super) fn warn_of_future(
    session: &Session<'_>,
    warehouse: &Warehouse,
    selected: &SelectedSources,
) -> Result<Option<String>> {
    let now = session.clock.now();
    let mut newest: Option<(Timestamp, String)> = None;
    for (source, streams) in selected {
        for stream in streams {
            let is_instant = |field: &&Field| field.data_type == Type::Timestamp;
            let cursor = stream.schema.cursor.as_deref().and_then(|name| stream.schema.field(name)).filter(is_instant);
            let Some(column) = cursor.map(|field| quote(&field.name)) else { continue };
            let table = Table::raw(&source.name, &stream.name);
            let sql = format!("SELECT strftime(max({column}), '%Y-%m-%dT%H:%M:%S.%fZ') FROM {table}");
            let changed: Option<String> = warehouse.value(&sql, ())?;
            let changed = changed.and_then(|changed| changed.parse::<Timestamp>().ok());
            newest = newest.max(changed.map(|changed| (changed, format!("{}.{}", source.name, stream.name))));
        }
    }
    let is_future = |newest: &(Timestamp, String)| newest.0.duration_since(now) > MAX_FUTURE;
    Ok(newest.filter(is_future).map(|(changed, stream)| {
        format!(
            "the clock of this machine shows {}, but a record of `{stream}` changed {} later: months are complete by this clock, \
             so set it right and run again",
            seconds(now),
            in_words(changed.duration_since(now))
        )
    }))
}

/// An instant without a fraction of a second.
fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A duration in its largest unit.
fn in_words(time: SignedDuration) -> String {
    let (minutes, hours) = (time.as_mins(), time.as_hours());
    match hours {
        0 => format!("{minutes} min"),
        1..48 => format!("{hours} h"),
        _ => format!("{} days", hours / 24),
    }
}
