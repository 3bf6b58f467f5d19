//! The way through a body's text: each object's wanted keys are followed down the trie, all else is skipped.

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use sonic_rs::LazyValue;

use super::{Decoder, Node, Shape};

/// What a visitor makes of a value that is not what it follows: nothing.
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

/// Reads a body's rows; false where it has no array where the first level belongs.
pub(super) fn rows(text: &str, shape: &Shape, decoder: &mut Decoder) -> sonic_rs::Result<bool> {
    let mut deserializer = sonic_rs::Deserializer::from_str(text);
    let mut is_there = false;
    Root { node: &shape.root, shape, decoder, is_there: &mut is_there }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(is_there)
}

/// The way to the first array, whose elements are read where they stand: nothing outside it is repeated.
struct Root<'d> {
    node: &'d Node,
    shape: &'d Shape,
    decoder: &'d mut Decoder,
    is_there: &'d mut bool,
}

impl<'de> DeserializeSeed<'de> for Root<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if !self.node.is_inner {
            return deserializer.deserialize_any(self);
        }
        let Self { shape, decoder, is_there, .. } = self;
        *is_there = deserializer.deserialize_any(Elements { shape, level: 0, decoder })?;
        Ok(())
    }
}

impl<'de> Visitor<'de> for Root<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let Self { node, shape, decoder, is_there } = self;
        while let Some(found) = object.next_key_seed(Key { node, expected: 0 })? {
            match found {
                None => {
                    object.next_value::<IgnoredAny>()?;
                }
                Some(at) => {
                    let node = &node.children[at].1;
                    object.next_value_seed(Root { node, shape, decoder: &mut *decoder, is_there: &mut *is_there })?;
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

/// Reads the elements of a level's array; false where it is none.
fn elements(array: &LazyValue<'_>, shape: &Shape, level: usize, decoder: &mut Decoder) -> sonic_rs::Result<bool> {
    let mut deserializer = sonic_rs::Deserializer::from_str(array.as_raw_str());
    deserializer.deserialize_any(Elements { shape, level, decoder })
}

struct Elements<'d> {
    shape: &'d Shape,
    level: usize,
    decoder: &'d mut Decoder,
}

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<bool, A::Error> {
        let Self { shape, level, decoder } = self;
        while array.next_element_seed(Element { shape, level, decoder: &mut *decoder })?.is_some() {}
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
    shape: &'d Shape,
    level: usize,
    decoder: &'d mut Decoder,
}

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let Self { shape, level, decoder } = self;
        for &column in &shape.by_level[level] {
            decoder.builders[column].clear();
        }
        // An inner array may stand before outer values that its rows repeat: it waits until the element is read.
        let mut inner = None;
        Fields { node: &shape.levels[level], decoder: &mut *decoder, inner: &mut inner }.deserialize(deserializer)?;
        if level + 1 == shape.levels.len() {
            decoder.row();
            return Ok(());
        }
        match inner {
            Some(array) => elements(&array, shape, level + 1, decoder).map(drop).map_err(D::Error::custom),
            None => Ok(()),
        }
    }
}

/// The wanted keys of one object.
struct Fields<'d, 'de> {
    node: &'d Node,
    decoder: &'d mut Decoder,
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
        let Self { node, decoder, inner } = self;
        let mut expected = 0;
        while let Some(found) = object.next_key_seed(Key { node, expected })? {
            let Some(at) = found else {
                object.next_value::<IgnoredAny>()?;
                continue;
            };
            expected = at + 1;
            let child = &node.children[at].1;
            if child.is_inner {
                *inner = Some(object.next_value()?);
            } else if let Some(column) = child.column {
                let value: LazyValue<'de> = object.next_value()?;
                decoder.builders[column].take(&value);
                if !child.children.is_empty() {
                    // A value that is a column, and whose parts are columns too.
                    let mut deserializer = sonic_rs::Deserializer::from_str(value.as_raw_str());
                    let parts = Fields { node: child, decoder: &mut *decoder, inner: &mut None };
                    parts.deserialize(&mut deserializer).map_err(A::Error::custom)?;
                }
            } else {
                object.next_value_seed(Fields { node: child, decoder: &mut *decoder, inner: &mut *inner })?;
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

/// A key, as the place of its child in the trie.
struct Key<'d> {
    node: &'d Node,
    expected: usize,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.node.find(key, self.expected))
    }
}
