//! Makes a folder for the pages where they were not built, so that there is one to embed; tells the linked binary where
//! DuckDB's shared library is, so that it starts without LD_LIBRARY_PATH: beside itself, else where it was built against.

fn main() -> std::io::Result<()> {
    println!("cargo:rerun-if-changed=pages/dist");
    std::fs::create_dir_all("pages/dist")?;
    println!("cargo:rerun-if-env-changed=DUCKDB_LIB_DIR");
    let origin = if cfg!(target_os = "macos") { "@executable_path" } else { "$ORIGIN" };
    println!("cargo:rustc-link-arg=-Wl,-rpath,{origin}");
    if let Some(folder) = std::env::var_os("DUCKDB_LIB_DIR") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", folder.to_string_lossy());
    }
    Ok(())
}
