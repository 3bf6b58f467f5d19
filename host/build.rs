//! Creates the folder of the built pages if it is missing, so that it can be embedded, and prints the linker
//! arguments of every crate that links DuckDB.

#[path = "warehouse/build.rs"]
mod link;

fn main() -> std::io::Result<()> {
    println!("cargo:rerun-if-changed=pages/dist");
    std::fs::create_dir_all("pages/dist")?;
    link::main();
    Ok(())
}
