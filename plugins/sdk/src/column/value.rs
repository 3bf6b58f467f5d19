//! The types that column values have in Rust, and how each is read from and written to buffers.

use super::buffers::Buffers;
use crate::data_type::Type;

/// A type that a column can have. The SDK implements it for [`Text`], `bool`, `i64`, `f64`, [`Decimal`], [`Date`] and
/// [`Timestamp`]; plugins use it as a bound in generic functions.
///
/// ```
/// use plugin_sdk::column::Value;
/// use plugin_sdk::prelude::*;
///
/// /// Sets a column of any type to null in every row.
/// fn clear<T: Value>(column: Column<T>, rows: &Rows<'_>, patch: &mut Patch) {
///     let mut nulls = column.builder_with_capacity(rows.len());
///     (0..rows.len()).for_each(|_| nulls.push(None));
///     patch.set(column, nulls);
/// }
/// ```
pub trait Value: Copy + PartialEq + std::fmt::Debug + 'static {
    /// A value as it is read, without copying: `&str` for text.
    type Read<'a>;
    /// A value that owns its memory: `String` for text.
    type Owned;

    #[doc(hidden)]
    const LAYOUT: Layout;

    /// The name of the type in error messages.
    #[doc(hidden)]
    const TYPE_NAME: &'static str;

    #[doc(hidden)]
    fn accepts(data_type: Type) -> bool;

    /// Reads a value from its bytes; a boolean from one byte that is 0 or 1. None if the bytes are not a valid value.
    #[doc(hidden)]
    fn read(bytes: &[u8]) -> Option<Self::Read<'_>>;

    /// Reads a value from text that is known to be valid UTF-8.
    #[doc(hidden)]
    fn read_text(text: &str) -> Option<Self::Read<'_>> {
        Self::read(text.as_bytes())
    }

    #[doc(hidden)]
    fn write(value: Self::Read<'_>, buffers: &mut Buffers);

    #[doc(hidden)]
    fn borrow(value: &Self::Owned) -> Self::Read<'_>;

    #[doc(hidden)]
    fn own(value: Self::Read<'_>) -> Self::Owned;
}

/// How values are laid out in the buffers.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// One bit each.
    Bit,
    /// This many bytes each.
    Fixed(usize),
    /// As many bytes as the offsets say.
    Variable,
}

/// Text, or JSON as text: read as `&str`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text;

/// A decimal: read as `i128`, a whole number of the column's smallest unit, so that no value is rounded. See
/// [`Column::scale`](super::Column::scale).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal;

/// A calendar date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    /// Days since 1970-01-01; negative before it.
    pub days: i32,
}

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Microseconds since 1970-01-01 00:00 UTC; negative before it.
    pub microseconds: i64,
}

impl Value for Text {
    type Read<'a> = &'a str;
    type Owned = String;
    const LAYOUT: Layout = Layout::Variable;
    const TYPE_NAME: &'static str = "text";

    fn accepts(data_type: Type) -> bool {
        matches!(data_type, Type::Text | Type::Json)
    }

    fn read(bytes: &[u8]) -> Option<&str> {
        std::str::from_utf8(bytes).ok()
    }

    fn read_text(text: &str) -> Option<&str> {
        Some(text)
    }

    fn write(value: &str, buffers: &mut Buffers) {
        buffers.push_bytes(value.as_bytes());
    }

    fn borrow(value: &String) -> &str {
        value
    }

    fn own(value: &str) -> String {
        value.to_owned()
    }
}

impl Value for bool {
    type Read<'a> = bool;
    type Owned = bool;
    const LAYOUT: Layout = Layout::Bit;
    const TYPE_NAME: &'static str = "boolean";

    fn accepts(data_type: Type) -> bool {
        data_type == Type::Bool
    }

    fn read(bytes: &[u8]) -> Option<bool> {
        Some(*bytes.first()? == 1)
    }

    fn write(value: bool, buffers: &mut Buffers) {
        buffers.push_bit(value);
    }

    fn borrow(value: &bool) -> bool {
        *value
    }

    fn own(value: bool) -> bool {
        value
    }
}

/// Implements [`Value`] for a type of fixed width: `$native` in the buffers, `$read` in plugin code.
macro_rules! fixed_width {
    ($marker:ty, $data_type:pat, $type_name:literal, $native:ty, $read:ty, $from:expr, $into:expr) => {
        impl Value for $marker {
            type Read<'a> = $read;
            type Owned = $read;
            const LAYOUT: Layout = Layout::Fixed(size_of::<$native>());
            const TYPE_NAME: &'static str = $type_name;

            fn accepts(data_type: Type) -> bool {
                matches!(data_type, $data_type)
            }

            fn read(bytes: &[u8]) -> Option<$read> {
                let bytes = bytes.try_into().ok()?;
                Some($from(<$native>::from_le_bytes(bytes)))
            }

            fn write(value: $read, buffers: &mut Buffers) {
                buffers.push_bytes(&<$native>::to_le_bytes($into(value)));
            }

            fn borrow(value: &$read) -> $read {
                *value
            }

            fn own(value: $read) -> $read {
                value
            }
        }
    };
}

fixed_width!(i64, Type::Int64, "integer", i64, i64, |value| value, |value| value);
fixed_width!(f64, Type::Float64, "float", f64, f64, |value| value, |value| value);
fixed_width!(Decimal, Type::Decimal, "decimal", i128, i128, |value| value, |value| value);
fixed_width!(Date, Type::Date, "date", i32, Date, |days| Date { days }, |date: Date| date.days);
fixed_width!(
    Timestamp,
    Type::Timestamp,
    "timestamp",
    i64,
    Timestamp,
    |microseconds| Timestamp { microseconds },
    |timestamp: Timestamp| timestamp.microseconds
);
