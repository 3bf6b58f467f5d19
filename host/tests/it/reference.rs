//! The generated pages of `docs/reference` equal what the code generates now.

use crate::support::root;

#[test]
fn the_reference_is_current() {
    let folder = root().join("docs/reference");
    for (name, page) in host::reference::pages() {
        let found = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(found == page, "docs/reference/{name} is stale: run `make reference`");
    }
}

#[test]
fn every_key_and_every_argument_has_a_meaning() {
    for (name, page) in host::reference::pages() {
        let lines: Vec<_> = page.lines().filter(|line| line.ends_with("|  |") || line.contains("| See [")).collect();
        assert!(lines.is_empty(), "docs/reference/{name} has rows without a meaning:\n{}", lines.join("\n"));
    }
}
