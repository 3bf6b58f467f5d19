//! Public IP addresses: those that a host name of the internet may resolve to.
//!
//! The tables follow IANA's registries. A block is refused if the registry does not mark it as globally reachable.
//! Blocks inside a refused block are refused with it, even the few anycast addresses that are reachable: no API is
//! served there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(first: [u16; 4], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(first[0], first[1], first[2], first[3], 0, 0, 0, 0), prefix)
}

/// IANA IPv4 Special-Purpose Address Registry as of 2020-09-04
/// (<https://www.iana.org/assignments/iana-ipv4-special-registry>), and multicast, which has a registry of its own.
const NON_PUBLIC_V4: [Ipv4Net; 15] = [
    v4(0, 0, 0, 0, 8),       // This network, RFC 791
    v4(10, 0, 0, 0, 8),      // Private use, RFC 1918
    v4(100, 64, 0, 0, 10),   // Shared address space, RFC 6598
    v4(127, 0, 0, 0, 8),     // Loopback, RFC 1122
    v4(169, 254, 0, 0, 16),  // Link local, RFC 3927
    v4(172, 16, 0, 0, 12),   // Private use, RFC 1918
    v4(192, 0, 0, 0, 24),    // IETF protocol assignments, RFC 6890
    v4(192, 0, 2, 0, 24),    // Documentation, RFC 5737
    v4(192, 88, 99, 0, 24),  // Deprecated 6to4 relay anycast, RFC 7526
    v4(192, 168, 0, 0, 16),  // Private use, RFC 1918
    v4(198, 18, 0, 0, 15),   // Benchmarking, RFC 2544
    v4(198, 51, 100, 0, 24), // Documentation, RFC 5737
    v4(203, 0, 113, 0, 24),  // Documentation, RFC 5737
    v4(224, 0, 0, 0, 4),     // Multicast, RFC 5771
    v4(240, 0, 0, 0, 4),     // Reserved, RFC 1112; limited broadcast, RFC 8190
];

/// The only block of global unicast addresses, by the IANA IPv6 Address Space registry
/// (<https://www.iana.org/assignments/ipv6-address-space>). Outside of it are, among others, the unspecified and the
/// loopback address and IPv4-compatible addresses `::/96` (RFC 4291), IPv4-mapped addresses `::ffff:0:0/96` (RFC 4291),
/// local-use translation `64:ff9b:1::/48` (RFC 8215), discard-only `100::/64` (RFC 6666), dummy `100:0:0:1::/64` (RFC
/// 9780), segment identifiers `5f00::/16` (RFC 9602), unique local `fc00::/7` (RFC 4193), link local `fe80::/10` (RFC
/// 4291), deprecated site local `fec0::/10` (RFC 3879) and multicast `ff00::/8` (RFC 4291).
const GLOBAL_UNICAST_V6: Ipv6Net = v6([0x2000, 0, 0, 0], 3);

/// The other blocks of the IANA IPv6 Special-Purpose Address Registry as of 2023-03-15
/// (<https://www.iana.org/assignments/iana-ipv6-special-registry>), and RFC 9637.
const NON_PUBLIC_V6: [Ipv6Net; 4] = [
    v6([0x2001, 0, 0, 0], 23),      // IETF protocol assignments, RFC 2928; Teredo, RFC 4380
    v6([0x2001, 0x0db8, 0, 0], 32), // Documentation, RFC 3849
    v6([0x2002, 0, 0, 0], 16),      // 6to4, RFC 3056
    v6([0x3fff, 0, 0, 0], 20),      // Documentation, RFC 9637
];

/// IPv4/IPv6 translation, RFC 6052. An address leads to the IPv4 address in its last 32 bits.
const TRANSLATED_V4: Ipv6Net = v6([0x0064, 0xff9b, 0, 0], 96);

/// Whether an address is reachable from everywhere on the internet.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !NON_PUBLIC_V4.iter().any(|block| block.contains(&address)),
        IpAddr::V6(address) => {
            let is_special = NON_PUBLIC_V6.iter().any(|block| block.contains(&address));
            GLOBAL_UNICAST_V6.contains(&address) && !is_special
        }
    }
}

/// Whether an address of a name is that of a public server: a public address, or the translation of one. In a network
/// without IPv4, the resolver (DNS64, RFC 6147) gives such addresses for servers that have IPv4 only.
pub(super) fn leads_to_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V6(translated) if TRANSLATED_V4.contains(&translated) => {
            let [.., a, b, c, d] = translated.octets();
            is_public(Ipv4Addr::new(a, b, c, d).into())
        }
        address => is_public(address),
    }
}

