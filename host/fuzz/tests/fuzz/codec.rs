//! The codec of the contract's buffers: a batch that decodes is valid Arrow data, and encodes to the same rows again.

use arrow_array::Array as _;
use host_core::schema::{Field, Type};
use host_plugin::fuzzing::{self, Buffers};

const TYPES: [Type; 8] = [
    Type::Bool,
    Type::Int64,
    Type::Float64,
    Type::Decimal(5, 2),
    Type::Decimal(38, 0),
    Type::Date,
    Type::Timestamp,
    Type::Text,
];

/// Takes a chunk whose first byte says how long it is.
fn chunk(rest: &mut &[u8], scale: usize) -> Vec<u8> {
    let Some((length, bytes)) = rest.split_first() else { return Vec::new() };
    let (chunk, next) = bytes.split_at((usize::from(*length) / scale).min(bytes.len()));
    *rest = next;
    chunk.to_vec()
}

#[test]
fn codec() {
    bolero::check!(name = "codec").for_each(|input: &[u8]| {
        let mut rest = input;
        let head = chunk(&mut rest, 64);
        let at = |index: usize| usize::from(head.get(index).copied().unwrap_or_default());
        let rows = if at(0) == 255 { u32::MAX } else { u32::try_from(at(0) % 9).expect("small") };
        let mut columns = Vec::new();
        let mut fields = Vec::new();
        for index in 0..at(1) % 4 {
            let data_type = TYPES[at(2 + index) % TYPES.len()];
            let values = chunk(&mut rest, 1);
            // Half of the columns have buffers of the right length, whose content is what is tried.
            let is_fitting = at(2 + index) & 0x80 != 0;
            let (width, count) = (width(data_type), rows as usize);
            let fit = |mut bytes: Vec<u8>, length: usize| {
                if is_fitting && rows < 1000 {
                    bytes.resize(length, 0);
                }
                bytes
            };
            let validity = (at(2 + index) & 0x40 != 0).then(|| fit(chunk(&mut rest, 32), count.div_ceil(8)));
            let offsets = (data_type == Type::Text).then(|| {
                let steps = fit(chunk(&mut rest, 8), count + 1);
                let mut total = 0;
                steps
                    .iter()
                    .flat_map(|step| {
                        total += u32::from(step % 4);
                        total.to_le_bytes()
                    })
                    .collect::<Vec<u8>>()
            });
            let offsets = offsets.map(|mut offsets| {
                offsets.iter_mut().take(4).for_each(|byte| *byte = 0);
                offsets
            });
            let values = if data_type == Type::Text { values } else { fit(values, width * count) };
            columns.push(Buffers { validity, offsets, values });
            fields.push(Field { name: format!("c{index}"), data_type, metadata: Default::default() });
        }
        let Ok(batch) = fuzzing::decode_batch(rows, columns, &fields) else { return };
        for column in batch.columns() {
            column.to_data().validate_full().expect("valid Arrow data");
        }
        let (rows, columns) = fuzzing::encode_batch(&batch).expect("it encodes");
        let again = fuzzing::decode_batch(rows, columns, &fields).expect("it decodes again");
        // Bits of NULLs may differ, as may NaN, so texts are compared.
        assert_eq!(format!("{again:?}"), format!("{batch:?}"));
    });
}

/// Bytes of a value.
fn width(data_type: Type) -> usize {
    match data_type {
        Type::Bool | Type::Text => 1,
        Type::Date => 4,
        Type::Decimal(..) => 16,
        Type::Int64 | Type::Float64 | Type::Timestamp => 8,
    }
}
