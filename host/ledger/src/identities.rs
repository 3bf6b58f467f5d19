//! The account from which each source was loaded.

use host_core::error::{Error, Result};
use host_warehouse::Warehouse;

/// Binds a source to the account whose records are about to be committed, unless it is bound. Of two transactions that do
/// this for one source, one must begin after the other is committed.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn bind(warehouse: &Warehouse, source: &str, identity: &str) -> Result<()> {
    let sql = "INSERT INTO _host.identities SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM _host.identities WHERE source = ?1)";
    warehouse.change(sql, (source, identity)).map(drop)
}

/// Checks that a source still reaches the account from which it was loaded.
///
/// # Errors
/// Another account, and as [`Warehouse::query`].
pub fn check(warehouse: &Warehouse, source: &str, identity: &str) -> Result<()> {
    let bound: Option<String> = warehouse.value("SELECT identity FROM _host.identities WHERE source = ?", [source])?;
    match bound.filter(|bound| bound != identity) {
        None => Ok(()),
        Some(bound) => {
            let path = warehouse.path().display();
            let error = Error::config(format!(
                "source `{source}`: the warehouse {path} was loaded from {bound}, but the connection reaches {identity}"
            ));
            Err(error.hint("use the token of the same account, or another `warehouse` path for this one"))
        }
    }
}

/// The sources that were loaded from the same account as this one, including itself.
///
/// # Errors
/// Same as [`Warehouse::query`].
pub fn sources_of_same_account(warehouse: &Warehouse, source: &str) -> Result<Vec<String>> {
    let sql = "SELECT source FROM _host.identities WHERE identity IN \
               (SELECT identity FROM _host.identities WHERE source = ?1) UNION SELECT ?1";
    warehouse.values(sql, [source])
}

/// Keeps one row for each source: hosts before this one could bind a source twice in a first load.
pub(crate) fn compact(warehouse: &Warehouse) -> Result<()> {
    if warehouse.count("SELECT count(*) - count(DISTINCT source) FROM _host.identities", ())? == 0 {
        return Ok(());
    }
    warehouse.execute(
        "CREATE OR REPLACE TEMP TABLE bound AS SELECT source, min(identity) AS identity FROM _host.identities GROUP BY source; \
         DELETE FROM _host.identities; INSERT INTO _host.identities SELECT source, identity FROM temp.bound; \
         DROP TABLE temp.bound",
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_source_that_was_bound_twice_keeps_one_row() {
        let warehouse = crate::memory().expect("a warehouse");
        let bind = "INSERT INTO _host.identities VALUES ('a', 'one'), ('a', 'one'), ('b', 'two')";
        warehouse.execute(bind).expect("rows");
        for _ in 0..2 {
            crate::compact(&warehouse).expect("a compaction");
            let rows = "SELECT source || identity FROM _host.identities ORDER BY 1";
            assert_eq!(warehouse.values::<String>(rows, ()).expect("rows"), ["aone", "btwo"]);
        }
    }
}
