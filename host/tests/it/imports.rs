//! Reads the imports of Rust files as text and finds the file that defines each imported name.
//!
//! `use` trees may be nested, span lines, rename and re-export. Paths in code (`crate::module::f()`) count as imports too.
//! Comments, string literals and inline test modules do not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A `use` leaf, or a path in code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Import {
    /// The path as written, such as `["super", "loader", "Writer"]`.
    pub(crate) path: Vec<String>,
    /// The name under which the file uses it.
    name: String,
    /// Whether it is a `pub use` of any visibility.
    is_reexport: bool,
    /// Inline modules around it, the outermost first.
    inside: Vec<String>,
}

/// What a file imports.
#[derive(Debug, Default)]
pub(crate) struct Imports {
    /// Leaves of `use` trees.
    pub(crate) uses: Vec<Import>,
    /// Paths of at least two segments in code.
    pub(crate) paths: Vec<Import>,
    /// Identifiers in code, outside of `use`.
    names: BTreeSet<String>,
}

/// Replaces comments and the contents of literals by spaces; lines stay.
pub(crate) fn without_comments_and_literals(text: &str) -> String {
    blank(text, true)
}

/// Replaces comments by spaces; lines and literals stay.
pub(crate) fn without_comments(text: &str) -> String {
    blank(text, false)
}

fn blank(text: &str, literals: bool) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let mut index = 0;
    while index < chars.len() {
        let (end, is_kept) = match (at(index), at(index + 1)) {
            ('/', '/') => ((index..chars.len()).find(|end| at(*end) == '\n').unwrap_or(chars.len()), false),
            ('/', '*') => (comment_end(&chars, index), false),
            ('r', '"' | '#') if !is_word(at(index.wrapping_sub(1))) => (raw_end(&chars, index), !literals),
            ('"', _) => (quoted_end(&chars, index), !literals),
            // A lifetime has no closing quote after one character.
            ('\'', '\\') => (quoted_end(&chars, index), !literals),
            ('\'', _) if at(index + 2) == '\'' => (index + 3, !literals),
            _ => (index + 1, true),
        };
        let end = end.clamp(index + 1, chars.len());
        let blanked = |letter: &char| if is_kept || *letter == '\n' { *letter } else { ' ' };
        out.extend(chars[index..end].iter().map(blanked));
        index = end;
    }
    out
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The end of a block comment, which may contain others.
fn comment_end(chars: &[char], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut index = start;
    while index + 1 < chars.len() {
        match (chars[index], chars[index + 1]) {
            ('/', '*') => (depth, index) = (depth + 1, index + 2),
            ('*', '/') => (depth, index) = (depth - 1, index + 2),
            _ => index += 1,
        }
        if depth == 0 {
            return index;
        }
    }
    chars.len()
}

/// The end of a literal in quotes, after its closing quote.
fn quoted_end(chars: &[char], start: usize) -> usize {
    let mut index = start + 1;
    while index < chars.len() && chars[index] != chars[start] {
        index += if chars[index] == '\\' { 2 } else { 1 };
    }
    index + 1
}

/// The end of `r"…"` or `r#"…"#`; one letter further for a raw identifier.
fn raw_end(chars: &[char], start: usize) -> usize {
    let hashes = chars[start + 1..].iter().take_while(|letter| **letter == '#').count();
    if chars.get(start + 1 + hashes) != Some(&'"') {
        return start + 1;
    }
    let closes = |index: &usize| {
        chars[*index] == '"' && chars[index + 1..].iter().take_while(|letter| **letter == '#').count() >= hashes
    };
    (start + 2 + hashes..chars.len()).find(closes).map_or(chars.len(), |index| index + 1 + hashes)
}

/// Removes the bodies of `#[cfg(test)] mod … { … }`. `text` may have literals.
pub(crate) fn without_test_modules(text: &str) -> String {
    // Braces inside literals do not count.
    let blanked: Vec<char> = without_comments_and_literals(text).chars().collect();
    let mut chars: Vec<char> = text.chars().collect();
    let attributes = ["#[cfg(test)]", "#[cfg(all(test,"].map(|attribute| attribute.chars().collect::<Vec<_>>());
    for start in 0..blanked.len() {
        if !attributes.iter().any(|attribute| blanked[start..].starts_with(attribute)) {
            continue;
        }
        let Some(end) = (start..blanked.len()).find(|index| blanked[*index] == ']') else { continue };
        let Some(open) = (end..blanked.len()).find(|index| ['{', ';'].contains(&blanked[*index])) else { continue };
        let head: String = blanked[end + 1..open].iter().collect();
        if blanked[open] != '{' || !head.trim_start().starts_with("mod ") {
            continue;
        }
        let mut depth = 0_usize;
        for (index, letter) in blanked.iter().enumerate().skip(open) {
            depth += usize::from(*letter == '{');
            depth -= usize::from(*letter == '}');
            if depth == 0 {
                chars[open + 1..index].iter_mut().filter(|letter| **letter != '\n').for_each(|letter| *letter = ' ');
                break;
            }
        }
    }
    chars.into_iter().collect()
}

fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter.is_whitespace() {
            continue;
        }
        let mut token = letter.to_string();
        if is_word(letter) {
            while let Some(next) = letters.next_if(|next| is_word(*next)) {
                token.push(next);
            }
        } else if letter == ':' && letters.next_if_eq(&':').is_some() {
            token.push(':');
        }
        tokens.push(token);
    }
    tokens
}

/// The imports of a file.
pub(crate) fn imports(text: &str) -> Imports {
    let tokens = tokens(&without_comments_and_literals(&without_test_modules(text)));
    let is = |index: usize, wanted: &str| tokens.get(index).is_some_and(|token| token == wanted);
    let is_name = |index: usize| tokens.get(index).is_some_and(|token| token.starts_with(is_word));
    let mut found = Imports::default();
    let (mut depth, mut inside): (usize, Vec<(String, usize)>) = (0, Vec::new());
    let mut index = 0;
    while index < tokens.len() {
        let module = || inside.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        // `use<'a>` bounds a return type.
        if is(index, "use") && !is(index + 1, "<") {
            let before = index.checked_sub(1).unwrap_or(tokens.len());
            let open = (0..before).rev().find(|open| is(*open, "(")).filter(|_| is(before, ")"));
            let is_reexport = is(before, "pub") || open.is_some_and(|open| open > 0 && is(open - 1, "pub"));
            let mut leaves = Vec::new();
            index = tree(&tokens, index + 1, &[], &mut leaves);
            let import = |(path, name)| Import { path, name, is_reexport, inside: module() };
            found.uses.extend(leaves.into_iter().map(import));
        } else if is(index, "mod") && is_name(index + 1) && is(index + 2, "{") {
            inside.push((tokens[index + 1].clone(), depth));
            index += 2;
        } else if is_name(index) {
            let start = index;
            while is(index + 1, "::") && is_name(index + 2) {
                index += 2;
            }
            let path: Vec<_> = tokens[start..=index].iter().step_by(2).cloned().collect();
            found.names.extend(path.iter().cloned());
            let name = path.last().cloned().unwrap_or_default();
            // A path in a macro belongs to the file that expands it.
            if path.len() > 1 && !(start > 0 && is(start - 1, "$")) {
                found.paths.push(Import { path, name, is_reexport: false, inside: module() });
            }
            index += 1;
        } else {
            depth += usize::from(is(index, "{"));
            depth -= usize::from(is(index, "}"));
            if inside.last().is_some_and(|(_, outer)| is(index, "}") && *outer == depth) {
                inside.pop();
            }
            index += 1;
        }
    }
    found
}

/// Reads one branch of a `use` tree; returns the index after it.
fn tree(tokens: &[String], start: usize, prefix: &[String], leaves: &mut Vec<(Vec<String>, String)>) -> usize {
    let is = |index: usize, wanted: &str| tokens.get(index).is_some_and(|token| token == wanted);
    let mut path = prefix.to_vec();
    let mut index = if is(start, "::") { start + 1 } else { start };
    while index < tokens.len() {
        if is(index, "{") {
            index += 1;
            while index < tokens.len() && !is(index, "}") {
                index = if is(index, ",") { index + 1 } else { tree(tokens, index, &path, leaves) };
            }
            return index + 1;
        }
        // `self` in a group is the path before the group.
        if !is(index, "self") || path.is_empty() {
            path.push(tokens[index].clone());
        }
        index += 1;
        if is(index, "::") {
            index += 1;
            continue;
        }
        let mut name = path.last().cloned().unwrap_or_default();
        if is(index, "as") {
            name = tokens.get(index + 1).cloned().unwrap_or_default();
            index += 2;
        }
        leaves.push((path, name));
        break;
    }
    index
}

/// A file of a crate.
struct SourceFile {
    path: PathBuf,
    module: Vec<String>,
    imports: Imports,
}

