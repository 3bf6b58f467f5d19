//! What is left of a file's unsynced changes when the power fails.

use rand::rngs::ChaCha12Rng;
use rand::{Rng, RngExt};

/// A change of a file since it was last synced.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// Bytes at an offset.
    Write(u64, Vec<u8>),
    /// A new length.
    Length(u64),
}

/// How the power fails for all files of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Nothing unsynced survives.
    Nothing,
    /// Everything survives, as after a kill.
    Everything,
    /// Of each file either everything or nothing.
    SomeFiles,
    /// The first changes of a file, the last of them torn.
    Prefix,
    /// Any sectors of any changes.
    AnySectors,
}

impl Cut {
    /// One of the ways, by chance.
    pub(crate) fn random(rng: &mut ChaCha12Rng) -> Self {
        [
            Self::Nothing,
            Self::Everything,
            Self::SomeFiles,
            Self::Prefix,
            Self::Prefix,
            Self::AnySectors,
            Self::AnySectors,
        ][rng.random_range(0..7)]
    }
}

/// The bytes of a file after the cut: its synced bytes, and what survives of the changes.
pub(crate) fn survivors(synced: Vec<u8>, changes: &[Change], cut: Cut, rng: &mut ChaCha12Rng) -> Vec<u8> {
    let mut left = synced;
    let all = changes.len();
    match cut {
        Cut::Nothing => {}
        Cut::Everything => changes.iter().for_each(|change| apply(&mut left, change)),
        Cut::SomeFiles => {
            if rng.random_bool(0.5) {
                changes.iter().for_each(|change| apply(&mut left, change));
            }
        }
        Cut::Prefix => {
            let whole = rng.random_range(0..=all);
            changes[..whole].iter().for_each(|change| apply(&mut left, change));
            if let Some(torn) = changes.get(whole) {
                apply_sectors(&mut left, torn, 0.5, rng);
            }
        }
        Cut::AnySectors => {
            let share = [0.05, 0.5, 0.95][rng.random_range(0..3)];
            changes.iter().for_each(|change| apply_sectors(&mut left, change, share, rng));
            // The length may be on disk without the bytes, which are zero then.
            let length = length_after(left.len() as u64, changes);
            if rng.random_bool(0.3) && length > left.len() as u64 {
                apply(&mut left, &Change::Length(length));
            }
        }
    }
    left
}

/// The greatest length that the changes give the file.
fn length_after(length: u64, changes: &[Change]) -> u64 {
    changes.iter().fold(length, |length, change| match change {
        Change::Write(offset, bytes) => length.max(offset + bytes.len() as u64),
        Change::Length(next) => *next,
    })
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

fn apply(file: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Length(length) => file.resize(index(*length), 0),
        Change::Write(offset, bytes) => {
            let (start, end) = (index(*offset), index(*offset) + bytes.len());
            if file.len() < end {
                file.resize(end, 0);
            }
            file[start..end].copy_from_slice(bytes);
        }
    }
}

/// Applies a share of a change: sectors of 512 bytes or pages of 4 KiB, aligned in the file.
fn apply_sectors(file: &mut Vec<u8>, change: &Change, share: f64, rng: &mut ChaCha12Rng) {
    let Change::Write(offset, bytes) = change else {
        if rng.random_bool(share) {
            apply(file, change);
        }
        return;
    };
    let sector: u64 = if rng.next_u32().is_multiple_of(2) { 512 } else { 4096 };
    let mut rest = bytes.as_slice();
    let mut at = *offset;
    while !rest.is_empty() {
        let (piece, next) = rest.split_at(index(sector - at % sector).min(rest.len()));
        if rng.random_bool(share) {
            apply(file, &Change::Write(at, piece.to_vec()));
        }
        at += piece.len() as u64;
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, Cut, survivors};
    use rand::SeedableRng as _;
    use rand::rngs::ChaCha12Rng;

    #[test]
    fn sectors_of_a_cut_write_are_old_or_new_and_both_occur() {
        let changes = [Change::Write(100, vec![1; 20_000]), Change::Length(10_000)];
        let mut seen = [false; 4];
        for seed in 0..50 {
            let rng = &mut ChaCha12Rng::seed_from_u64(seed);
            let left = survivors(vec![7; 5000], &changes, Cut::AnySectors, rng);
            assert!(left[..100].iter().all(|byte| *byte == 7));
            for sector in left[..4608].chunks(512).skip(1) {
                assert!(sector.iter().all(|byte| *byte == sector[0]), "a sector is written whole or not at all");
                seen[usize::from(sector[0] == 1)] = true;
            }
            seen[2] |= left.len() > 10_000;
            seen[3] |= left.len() <= 10_000;
            assert_eq!(survivors(vec![7; 5000], &changes, Cut::Nothing, rng), vec![7; 5000]);
            assert_eq!(survivors(vec![7; 5000], &changes, Cut::Everything, rng).len(), 10_000);
        }
        assert_eq!(seen, [true; 4]);
    }
}
