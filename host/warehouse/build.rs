//! Sets the search path for DuckDB's shared library in tests and binaries, so that they start without `LD_LIBRARY_PATH`. Every
//! crate that links DuckDB uses this script.

/// Prints the linker arguments.
pub(crate) fn main() {
    println!("cargo:rerun-if-env-changed=DUCKDB_LIB_DIR");
    let variable = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let folders = search_path(&variable("PROFILE").unwrap_or_default(), variable("DUCKDB_LIB_DIR"));
    folders.iter().for_each(|folder| println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}"));
}

/// The folders in which a binary looks for the library: its own folder first. A release binary looks nowhere else, because
/// on the machines that it is copied to, the folder of the build may belong to anybody.
pub(crate) fn search_path(profile: &str, library: Option<String>) -> Vec<String> {
    let own = if cfg!(target_os = "macos") { "@executable_path" } else { "$ORIGIN" };
    [own.to_owned()].into_iter().chain(library.filter(|_| profile != "release")).collect()
}