/// The files of a crate, and which imports names of which other.
pub(crate) struct ModuleGraph {
    files: Vec<SourceFile>,
    by_module: BTreeMap<Vec<String>, usize>,
}

impl ModuleGraph {
    /// Reads the files of a crate below its folder `src`. A program's `main.rs` is left out.
    pub(crate) fn read(source: &Path, paths: Vec<PathBuf>) -> Self {
        let texts = paths.into_iter().map(|path| {
            let inside = path.strip_prefix(source).expect("a file below the folder").to_path_buf();
            (inside, std::fs::read_to_string(&path).expect("a source file"))
        });
        Self::new(texts.collect())
    }

    /// From paths below `src` and their texts.
    fn new(texts: Vec<(PathBuf, String)>) -> Self {
        let file = |(path, text): (PathBuf, String)| {
            let mut module: Vec<_> = path.with_extension("").iter().map(|name| name.to_string_lossy().into()).collect();
            if ["mod", "lib"].contains(&module.last().map(String::as_str).unwrap_or_default()) {
                module.pop();
            }
            SourceFile { path, module, imports: imports(&text) }
        };
        let files: Vec<_> = texts.into_iter().map(file).filter(|file| file.module != ["main"]).collect();
        let by_module = files.iter().enumerate().map(|(index, file)| (file.module.clone(), index)).collect();
        Self { files, by_module }
    }

    /// Each file and the files that define what it imports, by their paths below `src`.
    pub(crate) fn edges(&self) -> BTreeMap<&Path, BTreeSet<&Path>> {
        let targets = |file: &SourceFile| {
            let is_used = |import: &&Import| !import.is_reexport || file.imports.names.contains(&import.name);
            let all = file.imports.uses.iter().filter(is_used).chain(&file.imports.paths);
            let targets = all.filter_map(|import| self.definer(file, import, 0));
            targets.map(|index| self.files[index].path.as_path()).filter(|path| *path != file.path).collect()
        };
        self.files.iter().map(|file| (file.path.as_path(), targets(file))).collect()
    }

    /// The file that defines an imported name. None if another crate defines it.
    fn definer(&self, file: &SourceFile, import: &Import, depth: usize) -> Option<usize> {
        let path = self.absolute(&[file.module.as_slice(), &import.inside].concat(), &import.path)?;
        let known = (0..=path.len()).rev().find(|length| self.by_module.contains_key(&path[..*length]))?;
        let index = self.by_module[&path[..known]];
        let Some(name) = path.get(known) else { return Some(index) };
        let passed_on =
            self.files[index].imports.uses.iter().find(|other| other.name == *name && other.inside.is_empty());
        match passed_on.filter(|_| depth < 10) {
            Some(other) => self.definer(&self.files[index], other, depth + 1),
            None => Some(index),
        }
    }

    /// A path from the root of the crate. None if it starts at another crate.
    fn absolute(&self, module: &[String], path: &[String]) -> Option<Vec<String>> {
        let supers = path.iter().take_while(|name| *name == "super").count();
        let rest = match path.first()?.as_str() {
            "crate" => return Some(path[1..].to_vec()),
            "self" => &path[1..],
            "super" => return Some([&module[..module.len().checked_sub(supers)?], &path[supers..]].concat()),
            first => {
                let child = [module, &[first.to_owned()]].concat();
                return self.by_module.contains_key(&child).then(|| [module, path].concat());
            }
        };
        Some([module, rest].concat())
    }

    /// The edges between the crate's top modules, each with a file that has it.
    pub(crate) fn modules(&self) -> BTreeMap<(String, String), &Path> {
        let module =
            |path: &Path| path.with_extension("").iter().next().map(|name| name.to_string_lossy().into_owned());
        let mut modules = BTreeMap::new();
        for (file, targets) in self.edges() {
            for target in targets {
                let edge =
                    module(file).zip(module(target)).filter(|(from, to)| from != to && from != "lib" && to != "lib");
                edge.map(|edge| modules.entry(edge).or_insert(file));
            }
        }
        modules
    }

    /// A cycle of files that import each other, if there is one. What a file imports from the module that it is part of does
    /// not count: a `mod.rs` shares its definitions with its parts.
    pub(crate) fn cycle(&self) -> Option<Vec<&Path>> {
        let module = |path: &Path| &self.files.iter().find(|file| file.path == path).expect("a file").module;
        let mut edges = self.edges();
        for (file, targets) in &mut edges {
            targets.retain(|target| !module(file).starts_with(module(target)));
        }
        let (mut done, mut path) = (BTreeSet::new(), Vec::new());
        edges.keys().find_map(|file| walk(file, &edges, &mut done, &mut path))
    }
}

