//! Which addresses are the open internet, which are somebody's house, and which nobody should ever dial.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Kind of an address: public, private, or never dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressKind {
    /// The open internet.
    Public,
    /// Loopback and private networks: dialled only where the operator names host and port.
    Private(&'static str),
    /// Metadata services, link-local, multicast, reserved, tunnels: never dialled.
    Never(&'static str),
}

/// Judges one address.
#[must_use]
pub fn address_kind(address: IpAddr) -> AddressKind {
    match address {
        IpAddr::V4(v4) => reach_v4(v4),
        IpAddr::V6(v6) => reach_v6(v6),
    }
}

fn reach_v4(address: Ipv4Addr) -> AddressKind {
    use AddressKind::{Never, Private, Public};
    match address.octets() {
        [169, 254, 169, 254] | [100, 100, 100, 200] | [168, 63, 129, 16] => Never("cloud metadata"),
        [0, ..] => Never("this network"),
        [127, ..] => Private("loopback"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Private("private network"),
        [100, 64..=127, ..] => Private("carrier-grade NAT"),
        [198, 18..=19, ..] => Private("benchmarking"),
        [169, 254, ..] => Never("link-local"),
        [192, 0, 0, _] => Never("protocol assignments"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Never("documentation"),
        [192, 88, 99, _] => Never("6to4 relay"),
        [224..=239, ..] => Never("multicast"),
        [240..=255, ..] => Never("reserved"),
        _ => Public,
    }
}

fn reach_v6(address: Ipv6Addr) -> AddressKind {
    use AddressKind::{Never, Private, Public};
    if let Some(v4) = address.to_ipv4_mapped() {
        return reach_v4(v4);
    }
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Never("unspecified"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Private("loopback"),
        [0, 0, 0, 0, 0, 0, ..] => Never("embedded IPv4"),
        // What a NAT64 reaches is the address inside; a public one is fine, anything else is a detour.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => match reach_v4(v4_of(high, low)) {
            Public => Public,
            Private(_) | Never(_) => Never("NAT64 to an address that is not public"),
        },
        [0x64, 0xff9b, 1, ..] => Never("local NAT64"),
        [0x100, 0, 0, 0, ..] => Never("discard"),
        [0x2001, 0, ..] => Never("Teredo"),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0x0fff, ..] => Never("documentation"),
        [0x2001, 0..=0x1ff, ..] => Never("protocol assignments"),
        [0x2002, ..] => Never("6to4"),
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] => {
            Never("cloud metadata")
        }
        [0xfc00..=0xfdff, ..] => Private("unique local"),
        [0xfe80..=0xfebf, ..] => Never("link-local"),
        [0xfec0..=0xfeff, ..] => Never("site-local"),
        [0xff00..=0xffff, ..] => Never("multicast"),
        [0x2000..=0x3fff, ..] => Public,
        // Everything outside 2000::/3 is unassigned. Listing what is good stays right when more is assigned.
        _ => Never("reserved"),
    }
}

/// The address that is reached in the end: the one inside a translated or mapped one, or itself.
pub(super) fn behind_nat64(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => IpAddr::V4(v4_of(high, low)),
        _ => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
    }
}

fn v4_of(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn every_range_is_known() {
        let check = |addresses: &[&str], expected: &str| {
            for address in addresses {
                let reach = address_kind(address.parse().unwrap());
                let word = match reach {
                    AddressKind::Public => "public",
                    AddressKind::Private(_) => "private",
                    AddressKind::Never(_) => "never",
                };
                assert_eq!(word, expected, "{address}: {reach:?}");
            }
        };
        check(
            &["1.1.1.1", "93.184.215.14", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1"],
            "public",
        );
        check(&["2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101", "2a00::1"], "public");
        check(
            &["127.0.0.1", "127.8.9.1", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"],
            "private",
        );
        check(&["100.64.0.1", "::1", "fd12::1", "fc00::1", "::ffff:127.0.0.1", "::ffff:10.1.1.1"], "private");
        check(&["0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.0.1", "100.100.100.200"], "never");
        check(&["168.63.129.16", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"], "never");
        check(&["192.0.0.192", "192.0.2.1", "198.51.100.1", "203.0.113.9", "192.88.99.1"], "never");
        check(&["::", "::7f00:1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1"], "never");
        check(&["2002:7f00:1::", "2001:0:1::1", "2001:db8::1", "fe80::1", "fec0::1", "ff02::1"], "never");
        check(&["fd00:ec2::254", "fd20:ce::254", "100::1", "4000::1", "::ffff:169.254.169.254"], "never");
    }
}
