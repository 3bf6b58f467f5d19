//! Walks the text of a JSON body: follows the wanted keys of each object, skips everything else.

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use sonic_rs::LazyValue;

use super::columns::{Ended, TableBuilder};
use super::paths::{ColumnLayout, PathNode};

/// The error of a walk that ended because of a memory limit. The table knows which.
const MEMORY: &str = "the rows need too much memory";

/// Visits scalars in place of an object or array that is followed: they are ignored.
macro_rules! skip_scalars {
    ($value:expr) => {
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
            Ok($value)
        }
    };
}

/// Reads the rows of a body. Returns whether it has an array at the path of the first level.
pub(super) fn read_rows(text: &str, layout: &ColumnLayout, table: &mut TableBuilder) -> sonic_rs::Result<bool> {
    let mut deserializer = sonic_rs::Deserializer::from_str(text);
    let mut has_array = false;
    Root { node: &layout.root, layout, table, has_array: &mut has_array }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(has_array)
}

/// The path to the first array. Its elements are read in place: no value outside of it is repeated.
struct Root<'d> {
    node: &'d PathNode,
    layout: &'d ColumnLayout,
    table: &'d mut TableBuilder,
    has_array: &'d mut bool,
}

impl<'de> DeserializeSeed<'de> for Root<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if !self.node.is_next_level {
            return deserializer.deserialize_any(self);
        }
        let Self { layout, table, has_array, .. } = self;
        *has_array = deserializer.deserialize_any(Elements { layout, level: 0, table })?;
        Ok(())
    }
}

impl<'de> Visitor<'de> for Root<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let Self { node, layout, table, has_array } = self;
        while let Some(found) = object.next_key_seed(JsonKey { node, expected: 0 })? {
            match found {
                None => {
                    object.next_value::<IgnoredAny>()?;
                }
                Some(at) => {
                    let node = &node.children[at].1;
                    object.next_value_seed(Root { node, layout, table: &mut *table, has_array: &mut *has_array })?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        while array.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    skip_scalars!(());
}

/// Reads the elements of a level's array. Returns whether the value is an array.
fn read_elements(
    array: &LazyValue<'_>,
    layout: &ColumnLayout,
    level: usize,
    table: &mut TableBuilder,
) -> sonic_rs::Result<bool> {
    let mut deserializer = sonic_rs::Deserializer::from_str(array.as_raw_str());
    deserializer.deserialize_any(Elements { layout, level, table })
}

struct Elements<'d> {
    layout: &'d ColumnLayout,
    level: usize,
    table: &'d mut TableBuilder,
}

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<bool, A::Error> {
        let Self { layout, level, table } = self;
        while array.next_element_seed(Element { layout, level, table: &mut *table })?.is_some() {}
        Ok(true)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<bool, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(false)
    }

    skip_scalars!(false);
}

/// One element of a level's array.
struct Element<'d> {
    layout: &'d ColumnLayout,
    level: usize,
    table: &'d mut TableBuilder,
}

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let Self { layout, level, table } = self;
        for &column in &layout.columns_by_level[level] {
            table.clear(column);
        }
        // An inner array may precede the outer values that its rows repeat: it is read after the rest of the element.
        let mut inner = None;
        Fields { node: &layout.levels[level], table: &mut *table, inner: &mut inner }.deserialize(deserializer)?;
        if level + 1 == layout.levels.len() {
            return table.append_row().map_err(|Ended| D::Error::custom(MEMORY));
        }
        match inner {
            Some(array) => read_elements(&array, layout, level + 1, table).map(drop).map_err(D::Error::custom),
            None => Ok(()),
        }
    }
}

/// The wanted keys of one object.
struct Fields<'d, 'de> {
    node: &'d PathNode,
    table: &'d mut TableBuilder,
    inner: &'d mut Option<LazyValue<'de>>,
}

impl<'de> DeserializeSeed<'de> for Fields<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let Self { node, table, inner } = self;
        let mut expected = 0;
        while let Some(found) = object.next_key_seed(JsonKey { node, expected })? {
            let Some(at) = found else {
                object.next_value::<IgnoredAny>()?;
                continue;
            };
            expected = at + 1;
            let child = &node.children[at].1;
            if child.is_next_level {
                *inner = Some(object.next_value()?);
            } else if let Some(column) = child.column {
                let value: LazyValue<'de> = object.next_value()?;
                table.set(column, &value).map_err(|Ended| A::Error::custom(MEMORY))?;
                if !child.children.is_empty() {
                    // The value is a column, and so are some of its parts.
                    let mut deserializer = sonic_rs::Deserializer::from_str(value.as_raw_str());
                    let parts = Fields { node: child, table: &mut *table, inner: &mut None };
                    parts.deserialize(&mut deserializer).map_err(A::Error::custom)?;
                }
            } else {
                object.next_value_seed(Fields { node: child, table: &mut *table, inner: &mut *inner })?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        while array.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    skip_scalars!(());
}

/// A key, as the index of its child in the trie.
struct JsonKey<'d> {
    node: &'d PathNode,
    expected: usize,
}

impl<'de> DeserializeSeed<'de> for JsonKey<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for JsonKey<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.node.find(key, self.expected))
    }
}