fn walk<'a>(
    file: &'a Path,
    edges: &BTreeMap<&'a Path, BTreeSet<&'a Path>>,
    done: &mut BTreeSet<&'a Path>,
    path: &mut Vec<&'a Path>,
) -> Option<Vec<&'a Path>> {
    if let Some(start) = path.iter().position(|before| *before == file) {
        return Some(path[start..].to_vec());
    }
    if !done.insert(file) {
        return None;
    }
    path.push(file);
    let cycle = edges[file].iter().find_map(|next| walk(next, edges, done, path));
    path.pop();
    cycle
}

fn paths(text: &str) -> Vec<String> {
    imports(text).uses.iter().map(|import| format!("{} as {}", import.path.join("::"), import.name)).collect()
}

#[test]
fn use_trees_may_be_nested_span_lines_rename_and_reexport() {
    assert_eq!(paths("use crate::{a, b};"), ["crate::a as a", "crate::b as b"]);
    assert_eq!(
        paths("pub(crate) use crate::{\n    a::{self, B as C},\n    // use crate::hidden;\n    d::*,\n};"),
        ["crate::a as a", "crate::a::B as C", "crate::d::* as *"]
    );
    assert_eq!(paths("const TEXT: &str = \"use crate::a;\"; /* use crate::b; */ use r#type::x;").len(), 1);
    assert_eq!(paths("fn f() -> impl Fn() + use<'_> { use super::g as _; }"), ["super::g as _"]);
    assert_eq!(paths("use a::b;\n#[cfg(test)]\nmod tests {\n    use crate::c;\n    fn f() { '{'; }\n}"), ["a::b as b"]);
    assert_eq!(imports("macro_rules! m { () => { $crate::a::B } }").paths, []);
    let found = imports("pub use a::B; pub(super) use c::D; use e::F; fn f<'a>() { crate::g::h::<'a>(super::i::J) }");
    assert_eq!(found.uses.iter().map(|import| import.is_reexport).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(found.paths.iter().map(|path| path.path.join("::")).collect::<Vec<_>>(), ["crate::g::h", "super::i::J"]);
}

fn graph(files: &[(&str, &str)]) -> ModuleGraph {
    ModuleGraph::new(files.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect())
}

#[test]
fn an_import_leads_to_the_file_that_defines_the_name() {
    let files = [
        ("lib.rs", "pub mod clean; pub mod report; pub use other::error;"),
        (
            "clean/mod.rs",
            "mod chain; mod flow; pub use chain::Chain; pub(crate) use flow::{Flow as Run}; pub struct CleanSummary;",
        ),
        ("clean/chain.rs", "use crate::error::Error;"),
        ("clean/flow.rs", "use super::Chain; mod inner { use super::super::chain::open; }"),
        ("report.rs", "use crate::{clean::{Run, CleanSummary}, error}; fn f() { crate::clean::Chain::new() }"),
    ];
    let graph = graph(&files);
    let edges = graph.edges();
    let of = |file: &str| edges[Path::new(file)].iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
    assert_eq!(of("clean/mod.rs"), Vec::<String>::new());
    assert_eq!(of("clean/flow.rs"), ["clean/chain.rs"]);
    assert_eq!(of("report.rs"), ["clean/chain.rs", "clean/flow.rs", "clean/mod.rs"]);
    assert_eq!(graph.modules().keys().cloned().collect::<Vec<_>>(), [("report".to_owned(), "clean".to_owned())]);
    assert_eq!(graph.cycle(), None);
}

#[test]
fn a_cycle_between_files_is_found() {
    let of = |chain: &str| {
        let flow = "use super::chain::Chain; use super::CleanSummary; pub struct Flow;";
        let module = "mod chain; mod flow; use chain::open; pub use flow::Flow; pub struct CleanSummary;";
        let files = [("clean/mod.rs", module), ("clean/flow.rs", flow), ("clean/chain.rs", chain)];
        graph(&files).cycle().map(|cycle| cycle.len())
    };
    assert_eq!(of("use super::CleanSummary;"), None);
    assert_eq!(of("use super::flow;"), Some(2));
    assert_eq!(of("use super::{CleanSummary, Flow as Run};"), Some(2));
    assert_eq!(of("fn f() { crate::clean::Flow::new() }"), Some(2));
    assert_eq!(of("#[cfg(test)] mod tests { use super::super::Flow; }"), None);
}
