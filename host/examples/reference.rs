//! Writes the pages of `docs/reference`: `make reference`.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference");
    std::fs::create_dir_all(&folder)?;
    host::reference::pages().into_iter().try_for_each(|(name, page)| std::fs::write(folder.join(name), page))
}