#[cfg(test)]
mod tests {
    use super::{is_public, leads_to_public};
    use std::net::IpAddr;

    fn check(addresses: &[&str], expected: bool) {
        for address in addresses {
            let parsed: IpAddr = address.parse().expect("an address");
            assert_eq!(is_public(parsed), expected, "{address}");
        }
    }

    #[test]
    fn no_special_ipv4_block_is_public() {
        check(&["0.0.0.0", "0.255.255.255"], false);
        check(&["10.0.0.0", "10.255.255.255"], false);
        check(&["100.64.0.0", "100.127.255.255"], false);
        check(&["127.0.0.1", "127.255.255.255"], false);
        check(&["169.254.0.0", "169.254.169.254", "169.254.255.255"], false);
        check(&["172.16.0.0", "172.31.255.255"], false);
        check(&["192.0.0.0", "192.0.0.9", "192.0.0.255"], false);
        check(&["192.0.2.0", "192.0.2.255"], false);
        check(&["192.88.99.0", "192.88.99.255"], false);
        check(&["192.168.0.0", "192.168.255.255"], false);
        check(&["198.18.0.0", "198.19.255.255"], false);
        check(&["198.51.100.0", "198.51.100.255"], false);
        check(&["203.0.113.0", "203.0.113.255"], false);
        check(&["224.0.0.0", "239.255.255.255"], false);
        check(&["240.0.0.0", "255.255.255.255"], false);
    }

    #[test]
    fn neighbors_of_special_ipv4_blocks_are_public() {
        check(&["1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255"], true);
        check(&["128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0"], true);
        check(&["191.255.255.255", "192.0.1.0", "192.0.3.0", "192.88.98.255", "192.88.100.0"], true);
        check(&["192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "198.51.99.255"], true);
        check(&["198.51.101.0", "203.0.112.255", "203.0.114.0", "223.255.255.255"], true);
    }

    #[test]
    fn no_special_ipv6_block_is_public() {
        check(&["::", "::1", "::8.8.8.8"], false);
        check(&["64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"], false);
        check(&["100::", "100::ffff:ffff:ffff:ffff", "100:0:0:1::1"], false);
        check(&["2001::", "2001::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:1ff:ffff::"], false);
        check(&["2001:db8::", "2001:db8:ffff::"], false);
        check(&["2002::", "2002:808:808::1", "2002:ffff::"], false);
        check(&["3fff::", "3fff:fff:ffff::"], false);
        check(&["5f00::", "5f00:ffff::"], false);
        check(&["fc00::1", "fdff:ffff::"], false);
        check(&["fe80::1", "febf:ffff::"], false);
        check(&["fec0::1", "feff:ffff::"], false);
        check(&["ff00::", "ff02::1", "ffff:ffff::"], false);
    }

    #[test]
    fn neighbors_of_special_ipv6_blocks_are_public() {
        check(&["2000::1", "2001:200::1", "2001:db7::1", "2001:db9::1", "2003::1"], true);
        check(&["2606:4700::1111", "3ffe::1", "3fff:1000::1"], true);
    }

    #[test]
    fn no_address_that_contains_an_ipv4_address_is_public() {
        check(&["::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:0.0.0.0", "::ffff:8.8.8.8"], false);
        check(&["::127.0.0.1", "::10.0.0.1", "::ffff:0:8.8.8.8"], false);
        check(&["64:ff9b::", "64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b::8.8.8.8"], false);
        check(&["64:ff9b::ffff:ffff", "2002:7f00:1::", "2001:0:808:808::1"], false);
    }

    #[test]
    fn the_translation_of_a_public_address_leads_to_it() {
        let check = |address: &str, expected: bool| {
            assert_eq!(leads_to_public(address.parse().expect("an address")), expected, "{address}");
        };
        for address in ["8.8.8.8", "2606:4700::1111", "64:ff9b::8.8.8.8"] {
            check(address, true);
        }
        for address in ["127.0.0.1", "::1", "::ffff:8.8.8.8", "64:ff9b::127.0.0.1", "64:ff9b::169.254.169.254"] {
            check(address, false);
        }
        check("64:ff9b:1::8.8.8.8", false);
    }
}
