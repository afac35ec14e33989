//! Addresses of cryptocurrencies. Their own check digits say that they are some, so that no other code is taken for one.

use crate::base::digest::Digest;

/// Whether a word is an address in one of the three usual writings.
pub(super) fn is_address(word: &str) -> bool {
    is_hexadecimal(word) || is_bech32(word) || is_base58(word)
}

/// `0x` and twenty bytes.
fn is_hexadecimal(word: &str) -> bool {
    let digits = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X"));
    digits.is_some_and(|digits| digits.len() == 40 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// `bc1q…`: a name, a one, and thirty-two letters with a checksum of six.
fn is_bech32(word: &str) -> bool {
    const LETTERS: &[u8] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    const GENERATORS: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    /// What remains of the first version, and of the second.
    const REMAINS: [u32; 2] = [1, 0x2bc8_30a3];
    if !(14..=128).contains(&word.len()) {
        return false;
    }
    let Some((name, data)) = word.rsplit_once('1') else { return false };
    if name.is_empty() || data.len() < 6 || !word.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return false;
    }
    let small = |b: u8| b.to_ascii_lowercase();
    let value = |b: u8| LETTERS.iter().position(|l| *l == small(b)).and_then(|at| u32::try_from(at).ok());
    let head = name.bytes().map(|b| Some(u32::from(small(b) >> 5))).chain([Some(0)]);
    let tail = name.bytes().map(|b| Some(u32::from(small(b) & 31)));
    let step = |sum: u32, value: Option<u32>| {
        let top = sum >> 25;
        let sum = ((sum & 0x1ff_ffff) << 5) ^ value?;
        let adds = GENERATORS.iter().enumerate().filter(|(i, _)| (top >> i) & 1 == 1);
        Some(adds.fold(sum, |sum, (_, generator)| sum ^ generator))
    };
    let sum = head.chain(tail).chain(data.bytes().map(value)).try_fold(1, step);
    sum.is_some_and(|sum| REMAINS.contains(&sum))
}

/// Twenty-one bytes and a checksum of four, as older addresses are written.
fn is_base58(word: &str) -> bool {
    const LETTERS: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    if !(26..=35).contains(&word.len()) {
        return false;
    }
    let mut bytes = [0_u8; 25];
    for letter in word.bytes() {
        let Some(value) = LETTERS.iter().position(|l| *l == letter) else { return false };
        let mut carry = value;
        for byte in bytes.iter_mut().rev() {
            carry += usize::from(*byte) * 58;
            *byte = u8::try_from(carry & 0xff).unwrap_or_default();
            carry >>= 8;
        }
        if carry > 0 {
            return false;
        }
    }
    let (said, checksum) = bytes.split_at(21);
    let twice = Digest::of(Digest::of(said).bytes());
    twice.bytes().starts_with(checksum)
}
