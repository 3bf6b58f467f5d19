//! The paths to the wanted values of a JSON body, as a trie per level of nested arrays.

use std::collections::HashMap;

use host_core::error::{Error, Result};
use host_core::schema::Field;

/// The most steps of a path and the most levels. A guest cannot make the decoder recurse deeper.
const MAX_DEPTH: usize = 100;

/// Bytes of one step of a path, with its entries in two tables.
const STEP_BYTES: usize = 512;

/// A column to take from each row.
pub(crate) struct JsonColumn {
    pub(crate) field: Field,
    /// The level of nested arrays that its path starts at.
    pub(crate) level: usize,
    /// A JSON pointer into an element of that level.
    pub(crate) path: String,
}

impl JsonColumn {
    /// The text that every row has in this column, whatever the body says.
    pub(super) fn constant(&self) -> Option<&String> {
        self.field.metadata.get("constant")
    }
}

/// The wanted keys of one object.
#[derive(Default)]
pub(super) struct PathNode {
    /// The column that takes this value.
    pub(super) column: Option<usize>,
    /// Whether this value is the array of the next level.
    pub(super) is_next_level: bool,
    pub(super) children: Vec<(String, PathNode)>,
    indices: HashMap<String, usize>,
}

impl PathNode {
    fn child(&mut self, key: &str) -> &mut Self {
        let next = self.children.len();
        let at = *self.indices.entry(key.to_owned()).or_insert(next);
        if at == next {
            self.children.push((key.to_owned(), Self::default()));
        }
        &mut self.children[at].1
    }

    fn at(&mut self, pointer: &str) -> &mut Self {
        let unescaped = pointer.split('/').skip(1).map(|key| key.replace("~1", "/").replace("~0", "~"));
        unescaped.fold(self, |node, key| node.child(&key))
    }

    /// The index of the child with this key. Tries `expected` first: most records list their keys in the same order.
    pub(super) fn find(&self, key: &str, expected: usize) -> Option<usize> {
        match self.children.get(expected) {
            Some((name, _)) if name == key => Some(expected),
            _ => self.indices.get(key).copied(),
        }
    }
}

/// The layout of a body: the path to the first array, then the wanted keys of each level's elements.
pub(super) struct ColumnLayout {
    pub(super) root: PathNode,
    pub(super) levels: Vec<PathNode>,
    /// The columns of each level. Rows of inner levels repeat the values of outer ones.
    pub(super) columns_by_level: Vec<Vec<usize>>,
}

impl ColumnLayout {
    /// The memory that the layout of these paths needs, at most.
    pub(super) fn bytes(levels: &[String], columns: &[JsonColumn]) -> usize {
        let bytes = |path: &String| path.matches('/').count().saturating_mul(STEP_BYTES).saturating_add(2 * path.len());
        paths(levels, columns).map(bytes).fold(0, usize::saturating_add)
    }

    pub(super) fn new(levels: &[String], columns: &[JsonColumn]) -> Result<Self> {
        let first = levels.first().ok_or_else(|| Error::plugin("a JSON table needs at least one level"))?;
        let is_deep = |path: &String| path.matches('/').count() > MAX_DEPTH;
        if levels.len() > MAX_DEPTH || paths(levels, columns).any(is_deep) {
            return Err(Error::plugin(format!("a JSON path has more than {MAX_DEPTH} steps")));
        }
        let mut root = PathNode::default();
        root.at(first).is_next_level = true;
        let mut nodes: Vec<_> = levels.iter().map(|_| PathNode::default()).collect();
        let mut columns_by_level = vec![Vec::new(); levels.len()];
        for (index, column) in columns.iter().enumerate().filter(|(_, column)| column.constant().is_none()) {
            let node = nodes.get_mut(column.level);
            let node = node.ok_or_else(|| {
                Error::plugin(format!("column `{}` is on the unknown level {}", column.field.name, column.level))
            })?;
            node.at(&column.path).column = Some(index);
            columns_by_level[column.level].push(index);
        }
        for (node, pointer) in nodes.iter_mut().zip(levels.iter().skip(1)) {
            node.at(pointer).is_next_level = true;
        }
        Ok(Self { root, levels: nodes, columns_by_level })
    }
}

fn paths<'a>(levels: &'a [String], columns: &'a [JsonColumn]) -> impl Iterator<Item = &'a String> {
    levels.iter().chain(columns.iter().map(|column| &column.path))
}
