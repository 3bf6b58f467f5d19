//! Sets the search path for DuckDB's shared library in tests and binaries, so that they start without `LD_LIBRARY_PATH`: first
//! their own folder, then the folder of the library at build time. Every crate that links DuckDB uses this script.

/// Prints the linker arguments.
pub(crate) fn main() {
    println!("cargo:rerun-if-env-changed=DUCKDB_LIB_DIR");
    let origin = if cfg!(target_os = "macos") { "@executable_path" } else { "$ORIGIN" };
    println!("cargo:rustc-link-arg=-Wl,-rpath,{origin}");
    if let Some(folder) = std::env::var_os("DUCKDB_LIB_DIR") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", folder.to_string_lossy());
    }
}
