//! Looks around from inside a container. Compiled twice: with xtask, which starts it and reads what it says, and by
//! `rustc` alone as a static program for containers that hold nothing else, so it uses only the standard library.

use std::fmt::{self, Display};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::{Duration, Instant};

/// An address that has not answered by then is silent. All of them are a bridge away.
const ANSWER: Duration = Duration::from_secs(1);
/// For all ports of one address.
const SCAN: Duration = Duration::from_secs(60);

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    Open,
    Refused,
    /// No answer at all.
    Silent,
    NoRoute,
    NoSuchName,
}

const WORDS: [(Seen, &str); 5] = [
    (Seen::Open, "open"),
    (Seen::Refused, "refused"),
    (Seen::Silent, "silent"),
    (Seen::NoRoute, "no-route"),
    (Seen::NoSuchName, "no-such-name"),
];

impl Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(WORDS.iter().find(|(seen, _)| seen == self).map_or("?", |(_, word)| word))
    }
}

/// What `reach` printed: each target with what was seen there.
pub fn seen_in(text: &str) -> Vec<(String, Seen)> {
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    lines
        .filter_map(|(target, word)| {
            let (seen, _) = WORDS.iter().find(|(_, known)| *known == word)?;
            Some((target.to_owned(), *seen))
        })
        .collect()
}

/// `reach HOST:PORT...`, `listening`, `scan ADDRESS...` or `own UID PATH...`.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let verb = arguments.next().unwrap_or_default();
    match verb.as_str() {
        "reach" => print!("{}", reach_all(&arguments.collect::<Vec<_>>())),
        "listening" => {
            for address in listening()? {
                println!("{address}");
            }
        }
        "scan" => {
            for address in arguments {
                println!("{address} {}", scan(&address)?);
            }
        }
        "own" => {
            let uid = arguments.next().unwrap_or_default().parse()?;
            for path in arguments {
                own(Path::new(&path), uid)?;
            }
        }
        other => return Err(format!("unknown: {other:?}").into()),
    }
    Ok(())
}

/// All at the same time, because the silent ones take theirs.
fn reach_all(targets: &[String]) -> String {
    std::thread::scope(|scope| {
        let looks: Vec<_> = targets.iter().map(|target| (target, scope.spawn(|| reach(target)))).collect();
        let lines = looks.into_iter().filter_map(|(target, look)| Some(format!("{target} {}\n", look.join().ok()?)));
        lines.collect()
    })
}

fn reach(target: &str) -> Seen {
    let Ok(mut addresses) = target.to_socket_addrs() else { return Seen::NoSuchName };
    addresses.next().map_or(Seen::NoSuchName, knock)
}

fn knock(address: SocketAddr) -> Seen {
    match TcpStream::connect_timeout(&address, ANSWER) {
        Ok(_) => Seen::Open,
        Err(error) => match error.kind() {
            ErrorKind::ConnectionRefused => Seen::Refused,
            ErrorKind::TimedOut | ErrorKind::WouldBlock => Seen::Silent,
            _ => Seen::NoRoute,
        },
    }
}

/// Where anything in this network namespace listens, as the kernel lists it.
fn listening() -> io::Result<Vec<SocketAddr>> {
    let mut all = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        match std::fs::read_to_string(table) {
            Ok(text) => all.extend(listening_in(&text)),
            // No IPv6 here.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

/// The local addresses of the lines whose state is LISTEN.
fn listening_in(table: &str) -> Vec<SocketAddr> {
    const LISTEN: &str = "0A";
    let lines = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines.filter(|words| words.get(3) == Some(&LISTEN)).filter_map(|words| local_address(words.get(1)?)).collect()
}

/// `0100007F:20F9`: words of four bytes, each as a little-endian machine prints its number.
fn local_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let words = (0..address.len()).step_by(8).map(|at| u32::from_str_radix(address.get(at..at + 8)?, 16).ok());
    let bytes: Vec<u8> = words.collect::<Option<Vec<_>>>()?.into_iter().flat_map(u32::to_le_bytes).collect();
    let address = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        _ => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
    };
    Some(SocketAddr::new(address, u16::from_str_radix(port, 16).ok()?))
}

/// Every TCP port of an address; the open ones, or `none`.
fn scan(address: &str) -> io::Result<String> {
    let address = address.parse().map_err(|_| io::Error::other(format!("{address} is no address")))?;
    let begin = Instant::now();
    let mut open = Vec::new();
    for port in 1..=u16::MAX {
        match knock(SocketAddr::new(address, port)) {
            Seen::Refused => {}
            Seen::Open => open.push(port.to_string()),
            other => return Err(io::Error::other(format!("port {port} of {address}: {other}, so nothing is shown"))),
        }
        if begin.elapsed() > SCAN {
            return Err(io::Error::other(format!("{address}: only {port} ports within {} s", SCAN.as_secs())));
        }
    }
    Ok(if open.is_empty() { "none".to_owned() } else { open.join(",") })
}

/// Hands the files in a folder to a user. The folder itself stays whose it is, so that its owner can remove it.
fn own(folder: &Path, uid: u32) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        std::os::unix::fs::chown(entry?.path(), Some(uid), Some(uid))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_back() {
        let text: String = WORDS.iter().map(|(seen, _)| format!("a:1 {seen}\n")).collect();
        let read: Vec<_> = seen_in(&text).into_iter().map(|(_, seen)| seen).collect();
        assert_eq!(read, WORDS.map(|(seen, _)| seen));
        assert!(seen_in("a:1 perhaps\nopen\n").is_empty());
    }

    #[test]
    fn the_kernels_list_is_understood() {
        let table = "  sl  local_address rem_address   st tx_queue\n\
            0: 0100007F:20F9 00000000:0000 0A 00000000:00000000\n\
            1: 040017AC:B3A4 050017AC:279C 01 00000000:00000000\n\
            2: 00000000000000000000000001000000:0016 00000000000000000000000000000000:0000 0A 0\n";
        assert_eq!(listening_in(table), ["127.0.0.1:8441".parse().unwrap(), "[::1]:22".parse().unwrap()]);
    }

    #[test]
    fn open_and_closed_ports_are_told_apart() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert!(listening().unwrap().contains(&address));
        assert_eq!(reach(&address.to_string()), Seen::Open);
        drop(listener);
        assert_eq!(reach(&address.to_string()), Seen::Refused);
        assert_eq!(reach("no such name:1"), Seen::NoSuchName);
    }
}
