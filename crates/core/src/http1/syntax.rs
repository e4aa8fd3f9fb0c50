//! Which bytes may stand where (RFC 9110 section 5, RFC 9112 section 4): one judge for heads of HTTP/1, for
//! fields of HTTP/2 and for what comes out of a tunnel. Lookups and comparisons only; nothing is decoded.

use std::net::Ipv6Addr;

use memchr::memchr;

use crate::limits;

/// Whether a field may be written into a head as it stands: a name that is a token, a value without control
/// bytes and without white space around it.
pub fn valid_field(name: &[u8], value: &[u8]) -> bool {
    valid_name(name) && valid_value(value)
}

/// Whether this is a method: a token of bounded length. Which methods are allowed is the filter's decision.
pub fn valid_method(method: &[u8]) -> bool {
    method.len() <= limits::METHOD && valid_name(method)
}

/// Whether this may stand as a reason phrase; an empty one may.
pub fn valid_reason(reason: &[u8]) -> bool {
    only_text(reason)
}

/// Whether this is `host` or `host:port` as `Host` and an absolute-form target carry it: a DNS name, an IPv4
/// address or an IPv6 address in brackets. Never userinfo, never a list.
pub fn valid_host(host: &[u8]) -> bool {
    let (valid, port) = match host.strip_prefix(b"[") {
        Some(after) => {
            let Some((address, rest)) = memchr(b']', after).and_then(|end| after.split_at_checked(end)) else {
                return false;
            };
            (valid_ipv6(address), rest.strip_prefix(b"]").unwrap_or_default())
        }
        None => {
            let end = memchr(b':', host).unwrap_or(host.len());
            let (name, rest) = host.split_at_checked(end).unwrap_or_default();
            (valid_host_name(name), rest)
        }
    };
    valid && (port.is_empty() || port.strip_prefix(b":").is_some_and(valid_port))
}

/// The number that a Content-Length value is, if it is one: digits and nothing else, at most 19 of them, so
/// that it fits.
pub(super) fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 19 {
        return None;
    }
    value.iter().try_fold(0_u64, |number, byte| match byte {
        b'0'..=b'9' => Some(number * 10 + u64::from(byte - b'0')),
        _ => None,
    })
}

/// The elements of a comma-separated list without the white space around them; empty ones are left out.
pub(crate) fn list_elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

/// A byte of a token: of a method or a field name.
pub(super) const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'_' | b'!' | b'#'..=b'\'' | b'*' | b'+' | b'.' | b'^' | b'`' | b'|' | b'~')
}

/// A byte of a field value or reason phrase: visible, obs-text, space or tab.
pub(super) const fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// Space, control or DEL: never part of a request target.
pub(super) const fn is_space_or_control(byte: u8) -> bool {
    byte <= b' ' || byte == 0x7f
}

pub(super) fn valid_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| is_token(*byte))
}

fn valid_value(value: &[u8]) -> bool {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    only_text(value) && !blank(value.first()) && !blank(value.last())
}

/// Folded, not searched: a loop without an exit is done many bytes at a time.
fn only_text(bytes: &[u8]) -> bool {
    !bytes.iter().fold(false, |bad, byte| bad | !is_text(*byte))
}

fn valid_host_name(name: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    !name.is_empty() && name.len() <= limits::HOST_NAME && name.iter().all(allowed)
}

fn valid_ipv6(address: &[u8]) -> bool {
    std::str::from_utf8(address).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

fn valid_port(port: &[u8]) -> bool {
    port.len() <= 5 && decimal(port).is_some_and(|port| port <= u64::from(u16::MAX))
}

/// Verbs of which a second run does no harm: they only read.
pub fn is_repeatable(method: &[u8]) -> bool {
    matches!(method, b"GET" | b"HEAD" | b"OPTIONS" | b"PROPFIND")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for good in
            ["gw.example.net", "GW:443", "10.0.0.1:8443", "[::1]", "[2001:db8::1]:443", "a_b", "gw.example.net."]
        {
            assert!(valid_host(good.as_bytes()), "{good}");
        }
        let bad = [
            "",
            ":443",
            "gw:",
            "gw:99999",
            "gw:+1",
            "gw:4 4",
            "a b",
            "a,b",
            "u@h",
            "h/",
            "h?",
            "h#",
            "h\\",
            "[::1",
            "[]",
            "[g::1]",
            "[::1]x",
            "[::1]:",
            "a:b",
            "a:1:2",
            "h%00",
            "h\0",
            "h\t",
            "\u{fc}.example",
        ];
        for bad in bad {
            assert!(!valid_host(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn fields() {
        let good: [(&[u8], &[u8]); 5] = [
            (b"a", b""),
            (b"SOAPAction", b"\"x\""),
            (b"X_y", b"a\tb c"),
            (b"!#$%&'*+-.^_`|~", b"\xff\x80"),
            (b"9", b"a"),
        ];
        for (name, value) in good {
            assert!(valid_field(name, value), "{name:?}");
        }
        let bad: [(&[u8], &[u8]); 15] = [
            (b"", b"a"),
            (b"a b", b"a"),
            (b"a:", b"a"),
            (b"a\t", b"a"),
            (b"a\0", b"a"),
            (b"a\r", b"a"),
            (b"\xc3\xa4", b"a"),
            (b"a(", b"a"),
            (b":path", b"a"),
            (b"a", b"a\r\nb"),
            (b"a", b"a\nb"),
            (b"a", b"\0"),
            (b"a", b"\x7f"),
            (b"a", b" a"),
            (b"a", b"a\t"),
        ];
        for (name, value) in bad {
            assert!(!valid_field(name, value), "{name:?} {value:?}");
        }
    }

    #[test]
    fn tokens_are_those_of_the_rfc() {
        for byte in 0..=255_u8 {
            let rfc = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            assert_eq!(is_token(byte), rfc, "{byte}");
        }
    }

    #[test]
    fn lengths_are_digits() {
        assert_eq!(decimal(b"0"), Some(0));
        assert_eq!(decimal(b"9999999999999999999"), Some(9_999_999_999_999_999_999));
        for bad in ["", "+5", "-5", " 5", "5 ", "5, 5", "5 5", "0x5", "5.0", "99999999999999999999", "1_0", "\u{0665}"]
        {
            assert_eq!(decimal(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn methods() {
        for good in ["GET", "CCM_POST", "BITS_POST", "PROPFIND", "get", "M-SEARCH"] {
            assert!(valid_method(good.as_bytes()), "{good}");
        }
        for bad in ["", "G ET", "GET\t", "G(T", "AAAAAAAAAABBBBBBBBBBCCCCCCCCCCDDD"] {
            assert!(!valid_method(bad.as_bytes()), "{bad}");
        }
    }
}
