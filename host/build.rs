//! Creates the folder of the built pages if it is missing, so that it can be embedded, prints the linker arguments of
//! every crate that links DuckDB, and puts DuckDB's library beside a release binary, which looks for it there only.

use std::path::{Path, PathBuf};

#[path = "warehouse/build.rs"]
mod link;

fn main() -> std::io::Result<()> {
    println!("cargo:rerun-if-changed=pages/dist");
    std::fs::create_dir_all("pages/dist")?;
    link::main();
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let is_release = variable("PROFILE").is_some_and(|profile| profile == Path::new("release"));
    // `OUT_DIR` is `FOLDER/build/host-HASH/out`, where FOLDER is that of the binaries.
    let out = variable("OUT_DIR");
    let binaries = out.as_deref().and_then(|out| out.ancestors().nth(3)).filter(|_| is_release);
    match (variable("DUCKDB_LIB_DIR"), binaries) {
        // Benchmarks are in the folder `deps`.
        (Some(from), Some(to)) => copy_library(&from, to).and_then(|()| copy_library(&from, &to.join("deps"))),
        _ => Ok(()),
    }
}

/// Copies DuckDB's library. It gets its name when it is complete, since another build may read it.
fn copy_library(from: &Path, to: &Path) -> std::io::Result<()> {
    for name in ["libduckdb.so", "libduckdb.dylib"] {
        let (library, copy) = (from.join(name), to.join(name));
        if library.is_file() {
            println!("cargo:rerun-if-changed={}", library.display());
            let part = to.join(format!("{name}.{}.part", std::process::id()));
            std::fs::copy(&library, &part)?;
            std::fs::rename(&part, &copy)?;
        }
    }
    Ok(())
}
