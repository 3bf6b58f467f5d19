//! When each stream was last loaded, and what the clock showed at the start of the last load.

use std::collections::BTreeMap;

use host_core::clock::ClockReading;
use host_core::error::Result;
use host_warehouse::Warehouse;

/// The start of the names of variables with the day of the last load of a stream: `loaded_on:source.stream`.
pub const DAY_VARIABLE: &str = "loaded_on:";

/// The day of the last load of each stream, by `source.stream`, in a time zone. A stream that is read with another counts as
/// loaded whenever that one is. The last load is the one of the last run, whatever the clock showed before.
///
/// # Errors
/// Same as [`Warehouse::query_as`].
pub fn days(warehouse: &Warehouse, timezone: &str) -> Result<BTreeMap<String, String>> {
    #[derive(serde::Deserialize)]
    struct Day {
        stream: String,
        day: String,
    }
    let days: Vec<Day> = warehouse.query_as(
        "SELECT streams.source || '.' || streams.stream AS stream, \
         max_by(timezone(?, starts.started_at)::DATE, starts.load_id)::VARCHAR AS day FROM _host.streams AS streams \
         JOIN _host.steps AS steps ON steps.step = 'extract' AND steps.name IN (streams.source || '.' || streams.stream, \
           streams.source || '.' || streams.read_with) \
         JOIN _host.run_starts AS starts ON starts.load_id = steps.load_id GROUP BY ALL",
        [timezone],
    )?;
    Ok(days.into_iter().map(|Day { stream, day }| (stream, day)).collect())
}

/// What the clock showed at the start of the last load. Before this was recorded, only the time of that load.
///
/// # Errors
/// Same as [`Warehouse::query_as`].
pub fn last_reading(warehouse: &Warehouse) -> Result<Option<ClockReading>> {
    let recorded = "SELECT strftime(read_at, '%Y-%m-%dT%H:%M:%S.%fZ') AS now, boot, uptime_seconds FROM _host.clock_readings \
                    ORDER BY load_id DESC LIMIT 1";
    if let Some(reading) = warehouse.query_first(recorded, ())? {
        return Ok(Some(reading));
    }
    let started = "SELECT strftime(started_at, '%Y-%m-%dT%H:%M:%S.%fZ') AS now, NULL AS boot, NULL AS uptime_seconds \
                   FROM _host.run_starts SEMI JOIN (SELECT load_id FROM _host.steps WHERE step = 'extract') USING (load_id) \
                   ORDER BY load_id DESC LIMIT 1";
    warehouse.query_first(started, ())
}

/// Records what the clock shows at the start of a load.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn record_reading(warehouse: &Warehouse, load_id: &str, reading: &ClockReading) -> Result<()> {
    let ClockReading { now, boot, uptime_seconds } = reading;
    let sql = "INSERT INTO _host.clock_readings VALUES (?, ?::TIMESTAMPTZ, ?, ?)";
    warehouse.change(sql, (load_id, now.to_string(), boot, uptime_seconds)).map(drop)
}

/// Deletes readings that a later one replaces.
pub(crate) fn compact(warehouse: &Warehouse) -> Result<()> {
    let sql = "DELETE FROM _host.clock_readings WHERE load_id < (SELECT max(load_id) FROM _host.clock_readings)";
    warehouse.execute(sql)
}

#[cfg(test)]
mod tests {
    use super::{days, last_reading, record_reading};
    use host_core::clock::ClockReading;

    #[test]
    fn the_last_load_is_that_of_the_last_run_whatever_the_clock_showed() {
        let warehouse = crate::memory().expect("a warehouse");
        let run = |load_id: &str, started: &str, streams: &[&str]| {
            let start =
                format!("INSERT INTO _host.run_starts VALUES ('{load_id}', 'p', 'run', '{started}', NULL, NULL)");
            warehouse.execute(&start).expect("a run");
            for stream in streams {
                let step = format!("INSERT INTO _host.steps VALUES ('{load_id}', 'extract', '{stream}', 0, 0, 0, 0)");
                warehouse.execute(&step).expect("a step");
            }
        };
        warehouse
            .execute(
                "INSERT INTO _host.stream_declarations (source, stream, number, read_with) \
                 VALUES ('s', 'deals', 0, NULL), ('s', 'links', 0, 'deals'), ('s', 'never', 0, NULL)",
            )
            .expect("streams");
        let day = |stream: &str| days(&warehouse, "America/Sao_Paulo").expect("days").remove(stream);
        assert_eq!((day("s.deals"), last_reading(&warehouse).expect("a reading")), (None, None));
        run("1", "1971-01-01 12:00:00+00", &["s.deals"]);
        assert_eq!(day("s.deals").as_deref(), Some("1971-01-01"));
        run("2", "2036-01-01 12:00:00+00", &["s.deals"]);
        run("3", "2026-12-01 02:00:00+00", &["s.deals", "s.links"]);
        run("4", "2026-12-05 12:00:00+00", &[]);
        assert_eq!(day("s.deals").as_deref(), Some("2026-11-30"), "the day of the time zone");
        assert_eq!(day("s.links").as_deref(), Some("2026-11-30"));
        assert_eq!(day("s.never"), None);
        let before = last_reading(&warehouse).expect("a reading").expect("a reading");
        assert_eq!((before.now.to_string().as_str(), before.boot), ("2026-12-01T02:00:00Z", None));
        let now = "2026-12-05T12:00:00Z".parse().expect("an instant");
        let reading = ClockReading { now, boot: Some("boot".to_owned()), uptime_seconds: Some(7.5) };
        record_reading(&warehouse, "4", &ClockReading { uptime_seconds: None, ..reading.clone() }).expect("a record");
        record_reading(&warehouse, "5", &reading).expect("a record");
        crate::compact(&warehouse).expect("a compaction");
        assert_eq!(last_reading(&warehouse).expect("a reading"), Some(reading));
    }
}
