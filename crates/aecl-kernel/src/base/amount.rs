//! Money and other quantities: an exact decimal with its unit.

use crate::base::json::number_text;
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::fmt;

/// An exact quantity with its unit, such as `100000.00 INR`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// The quantity, exact.
    #[serde(deserialize_with = "read_decimal")]
    pub value: Decimal,
    /// The unit: an ISO 4217 currency code, or `rows`, `bytes`, `calls`.
    pub unit: String,
}

/// Reason why a value is no amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAmount {
    /// Not a decimal number at all.
    #[error("`{0}` is no decimal number")]
    NotDecimal(String),
    /// Below zero: it would refund the budget that it should use.
    #[error("`{0}` is negative")]
    Negative(Decimal),
    /// More digits after the point than the unit has.
    #[error("`{value}` has more than {scale} digits after the point")]
    Precise {
        /// The value.
        value: Decimal,
        /// Digits after the point that the unit has.
        scale: u32,
    },
}

/// Reads a decimal from a JSON number or a string of plain digits; no exponent, no grouping, no sign but `-`.
pub fn decimal(value: &Value) -> Option<Decimal> {
    match value {
        Value::Number(n) => {
            let text = number_text(n);
            Decimal::from_str_exact(&text).or_else(|_| Decimal::from_scientific(&text)).ok()
        }
        Value::String(s) => {
            let digits = s.strip_prefix('-').unwrap_or(s);
            let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
            let plain = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
            (plain(whole) && plain(fraction) && s.len() <= 30)
                .then(|| Decimal::from_str_exact(s).ok())
                .flatten()
        }
        _ => None,
    }
}

/// Reads a decimal in a manifest, written as a number or as text, without a float in between.
pub(crate) fn read_decimal<'de, D: Deserializer<'de>>(d: D) -> Result<Decimal, D::Error> {
    let value = Value::deserialize(d)?;
    decimal(&value).ok_or_else(|| serde::de::Error::custom(format!("`{value}` is no decimal number")))
}

impl Amount {
    /// Reads a non-negative amount with at most `scale` digits after the point.
    pub fn read(value: &Value, unit: &str, scale: u32) -> Result<Self, BadAmount> {
        let shown = || value.to_string().chars().take(40).collect::<String>();
        let exact = decimal(value).ok_or_else(|| BadAmount::NotDecimal(shown()))?;
        if exact.is_sign_negative() && !exact.is_zero() {
            return Err(BadAmount::Negative(exact));
        }
        if exact.normalize().scale() > scale {
            return Err(BadAmount::Precise { value: exact, scale });
        }
        Ok(Self { value: exact.normalize(), unit: unit.to_owned() })
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.value, self.unit)
    }
}

/// The code of a currency that an argument names, in capitals. `rows` is none: a sum in rows would pass
/// every budget in euros.
pub fn currency(text: &str) -> Option<String> {
    let plain = (3..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
    let counted = ["rows", "bytes", "calls", "recipients"].iter().any(|unit| unit.eq_ignore_ascii_case(text));
    (plain && !counted).then(|| text.to_ascii_uppercase())
}

/// Digits after the point of a unit: 2 for a currency that is not listed, 0 for counts.
pub fn scale_of(unit: &str) -> u32 {
    match unit {
        "rows" | "bytes" | "calls" | "recipients" => 0,
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI"
        | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        "CLF" | "UYW" => 4,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn amounts_are_exact_positive_and_no_finer_than_their_unit() {
        let read = |v: Value, unit: &str| {
            Amount::read(&v, unit, scale_of(unit)).map(|a| a.to_string()).map_err(|e| e.to_string())
        };
        assert_eq!(read(json!(100000), "INR"), Ok("100000 INR".into()));
        assert_eq!(read(json!("0.10"), "EUR"), Ok("0.1 EUR".into()));
        assert_eq!(read(json!(0.1), "EUR"), Ok("0.1 EUR".into()));
        assert_eq!(read(json!(-1), "EUR"), Err("`-1` is negative".into()));
        assert_eq!(read(json!("1.005"), "EUR"), Err("`1.005` has more than 2 digits after the point".into()));
        assert_eq!(read(json!(10.5), "JPY"), Err("`10.5` has more than 0 digits after the point".into()));
        for bad in [
            json!("1,200"),
            json!("1e6"),
            json!(""),
            json!("12 "),
            json!("+1"),
            json!(true),
            json!([1]),
            json!(null),
            json!("NaN"),
            json!("."),
            json!("-"),
        ] {
            assert!(read(bad.clone(), "EUR").is_err(), "{bad}");
        }
    }
}
