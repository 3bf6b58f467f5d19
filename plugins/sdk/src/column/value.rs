//! The types that a column may hold, each with its place in the buffers.

use super::builder::Buffers;
use crate::schema::Type;

/// A type that a column may hold.
pub trait Value: Copy + PartialEq + std::fmt::Debug + 'static {
    /// A value as it is read: in place, where it is not copied.
    type Read<'a>;
    /// A value of one's own.
    type Owned;

    #[doc(hidden)]
    const WIDTH: Width;

    #[doc(hidden)]
    fn holds(data_type: Type) -> bool;

    /// Bytes (text, fixed width) or a byte that is 0 or 1 (bool) as a value; none where they are no such value.
    #[doc(hidden)]
    fn read(bytes: &[u8]) -> Option<Self::Read<'_>>;

    /// Text that is known to be UTF-8 as a value.
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

/// How much room a value takes.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// A bit.
    Bit,
    /// So many bytes.
    Bytes(usize),
    /// As the offsets tell.
    Offsets,
}

/// Text, or JSON as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text;

/// A decimal: its values are whole numbers of the column's smallest unit, so that none is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal;

/// A calendar date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    /// Days since 1970-01-01.
    pub days: i32,
}

/// An instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Microseconds since 1970-01-01 UTC.
    pub microseconds: i64,
}

impl Value for Text {
    type Read<'a> = &'a str;
    type Owned = String;
    const WIDTH: Width = Width::Offsets;

    fn holds(data_type: Type) -> bool {
        matches!(data_type, Type::Text | Type::Json)
    }

    fn read(bytes: &[u8]) -> Option<&str> {
        std::str::from_utf8(bytes).ok()
    }

    fn read_text(text: &str) -> Option<&str> {
        Some(text)
    }

    fn write(value: &str, buffers: &mut Buffers) {
        buffers.bytes(value.as_bytes());
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
    const WIDTH: Width = Width::Bit;

    fn holds(data_type: Type) -> bool {
        data_type == Type::Bool
    }

    fn read(bytes: &[u8]) -> Option<bool> {
        Some(*bytes.first()? == 1)
    }

    fn write(value: bool, buffers: &mut Buffers) {
        buffers.bit(value);
    }

    fn borrow(value: &bool) -> bool {
        *value
    }

    fn own(value: bool) -> bool {
        value
    }
}

/// A type of fixed width: `$native` in the buffers, `$read` for the author.
macro_rules! fixed {
    ($marker:ty, $data_type:pat, $native:ty, $read:ty, $from:expr, $into:expr) => {
        impl Value for $marker {
            type Read<'a> = $read;
            type Owned = $read;
            const WIDTH: Width = Width::Bytes(size_of::<$native>());

            fn holds(data_type: Type) -> bool {
                matches!(data_type, $data_type)
            }

            fn read(bytes: &[u8]) -> Option<$read> {
                let bytes = bytes.try_into().ok()?;
                Some($from(<$native>::from_le_bytes(bytes)))
            }

            fn write(value: $read, buffers: &mut Buffers) {
                buffers.bytes(&<$native>::to_le_bytes($into(value)));
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

fixed!(i64, Type::Int64, i64, i64, |value| value, |value| value);
fixed!(f64, Type::Float64, f64, f64, |value| value, |value| value);
fixed!(Decimal, Type::Decimal, i128, i128, |value| value, |value| value);
fixed!(Date, Type::Date, i32, Date, |days| Date { days }, |date: Date| date.days);
fixed!(Timestamp, Type::Timestamp, i64, Timestamp, |microseconds| Timestamp { microseconds }, |instant: Timestamp| {
    instant.microseconds
});
