//! Time is an argument here: a moment in milliseconds since 1970, given by whoever owns the clock.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A moment, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This moment plus some seconds.
    pub fn plus_s(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX / 1000).saturating_mul(1000)))
    }

    /// This moment, so many seconds earlier.
    pub fn minus_s(self, seconds: u64) -> Self {
        Self(self.0.saturating_sub(i64::try_from(seconds).unwrap_or(i64::MAX / 1000).saturating_mul(1000)))
    }

    /// Milliseconds from `earlier` to this moment; 0 if it is not later.
    pub fn since_ms(self, earlier: Timestamp) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }

    /// Minutes since midnight (UTC) and the day of the week, Monday being 0.
    pub fn minute_and_weekday(self) -> (u32, u32) {
        let minutes = self.0.div_euclid(60_000);
        let days = minutes.div_euclid(1440);
        (minutes.rem_euclid(1440) as u32, (days + 3).rem_euclid(7) as u32)
    }

    /// Reads RFC 3339 in UTC with or without milliseconds, as `Display` writes it.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix('Z')?;
        let (date, time) = text.split_once('T')?;
        let mut date = date.splitn(3, '-').map(|p| p.parse::<i64>().ok());
        let (y, m, d) = (date.next()??, date.next()??, date.next()??);
        let (time, millis) = time.split_once('.').unwrap_or((time, "0"));
        if millis.len() > 3 || !millis.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let ms = format!("{millis:0<3}").parse::<i64>().ok()?;
        let mut time = time.splitn(3, ':').map(|p| p.parse::<i64>().ok());
        let (h, min, s) = (time.next()??, time.next()??, time.next()??);
        let leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
        let last_day = match m {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        // Years beyond these do not fit in milliseconds.
        let years = -292_275_055..=292_278_994;
        let in_range = years.contains(&y) && (1..=12).contains(&m) && (1..=last_day).contains(&d);
        if !in_range || !(0..24).contains(&h) || !(0..60).contains(&min) || !(0..60).contains(&s) {
            return None;
        }
        // Days from civil (Howard Hinnant's algorithm, chrono-compatible low-level date algorithms).
        let y2 = if m <= 2 { y - 1 } else { y };
        let era = y2.div_euclid(400);
        let yoe = y2.rem_euclid(400);
        let doy = (153 * (if m > 2 { m - 3 } else { m + 9 }) + 2) / 5 + d - 1;
        let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
        let days = era * 146_097 + doe - 719_468;
        (((days * 24 + h) * 60 + min) * 60 + s).checked_mul(1000)?.checked_add(ms).map(Self)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.rem_euclid(1000);
        let secs = self.0.div_euclid(1000);
        let (days, sod) = (secs.div_euclid(86_400), secs.rem_euclid(86_400));
        // Civil from days (the inverse of the above).
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097);
        let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let d = doy - (153 * mp + 2) / 5 + 1;
        let m = if mp < 10 { mp + 3 } else { mp - 9 };
        let y = yoe + era * 400 + i64::from(m <= 2);
        write!(f, "{y:04}-{m:02}-{d:02}T{:02}:{:02}:{:02}.{ms:03}Z", sod / 3600, sod / 60 % 60, sod % 60)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Timestamp::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no UTC time")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_reads_rfc_3339() {
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp(1_709_164_800_123).to_string(), "2024-02-29T00:00:00.123Z");
        assert_eq!(Timestamp(0).minute_and_weekday(), (0, 3)); // a Thursday
        for bad in [
            "",
            "2024-02-29",
            "2024-13-01T00:00:00Z",
            "2024-02-29T00:00:00+01:00",
            "2023-02-29T00:00:00Z",
            "2024-04-31T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T-1:00:00Z",
            "2024-01-01T00:00:60Z",
            "99999999999999999-01-01T00:00:00Z",
            "292278994-12-31T00:00:00Z",
        ] {
            assert_eq!(Timestamp::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn end_of_time_reads_back() {
        let end = Timestamp(0).plus_s(u64::MAX);
        assert_eq!(Timestamp::parse(&end.to_string()), Some(end));
    }

    proptest::proptest! {
        #[test]
        fn every_moment_reads_back(ms in -60_000_000_000_000i64..250_000_000_000_000) {
            proptest::prop_assert_eq!(Timestamp::parse(&Timestamp(ms).to_string()), Some(Timestamp(ms)));
        }
    }
}
